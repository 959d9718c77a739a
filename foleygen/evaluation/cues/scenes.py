"""Held-out scenes with known events, asked for in several ways: are cues and words obeyed, and how loud is it?

N clips, M mels, T frames, S samples. Sounds are measured as the vocoder gives them, before anything limits them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen import scenes
from foleygen.audio.mel import MelSpectrogram
from foleygen.audio.onsets import detect, match
from foleygen.engines.building import mel_config
from foleygen.engines.foley import Engine
from foleygen.errors import UsageError
from foleygen.evaluation import reconstruction
from foleygen.evaluation.cues.again import Asked, made
from foleygen.evaluation.cues.arms import (
    ARMS,
    Arm,
    Told,
    cues_of,
    other_row,
    other_word,
    seen_track,
    track_for,
    words_for,
)
from foleygen.evaluation.cues.families import TRUE, by_family
from foleygen.evaluation.cues.level import Level, followed, hit_levels, level_of
from foleygen.evaluation.cues.named import named
from foleygen.evaluation.cues.report import ArmReport, CuesReport
from foleygen.evaluation.generated import Generated, audible_events, sync_report
from foleygen.evaluation.naming import Namers
from foleygen.sampling.noise import WindowKey, generator
from foleygen.training.data.dataset import ClipRecord, SceneDataset

OBEYED_S = 0.030
"""A cue counts as obeyed with an onset this near."""
ATTACK_FRAMES = 7
"""Mel frames after an event that its attack is taken from: 112 ms."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """One sound: what it was asked for, and what came; ``levels`` of its hits in dB, and the words that were said."""

    generated: Generated
    level: Level
    levels: Floats
    strengths: Floats
    told: Told = (None, None)


def evaluate(
    engine: Engine,
    dataset: SceneDataset,
    arms: Sequence[Arm] = ARMS,
    seed: int = 0,
    batch_size: int = 8,
    on_clip: Callable[[int, int], None] | None = None,
    on_arm: Callable[[str, Sequence[Heard]], None] | None = None,
    judges: Namers | None = None,
    attempts: int = 0,
) -> CuesReport:
    """Every arm on every clip of ``dataset``, whose recordings and seeds training must not have seen.

    ``on_arm`` gets the sounds of each arm, the true ones first; ``judges`` name them. Windows that do not keep to their
    cues are made again up to ``attempts`` times. Raises UsageError for a bundle that cannot be told anything.
    """
    if engine.words is None:
        raise UsageError(f"{engine.bundle.name}: cannot be told when or what", "name a bundle with cues, such as tiny")
    asked, features = judges or {}, _features(engine, dataset)
    truth, seconds = _true_sounds(engine, dataset), engine.bundle.window_samples / engine.bundle.sample_rate
    reports = [_report(TRUE, truth, truth, seconds, asked)]
    if on_arm is not None:
        on_arm(TRUE, truth)
    for number, arm in enumerate(arms):
        heard: list[Heard] = []
        for start in range(0, len(dataset.clips), batch_size):
            rows = range(start, min(start + batch_size, len(dataset.clips)))
            heard.extend(_made(engine, dataset, arm, features, rows, seed, attempts))
            if on_clip is not None:
                on_clip(number * len(dataset.clips) + len(heard), len(arms) * len(dataset.clips))
        if on_arm is not None:
            on_arm(arm.says, heard)
        reports.append(_report(arm.says, heard, truth, seconds, asked))
    return CuesReport(tuple(reports))


def _features(engine: Engine, dataset: SceneDataset) -> torch.Tensor:
    """(N, F, C)"""
    assert dataset.frames is not None, "the dataset has no pictures"
    frames = dataset.frames
    with torch.inference_mode():
        rows = [engine.encode(torch.from_numpy(np.array(frames[clip.row]))[None]).cpu() for clip in dataset.clips]
    return torch.cat(rows).float()


def _made(
    engine: Engine, dataset: SceneDataset, arm: Arm, features: torch.Tensor, rows: range, seed: int, attempts: int
) -> list[Heard]:
    """The sounds of some clips in one arm."""
    assert engine.cue_grid is not None
    assert engine.words is not None
    clips = dataset.clips
    others = [other_row(clips, row, same_family=arm.words == "none") for row in rows]
    shown = {"own": features[list(rows)], "other": features[others]}.get(arm.picture, torch.zeros(1))
    shown = shown if arm.picture != "none" else torch.zeros_like(features[list(rows)])
    wrong = [(clips[row].family, clips[row].material) for row in (other_word(clips, row) for row in rows)]
    tracks = [
        track_for(arm, clips[row], lie, engine.cue_grid, engine.words) for row, lie in zip(rows, wrong, strict=True)
    ]
    if arm.seen:
        assert dataset.frames is not None, "the dataset has no pictures"
        frames = dataset.frames
        tracks = [seen_track(np.array(frames[clips[row].row]), features[row].numpy(), engine) for row in rows]
    keys = [WindowKey(seed, f"scene/{clips[row].seed}", 0, 1) for row in rows]
    wanted = [[cue.time_s for cue in cues_of(clips[row])] if arm.cues else [] for row in rows]
    asked = Asked(shown, keys, tracks, wanted)
    mels = made(engine, asked, arm.guidance, attempts)
    with torch.inference_mode():
        sounds = engine.vocoder(mels, [generator("evaluate cues", key) for key in keys])[
            :, : engine.bundle.window_samples
        ]
    told = [words_for(arm, clips[row], lie, engine.words) for row, lie in zip(rows, wrong, strict=True)]
    return [
        _heard(engine, dataset, clips[row], sound, said)
        for row, sound, said in zip(rows, sounds.float().cpu(), told, strict=True)
    ]


def _heard(
    engine: Engine, dataset: SceneDataset, clip: ClipRecord, sound: torch.Tensor, told: Told = (None, None)
) -> Heard:
    mel = MelSpectrogram(mel_config(engine.bundle).in_decibels)
    with torch.inference_mode():
        found = mel(sound[None])[0].numpy()
    rate = mel.config.frame_rate
    cues = cues_of(clip)
    return Heard(
        Generated(
            record=clip,
            mel=found,
            true_mel=dataset.mels[clip.row].astype(np.float32),
            onsets=detect(found, rate),
            events=audible_events(clip),
        ),
        level_of(sound.numpy(), engine.bundle.sample_rate),
        hit_levels(found, [cue.time_s for cue in cues], rate),
        20 * np.log10([cue.strength or 1.0 for cue in cues]) if cues else np.zeros(0),
        told,
    )


def _true_sounds(engine: Engine, dataset: SceneDataset) -> list[Heard]:
    """The scenes' own sounds, composed again as the dataset says."""
    from foleygen.training.data.dataset import DatasetConfig
    from foleygen.training.data.material import recordings_in

    config = DatasetConfig(**dataset.config)
    bank = recordings_in(config.recordings, config.fold) if config.recordings else None
    heard = []
    for clip in dataset.clips:
        scene = scenes.compose(
            clip.seed, family=config.families[clip.seed % len(config.families)] if config.families else None,
            material=config.material, duration_s=config.num_frames / config.frame_rate, style=config.style, bank=bank,
        )  # fmt: skip
        sound = torch.from_numpy(np.asarray(scene.sound(engine.bundle.sample_rate), np.float32))
        heard.append(_heard(engine, dataset, clip, sound[: engine.bundle.window_samples]))
    return heard


def _report(name: str, heard: Sequence[Heard], truth: Sequence[Heard], seconds: float, judges: Namers) -> ArmReport:
    generated = [replace(one.generated, true_mel=true.generated.mel) for one, true in zip(heard, truth, strict=True)]
    sync = sync_report(generated, seconds) if any(g.events.size for g in generated) else None
    timbre = reconstruction.evaluate(
        [g.mel for g in generated], [g.true_mel for g in generated], [g.record.family for g in generated]
    )
    pairs = list(zip(heard, truth, strict=True))
    struck = [g for g in generated if g.events.size]
    names = {label: namer.predict([g.mel for g in generated]) for label, namer in judges.items()}
    score, null = (sync.score, sync.other_clip) if sync else (None, None)
    return ArmReport(
        arm=name,
        clips=len(heard),
        events=score.events if score else 0,
        f1_50ms=score.f1_50ms if score else None,
        null_50ms=null.f1_50ms if null else None,
        f1_100ms=score.f1_100ms if score else None,
        null_100ms=null.f1_100ms if null else None,
        precision=score.precision if score else None,
        recall=score.recall if score else None,
        median_error_ms=score.median_error_ms if score else None,
        obeyed=_obeyed(struck),
        strength=_strength(heard),
        loudness_lufs=_median([one.level.lufs for one in heard if one.level.lufs is not None]),
        level_error=_apart([(one.level.lufs, true.level.lufs) for one, true in pairs]),
        delivered_error=_apart([(one.level.delivered_lufs, true.level.lufs) for one, true in pairs]),
        peak_db=_median([one.level.peak_db for one in heard]),
        over_full_scale=float(np.mean([one.level.peak_db > 0 for one in heard])),
        gradient=timbre.frequency_gradient_ratio,
        spectrum_l1=timbre.spectrum_l1,
        spectrum_l1_other=timbre.spectrum_l1_other_clip,
        attack_l1=_attack(struck, seconds),
        families=by_family(generated, sync.families if sync else {}, names.get("family")),
        named=named(judges, names, [g.record for g in generated], [one.told for one in heard]),
    )


def _apart(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Median distance between two loudnesses, where both are something."""
    return _median([abs(one - other) for one, other in pairs if one is not None and other is not None])


def _obeyed(struck: Sequence[Generated]) -> float | None:
    events = sum(g.events.size for g in struck)
    return sum(match(g.onsets, g.events, OBEYED_S).hits for g in struck) / events if events else None


def _strength(heard: Sequence[Heard]) -> float | None:
    return followed([(one.levels, one.strengths) for one in heard])


def _attack(struck: Sequence[Generated], seconds: float) -> float | None:
    apart = [np.abs(_after(g, g.mel, seconds) - _after(g, g.true_mel, seconds)).mean() for g in struck]
    return float(np.mean(apart)) if apart else None


def _after(generated: Generated, mel: NDArray[np.float32], seconds: float) -> Floats:
    """The mean spectrum (M,) after the events, less its mean."""
    rate = mel.shape[1] / seconds
    firsts = [min(round(time * rate), mel.shape[1] - 1) for time in generated.events]
    spectrum: Floats = np.mean([mel[:, first : first + ATTACK_FRAMES].mean(axis=1) for first in firsts], axis=0)
    level: Floats = spectrum - spectrum.mean()
    return level


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
