"""The measures of the second engine: the ideal method has the ideal score, the nulls are worse, the command tells."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from ambience_bundles import MEL, TAGS, load_composer, write_ambience
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import firwin, oaconvolve

from foleygen.cli.app import Invocation, cli
from foleygen.engines.composer import Composer
from foleygen.errors import FoleygenError, UsageError
from foleygen.evaluation.ambience import bandwidth as ambience_bandwidth
from foleygen.evaluation.ambience import fill as ambience_fill
from foleygen.evaluation.ambience import sounds as ambience
from foleygen.evaluation.ambience import tags as ambience_tags
from foleygen.evaluation.ambience.sounds import Sound
from foleygen.evaluation.ambience.tags import Listener
from foleygen.media import wav
from foleygen.models.tagger import Tagger, TaggerConfig
from foleygen.weights import parts

RATE = MEL.sample_rate
BAND = (8000.0, 20000.0)
TAGGER = TaggerConfig(MEL.num_mels, len(TAGS), (8, 8))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "noises"
    write_ambience(folder)
    return folder


@pytest.fixture(scope="module")
def composer(bundle: Path) -> Composer:
    return load_composer(bundle)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger")
    torch.manual_seed(0)
    config = {"kind": "tagger", "tags": list(TAGS), "model": {**asdict(TAGGER), "widths": list(TAGGER.widths)}}
    parts.save(folder, config, Tagger(TAGGER).state_dict())
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two that can be measured; others are too short, too dull, silent, or to be learnt from."""
    folder = tmp_path_factory.mktemp("recordings")
    lines = ["file\tclass\tfold"]
    for name, seconds, rate, level, fold in (
        ("esc10__rain__1.wav", 4.5, 44100, 0.2, "test"),
        ("esc10__rain__2.wav", 4.0, 48000, 0.2, "test"),
        ("esc10__rain__3.wav", 3.0, 44100, 0.2, "test"),
        ("esc10__rain__4.wav", 4.5, 32000, 0.2, "test"),
        ("esc10__rain__5.wav", 4.5, 44100, 0.0, "test"),
        ("esc10__rain__6.wav", 4.5, 44100, 0.2, "train"),
    ):
        wav.write(folder / "files" / name, [level * noise(round(seconds * rate))], rate)
        lines.append(f"{name}\train\t{fold}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, length).astype(np.float32)


def called(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [str(each) for each in arguments], obj=Invocation(), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def refused(*arguments: object) -> FoleygenError:
    with pytest.raises(FoleygenError) as caught:
        called("evaluate", "ambience", *arguments)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def test_recordings_that_can_be_measured_are_chosen_by_the_manifest_alone(recordings: Path) -> None:
    sounds = ambience.recorded(recordings, "test", RATE, 24)
    assert {sound.name for sound in sounds} == {"esc10__rain__1", "esc10__rain__2"}
    assert {len(sound.samples) for sound in sounds} == {round(4.5 * RATE), 4 * RATE}
    (one,) = ambience.recorded(recordings, "test", RATE, 1)
    assert one.name == sounds[0].name
    assert [sound.name for sound in ambience.recorded(recordings, "train", RATE, 24)] == ["esc10__rain__6"]


def test_scenes_come_from_the_seeds_kept_for_tests() -> None:
    sounds = ambience.held_out(RATE, 2, None)
    assert 1 <= len(sounds) <= 2
    assert all(int(sound.name.split()[-1]) >= 1_000_000 for sound in sounds)
    assert all(len(sound.samples) == round(ambience.LONGEST_S * RATE) for sound in sounds)


def test_what_comes_back_unchanged_scores_perfectly(composer: Composer) -> None:
    sounds = [0.2 * noise(8192 * 4), 0.2 * noise(8192 * 4, seed=1)]
    mels = [composer.hear(sound[None])[0].numpy() for sound in sounds]
    perfect = ambience.score(mels, mels, sounds, sounds)
    assert perfect.mel_l1 == perfect.log_spectral_distance_db == perfect.stft == 0
    assert perfect.frequency_gradient_ratio == perfect.roughness_ratio == 1
    swapped = ambience.score(mels[::-1], mels, sounds[::-1], sounds)
    assert swapped.mel_l1 > 0
    assert swapped.stft > 0
    report = ambience.round_trip(composer, [Sound("noise", sounds[0])])
    assert report.scores["tokenizer"].stft is None
    assert all(score.mel_l1 > 0 for score in report.scores.values())
    assert "tokenizer and vocoder" in report.table()


def test_a_band_copied_from_the_truth_is_at_no_distance() -> None:
    true = [0.2 * noise(RATE, seed) for seed in range(2)]
    narrow = [oaconvolve(each, firwin(801, 7900, fs=RATE), mode="same").astype(np.float32) for each in true]
    other = [low + (wide - low)[::-1] for low, wide in zip(narrow, true, strict=True)]
    sounds = [Sound(str(number), each) for number, each in enumerate(true)]
    ideal = ambience_bandwidth.compared(sounds, true, {"before": narrow, "after": true}, RATE, BAND)
    assert ideal.ratio == ideal.scores["after"].log_spectral_distance_db == ideal.scores["after"].level_db == 0
    assert ideal.scores["after"].roughness_ratio == 1
    assert ideal.scores["before"].log_spectral_distance_db > 20
    assert ideal.scores["before"].level_db < -20
    alike = ambience_bandwidth.compared(sounds, true, {"before": narrow, "after": other}, RATE, BAND)
    # Another noise of the same spectrum: two independent levels of a Rayleigh bin differ by 7.9 dB.
    assert alike.scores["after"].log_spectral_distance_db == pytest.approx(7.9, abs=0.3)
    assert alike.scores["after"].roughness_ratio == pytest.approx(1, abs=0.05)
    assert ideal.distances_db["1"][1] == 0


def test_what_averages_noise_is_not_rough() -> None:
    true = [0.2 * noise(RATE, seed) for seed in range(2)]
    click = np.zeros(RATE, np.float32)
    click[::3000] = 0.3  # at most one in a window: all its bins are at one level
    flat = ambience_bandwidth.compared(
        [Sound("a", true[0]), Sound("b", true[1])], true, {"before": true, "after": [click, click]}, RATE, BAND
    )
    assert flat.scores["after"].roughness_ratio < 0.7


def test_the_low_band_error_is_what_was_planted() -> None:
    before = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    below = 0.0005 * np.sin(2 * np.pi * 3000 * np.arange(RATE) / RATE).astype(np.float32)
    above = 0.5 * np.sin(2 * np.pi * 12000 * np.arange(RATE) / RATE).astype(np.float32)
    found = ambience_bandwidth.low_band_error_db(before + below + above, before, RATE, 8000)
    assert found == pytest.approx(-60, abs=0.1)


def test_a_bundle_widens_what_was_cut_and_leaves_the_rest(composer: Composer) -> None:
    report = ambience_bandwidth.evaluate(composer, [Sound("noise", 0.2 * noise(RATE))])
    assert list(report.scores) == ["before", "after", "tokenizer and vocoder", "vocoder"]
    assert report.low_band_error_db < -60
    assert report.scores["before"].level_db < report.scores["after"].level_db
    assert "after / before" in report.table()


def test_the_truth_fills_a_hole_without_a_trace(composer: Composer) -> None:
    rain = oaconvolve(noise(6 * RATE), firwin(301, 6000, fs=RATE), mode="same").astype(np.float32)
    sounds = [Sound("rain", 0.3 * rain), Sound("short", 0.3 * rain[:RATE])]
    truth = {"truth": lambda samples, first, last: sounds[0].samples[first:last]}
    nulls = ambience_fill.nulls(2205)
    report = ambience_fill.compare(composer, sounds, 1.0, {**truth, **nulls})
    assert report.sounds == 1
    ideal, silent, looped = (report.scores[name] for name in ("truth", "silence", "loop"))
    assert ideal == report.scores["true"]
    assert ideal.mean_db == ideal.deviation_db == ideal.energy_db == 0
    for other in (silent, looped, report.scores["neighbours"]):
        assert min(other.mean_db, other.deviation_db, other.energy_db) > 0
    # A loop of noise is noise; silence is not.
    assert silent.energy_db > 10 * looped.energy_db
    assert silent.prominence_db > looped.prominence_db + 20


@given(st.integers(2, 30), st.integers(2, 30), st.floats(-20, 20), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_the_energy_distance_is_a_distance(ours: int, theirs: int, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(ours, 8)), rng.normal(size=(theirs, 8)) + shift
    found = ambience_fill.energy_distance(first, second)
    assert found == pytest.approx(ambience_fill.energy_distance(second, first))
    assert found >= 0
    assert ambience_fill.energy_distance(first, rng.permutation(first)) == pytest.approx(0, abs=1e-9)
    still = np.zeros((ours, 8))
    assert ambience_fill.energy_distance(still, still + shift) == pytest.approx(abs(shift))


@pytest.mark.parametrize("length", [1, 100, 4000])
@pytest.mark.parametrize("sides", [(3, 3), (100, 7), (5000, 5000)])
def test_no_null_listens_to_what_was_in_the_hole(length: int, sides: tuple[int, int]) -> None:
    own = noise(sides[0] + length + sides[1])
    torn = own.copy()
    first, last = sides[0], sides[0] + length
    torn[first:last] = 9
    for method in ambience_fill.nulls(50).values():
        assert np.array_equal(method(own, first, last), method(torn, first, last))
        assert method(own, first, last).shape == (length,)


def test_a_bundle_fills_holes(composer: Composer) -> None:
    sounds = [Sound("rain", 0.3 * noise(4 * RATE))]
    report = ambience_fill.evaluate(composer, sounds, 0.5, candidates=1)
    assert list(report.scores) == ["true", "composed", "silence", "neighbours", "loop"]
    assert report.scores["composed"].energy_db < report.scores["silence"].energy_db
    assert "energy dB" in report.table()


class Level(Tagger):
    """Knows the first tag by its level: the mean of the mel decides."""

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return torch.stack([mel.mean((1, 2)) - 0.5, 0.5 - mel.mean((1, 2)), *[-torch.ones(len(mel))] * 2], dim=1)


def test_a_listener_that_is_right_says_so() -> None:
    listener = Listener(Level(TAGGER), TAGS)
    loud, quiet = torch.ones(128, 32), torch.zeros(128, 32)
    right = ambience_tags.named(listener, [(TAGS[0], loud), (TAGS[1], quiet)])
    assert (right.sounds, right.named, right.named_in_three) == (2, 1, 1)
    wrong = ambience_tags.named(listener, [(TAGS[1], loud), (TAGS[3], quiet)])
    assert (wrong.named, wrong.named_in_three) == (0, 0.5)


def test_windows_of_every_tag_are_composed_and_named(composer: Composer, tagger: Path) -> None:
    listener = ambience_tags.open_listener(tagger, composer)
    true = list(ambience_tags.true_sounds(composer, TAGS, 2, None))
    assert {tag for tag, _ in true} <= set(TAGS)
    assert all(mel.shape == (128, 848) for _, mel in true)
    report = ambience_tags.evaluate(composer, listener, 1, true)
    assert report.scores["composed"].sounds == len(TAGS)
    assert report.chance == 1 / len(TAGS)
    assert sum(report.by_tag.values()) == round(report.scores["composed"].named * len(TAGS))
    assert [len(heard) for heard in report.heard_as.values()] == [1] * len(TAGS)
    assert "chance: 0.250" in report.table()


def test_the_command_measures_and_its_json_parses(bundle: Path, recordings: Path, tagger: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    common = ("evaluate", "ambience", "--model", bundle, "--recordings", recordings, "--count", 1, "--per-tag", 1)
    found = json.loads(called(*common, "--tagger", tagger, "--candidates", 1, "--plot", tmp_path / "a.png", "--json"))
    holes = [f"holes of {gap:g} s" for gap in ambience_fill.GAPS_S]
    assert list(found) == ["tags", "round trip", "bandwidth", *holes]
    assert found["bandwidth"]["sounds"] == found["holes of 1 s"]["sounds"] == 1
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    text = called(*common, "--what", "roundtrip")
    assert text.startswith("round trip\n1 sounds")


def test_what_cannot_be_measured_is_said_in_one_sentence(
    bundle: Path, recordings: Path, tagger: Path, tmp_path: Path
) -> None:
    model = ("--model", bundle)
    with pytest.raises(click.BadParameter, match="'taste' is not one of roundtrip, bandwidth, fill, tags"):
        called("evaluate", "ambience", *model, "--what", "fill,taste")
    assert "--tagger" in refused(*model, "--what", "tags").remedy
    assert "manifest.tsv: does not exist" in str(refused(*model, "--recordings", tmp_path))
    assert "holds no training run" in str(refused(*model, "--tagger", tmp_path / "none"))
    (tmp_path / "manifest.tsv").write_text("file\tclass\tfold\na.wav\train\ttrain\n")
    assert "no recording of the fold 'test'" in str(refused(*model, "--recordings", tmp_path))
    (tmp_path / "manifest.tsv").write_text("file\tclass\tfold\na.wav\train\ttest\n")
    assert "lists a.wav, which is not there" in str(refused(*model, "--recordings", tmp_path))
    other = tmp_path / "other"
    config = {"kind": "tagger", "tags": ["ponies"], "model": {"num_mels": 128, "num_tags": 1, "widths": [8, 8]}}
    parts.save(other, config, Tagger(TaggerConfig(128, 1, (8, 8))).state_dict())
    assert "1 tags are not the 4" in str(refused(*model, "--tagger", other))
    with pytest.raises(UsageError):
        ambience.held_out(RATE, 1, tmp_path / "nowhere")
