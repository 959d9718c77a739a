"""What goes on in stretches is made by itself, and laid into the windows of hits that are as loud as without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from foleygen.audio.mel_loudness import MelLoudness
from foleygen.cues.cue import filled, sheet
from foleygen.engines.building import mel_config
from foleygen.engines.foley import Engine
from foleygen.errors import UsageError
from foleygen.facts import SAMPLE_RATE, Cue, Lasting, Stretch
from foleygen.media import wav
from foleygen.media.probe import probe
from foleygen.pipeline import Job, layers, render, sound
from foleygen.pipeline.cueing import BESIDE_LUFS, UNDER_LU, ToldLayer, told
from foleygen.pipeline.cueing import layers as told_layers
from foleygen.pipeline.layers import NO_LAYERS, Asked, Layers, laid
from foleygen.pipeline.stretches import silent
from foleygen.pipeline.window import render_window
from foleygen.sampling.noise import WindowKey
from foleygen.settings import AS_THE_RUN, ClipSettings, RenderSettings, Seams
from foleygen.weights import store
from foleygen.weights.bundle import Bundle

MakeClip = Callable[..., Path]
HITS = [Cue(1.0, 0.5, None, "wooden knock"), Cue(7.0, 1.0, None, "wooden knock")]
RAIN = Lasting(2.0, 3.5, "rain")


@cache
def tiny() -> Engine:
    return Engine.load(store.load("tiny", Bundle), "cpu", "fp32")


@pytest.fixture(scope="module")
def engine(told_bundle: Path) -> Engine:
    return Engine.load(store.load(told_bundle, Bundle), "cpu", "fp32")


# What is told


def of(own: ClipSettings, engine: Engine, start_s: float = 0.0, **more: float) -> list[tuple[str, object]]:
    return [(one.words, one.spans) for one in told_layers(own, start_s, engine, **more)]


def test_a_window_has_the_stretches_that_are_in_it(engine: Engine) -> None:
    own = ClipSettings(sheet([Cue(0.5)], None, "", [Lasting(0.3, 0.6, "rain"), Lasting(0.8, 1.5, "wind"),
                                                    Lasting(0.9, 1.2, "rain"), Lasting(3, 4, "fire")]))  # fmt: skip
    assert of(own, engine) == [("rain", ((0.3, 0.6), (0.9, 1.2))), ("wind", ((0.8, 1.5),))]
    assert [words for words, _ in of(own, engine, 1.1)] == ["rain", "wind"]
    assert of(own, engine, 1.6) == []
    ((_, ((begin, end),)),) = of(own, engine, 2.5, delay_s=0.1)
    assert (begin, end) == pytest.approx((0.4, 1.4))
    assert of(AS_THE_RUN, engine) == of(ClipSettings(sheet([Cue(0.5)])), engine) == []


def test_what_lasts_to_either_end_of_a_clip_does_not_fade_there(engine: Engine) -> None:
    own = ClipSettings(sheet([], None, "", [Lasting(0.0, 1.0, "rain")]))
    assert of(own, engine, end_s=1.0) == [("rain", ((-math.inf, math.inf),))]
    assert of(own, engine, end_s=1.1) == [("rain", ((-math.inf, 1.0),))]
    assert of(own, engine, end_s=1.1, delay_s=0.05) == [("rain", ((-math.inf, 0.95),))]


def test_what_follows_at_once_meets_without_a_hole(engine: Engine) -> None:
    own = ClipSettings(sheet([Cue(0.5)], None, "", [Lasting(0.4, 0.8, "rain"), Lasting(0.8, 1.2, "wind")]))
    ((_, ((begin, met),)), (_, ((meets, end),))) = of(own, engine)
    assert (begin, end) == (0.4, 1.2)
    assert (met, meets) == pytest.approx((0.85, 0.75))


def test_rain_is_made_by_its_words_alone_and_of_steps_the_picture_says_when(engine: Engine) -> None:
    own = ClipSettings(sheet([], None, "", [Lasting(0.1, 0.5, "rain"), Lasting(0.5, 1.0, "footsteps on wood")]))
    rain, steps = told_layers(own, 0.0, engine)
    assert engine.words is not None
    assert not rain.track.picture
    assert steps.track.picture
    for layer, family in ((rain, "rain"), (steps, "footsteps")):
        assert set(layer.track.family.tolist()) == {engine.words.families.index(family) + 1}
        assert not layer.track.known.any()
        assert not layer.track.presence.any()
    blind = ClipSettings(own.cues, picture=False)
    assert not any(layer.track.picture for layer in told_layers(blind, 0.0, engine))
    unlearnt = ClipSettings(sheet([], None, "", [Lasting(5.0, 6.0, "ceramic")]))
    with pytest.raises(UsageError, match="the model has not learnt ceramic"):
        told_layers(unlearnt, 0.0, engine)


def test_nothing_but_cues_is_told_where_something_goes_on(engine: Engine) -> None:
    bare, stretch = sheet([Cue(0.5)], None), Lasting(0.2, 0.8, "rain")
    rainy = ClipSettings(sheet([Cue(0.5)], None, "", [stretch]))
    one, other = told(ClipSettings(bare), 0.0, engine), told(rainy, 0.0, engine)
    assert one is not None
    assert other is not None
    for name in ("presence", "known", "family", "material"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    partly = ClipSettings(sheet([], [Stretch(0.9, 1.0)], "", [stretch]))
    added = ClipSettings(filled(rainy.cues)) if rainy.cues is not None else AS_THE_RUN
    assert engine.cue_grid is not None
    at = [int(second / engine.cue_grid.frame_s) for second in (0.05, 0.3, 0.75)]
    for own in (partly, added):
        track = told(own, 0.0, engine)
        assert track is not None
        assert track.known[at].tolist() == [False, True, True]


def most(*cues: Cue, stretch: Lasting = RAIN) -> float:
    (layer,) = told_layers(ClipSettings(sheet(cues, None, "", [stretch])), 0.0, tiny())
    return layer.most_lufs


def test_what_goes_on_lies_under_the_hits_that_are_told() -> None:
    assert most() == math.inf
    assert most(Cue(1.0, 0.1)) == BESIDE_LUFS
    assert most(Cue(1.0), Cue(2.5, 1.0), Cue(3.0, 0.5)) == pytest.approx(BESIDE_LUFS - UNDER_LU - 6.02, abs=0.01)
    assert most(Cue(2.5)) == pytest.approx(BESIDE_LUFS - UNDER_LU - 3.7)
    assert most(Cue(2.5, 0.01)) == pytest.approx(BESIDE_LUFS - UNDER_LU - 12.04, abs=0.01)


# How it is laid in


def test_layers_are_heard_in_their_stretches_alone() -> None:
    grid = tiny().cue_grid
    assert grid is not None
    own = ClipSettings(sheet([], None, "", [RAIN, Lasting(3.0, 5.0, "wind")]))
    asked = Asked(own, 0.0, 8.0, np.zeros((grid.frames, 128), np.float32), WindowKey(0, "a", 0, 1))
    ((rain, wind),) = Layers(tiny(), RenderSettings()).apart([asked], 2)
    seconds = np.arange(rain.shape[1]) / 62.5
    for layer, (begin, end) in ((rain, (2.0, 3.5)), (wind, (3.0, 5.0))):
        heard = torch.isfinite(layer).all(dim=0).numpy()
        assert np.array_equal(heard, (seconds > begin) & (seconds < end))
        level = layer.mean(dim=0).numpy()
        assert level[heard][0] < level[heard][10:-10].min()
        assert level[heard][-1] < level[heard][10:-10].min()
    mel = torch.full_like(rain, 0.05)
    (both,) = laid(mel[None], [[rain, wind]])
    assert torch.equal(both, torch.maximum(torch.maximum(mel, rain), wind))
    plain = mel[None]
    assert laid(plain, [[]]) is plain


def test_what_goes_on_is_as_loud_in_every_window() -> None:
    """One that comes out soft is raised; hits that the picture has are not."""
    grid = tiny().cue_grid
    assert grid is not None
    features = np.zeros((grid.frames, 128), np.float32)
    meter = MelLoudness(mel_config(tiny().bundle))

    def levels(*stretches: Lasting, cues: tuple[Cue, ...] = (), lower: float = 0.0) -> list[float]:
        maker = Layers(tiny(), RenderSettings())
        asked = Asked(ClipSettings(sheet(cues, None, "", stretches)), 0.0, 8.0, features, WindowKey(0, "a", 0, 1))
        told = told_layers(asked.own, 0.0, tiny(), end_s=8.0)
        (row,) = maker.apart([asked], len(told))
        return [float(meter.integrated(maker._heard((mel - lower).clamp_min(0.0), asked, layer)[None]))
                for mel, layer in zip(row, told, strict=True)]  # fmt: skip

    (rain,), (softer,) = levels(Lasting(0, 8, "rain")), levels(Lasting(0, 8, "rain"), lower=0.08)
    assert softer == pytest.approx(rain, abs=0.3)
    (steps,), (faint,) = levels(Lasting(0, 8, "footsteps")), levels(Lasting(0, 8, "footsteps"), lower=0.08)
    assert faint == pytest.approx(steps - 8, abs=0.5)
    assert levels(Lasting(0, 8, "wind"), cues=(Cue(9.0),))[0] == pytest.approx(BESIDE_LUFS, abs=0.3)
    assert levels(Lasting(0, 8, "wind"))[0] > BESIDE_LUFS + 5


def test_windows_that_follow_each_other_agree_in_what_goes_on(engine: Engine) -> None:
    """Also with those of the group before, if it goes on in its last window."""
    width = engine.bundle.window_samples
    shared = engine.joint_overlap(width // 2)
    hop_s, columns = (width - shared) / engine.bundle.sample_rate, shared // engine.bundle.mel.hop_length
    own = ClipSettings(sheet([], None, "", [Lasting(0.0, 9.0, "rain")]))
    grid, maker = engine.cue_grid, Layers(engine, RenderSettings())
    assert grid is not None
    windows = [
        Asked(own, n * hop_s, 9.0, np.zeros((grid.frames, 16), np.float32), WindowKey(0, "a", n, 1)) for n in range(5)
    ]
    first, run = maker.jointly(windows[:3], shared, NO_LAYERS, 2)
    second, _ = maker.jointly(windows[3:], shared, run, 2)
    untied, _ = maker.jointly(windows[3:], shared, NO_LAYERS, 2)
    made = [layer for (layer,) in (*first, *second)]

    def apart(one: torch.Tensor, other: torch.Tensor) -> float:
        """The autoencoder hears beyond its columns, and so a little more at the ends of what is shared."""
        return float((one[:, -columns:] - other[:, :columns]).abs().mean())

    assert max(apart(one, other) for one, other in pairwise(made)) < 0.6 * apart(made[2], untied[0][0])


# What is heard


def heard(clip: Path, own: ClipSettings, **more: object) -> NDArray[np.float64]:
    output = clip.with_name(f"{len(list(clip.parent.iterdir()))}.foley.mov")
    settings = RenderSettings(stems=True, **more)  # type: ignore[arg-type]
    (found,) = render([Job(probe(clip), output, own)], tiny(), settings, None, lambda progress: None)
    assert found.error is None, found.error
    (take,) = found.takes
    assert take.stem is not None
    return wav.read(take.stem)[0].astype(np.float64) / 10 ** (take.file_gain_db / 20)


def level(samples: NDArray[np.float64], begin: float, end: float) -> float:
    part = samples[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
    return float(10 * np.log10(np.mean(part**2) + 1e-12))


@pytest.mark.parametrize("seams", ["crossfade", "joint"])
def test_told_hits_are_as_loud_as_without_the_stretch(make_clip: MakeClip, tmp_path: Path, seams: Seams) -> None:
    clip = make_clip(tmp_path / "a.mp4", seconds=9.0)
    alone = heard(clip, ClipSettings(sheet(HITS)), seams=seams)
    beside = heard(clip, ClipSettings(sheet(HITS, None, "", [RAIN])), seams=seams)
    outside = np.r_[0 : round(1.8 * SAMPLE_RATE), round(3.7 * SAMPLE_RATE) : len(alone)]
    assert np.abs((alone - beside)[outside]).max() < 1e-3
    rain = [level(beside, second, second + 0.1) for second in np.arange(2.1, 3.35, 0.1)]
    assert max(rain) < level(beside, 6.99, 7.1)
    assert np.median(rain) > -45
    assert level(alone, 2.1, 3.4) < np.median(rain) - 20


def test_a_preview_has_what_goes_on(make_clip: MakeClip, tmp_path: Path) -> None:
    info = probe(make_clip(tmp_path / "a.mp4", seconds=5.0))
    own = ClipSettings(sheet([], None, "", [RAIN]))
    made = render_window(info, tiny(), RenderSettings(), 0.0, 5.0, own)
    quiet, rain = made.mel[:, : round(1.9 * 62.5)], made.mel[:, round(2.2 * 62.5) : round(3.3 * 62.5)]
    assert rain.mean() > quiet.mean() + 0.1


def test_layers_are_the_same_in_every_attempt(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    apart = Layers.apart

    def counted(self: Layers, windows: list[Asked], rows: int) -> list[list[torch.Tensor]]:
        made.append(windows[0].key)
        return apart(self, windows, rows)

    monkeypatch.setattr(layers.Layers, "apart", counted)
    monkeypatch.setattr(sound.Sampler, "_faults", lambda *_: 1)
    heard(make_clip(tmp_path / "a.mp4", seconds=2.0), ClipSettings(sheet([], None, "", [Lasting(0.5, 1.5, "rain")])),
          seams="crossfade")  # fmt: skip
    assert len(made) == 1


# Whether it is heard


def chunks(samples: NDArray[np.float64], *cuts: int) -> list[NDArray[np.float32]]:
    return np.split(samples.astype(np.float32), cuts, axis=-1)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_stretch_in_which_its_sound_is_not_heard(channels: int) -> None:
    rate = 1000
    noise = np.random.default_rng(0).standard_normal(10 * rate) * 0.01
    gate = np.zeros(10 * rate)
    gate[3 * rate : 5 * rate] = 1  # from 2 to 4 s after the first picture, with a second of handle
    gate[7 * rate : 7 * rate + 60] = 30  # a blow at 6 s
    samples = noise * gate if channels == 1 else np.stack([noise * gate, 0 * noise])
    told = [
        Lasting(2.0, 4.0, "rain"),
        Lasting(1.0, 4.0, "wind"),
        Lasting(0.0, 4.0, "rain"),
        Lasting(3.92, 3.98, "fire"),
        Lasting(5.5, 6.5, "rain"),
        Lasting(5.5, 6.5, "footsteps"),
        Lasting(4.0, 5.0, "footsteps"),
        Lasting(20.0, 21.0, "rain"),
    ]
    for cuts in ((), (1, 150, 151, 4000), range(64, 10 * rate, 64)):
        found = silent(told, chunks(samples, *cuts), rate, -1.0)
        assert found == (told[2], told[4], told[6], told[7])
    assert silent((), iter(()), rate, 0.0) == ()


def test_what_is_not_heard_is_told_and_does_not_count(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ClipSettings(sheet([], None, "", [Lasting(0.2, 1.4, "rain"), steps := Lasting(1.6, 2.8, "footsteps")]))
    heard = Layers._heard

    def deaf(self: Layers, mel: torch.Tensor, window: Asked, layer: ToldLayer) -> torch.Tensor:
        return heard(self, mel, window, layer) if layer.words == "rain" else torch.full_like(mel, -math.inf)

    monkeypatch.setattr(Layers, "_heard", deaf)
    job = Job(probe(make_clip(tmp_path / "a.mp4", seconds=3.0)), tmp_path / "a.foley.mov", own)
    (found,) = render([job], tiny(), RenderSettings(), None, lambda progress: None)
    kept = found.takes[0].obedience
    assert kept is not None
    assert (kept.lasting, kept.heard, kept.silent) == (2, 1, (steps,))
    (said,) = [one for one in found.warnings if "footsteps" in one]
    assert said.startswith("nothing is heard of footsteps from 1.600 to 2.800 s; give cues in place of the stretch")
