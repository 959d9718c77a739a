"""Held-out scenes whose hits a library plays: is each on its cue, as strong as asked, without a click, and no other's?

S samples. The model's sound is made once for each clip, told all cues and words; every voice plays from that one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.audio.mel import MelSpectrogram
from foleygen.audio.onsets import detect
from foleygen.cues.cue import sheet
from foleygen.cues.words import table
from foleygen.engines.building import mel_config
from foleygen.engines.foley import Engine
from foleygen.errors import UsageError
from foleygen.evaluation.cues.arms import Arm, cues_of, track_for
from foleygen.evaluation.cues.level import followed, hit_levels
from foleygen.evaluation.generated import Generated, audible_events, sync_report
from foleygen.evaluation.naming import Namers, share_named
from foleygen.evaluation.playing import has_click, leaps, repeats
from foleygen.evaluation.report import Cell, text_table
from foleygen.facts import SAMPLE_RATE, Cue, Played
from foleygen.library.rates import changed
from foleygen.models.sound_judge import LABELS
from foleygen.pipeline.voices.play import Voiced, voiced
from foleygen.pipeline.voices.player import Take
from foleygen.pipeline.voices.shelf import Shelf
from foleygen.sampling.noise import WindowKey
from foleygen.scenes.catalogue import CONTINUOUS
from foleygen.settings import ClipSettings, Voice
from foleygen.training.data.dataset import ClipRecord, SceneDataset

VOICES: tuple[Voice, ...] = ("model", "library", "both")
ON_CUE_S = 0.005
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Sounding:
    """A clip in one voice: samples at 48 kHz, what was played in it, and how long that took beside the model."""

    generated: Generated
    samples: Samples
    played: tuple[Played, ...]
    clicks: int
    seconds: float
    model_s: float
    levels: NDArray[np.float64]
    strengths: NDArray[np.float64]


@dataclass(frozen=True)
class VoiceReport:
    """One voice over the clips with events.

    ``on_cue`` is the share of cues within whose 40 ms the level leaps up most less than 5 ms away; ``played`` and
    ``on_cue_played`` count those that the library plays. ``null_50ms``: the same sounds against events of other clips
    of the family. ``strength`` is the mean over clips of the correlation of a hit's level with its strength in dB.
    ``clicks`` are hits with a sample step that their recording does not have, ``repeats`` those of the event before.
    ``speed``: the model's time over that of model and playing. ``family`` and ``material``: how many a judge names.
    """

    voice: str
    clips: int
    cues: int
    played: int
    f1_50ms: float | None
    null_50ms: float | None
    median_error_ms: float | None
    on_cue: float | None
    on_cue_played: float | None
    strength: float | None
    clicks: int
    repeats: int
    speed: float
    family: float | None
    material: float | None


@dataclass(frozen=True)
class VoicesReport:
    """Every voice, and what the judge names of the true sounds."""

    voices: tuple[VoiceReport, ...]
    true_family: float | None
    true_material: float | None

    def table(self) -> str:
        """A row for each voice."""
        rows: list[list[Cell]] = [
            [v.voice, v.clips, v.cues, v.played, v.f1_50ms, v.null_50ms, v.median_error_ms, v.on_cue, v.on_cue_played,
             v.strength, v.clicks, v.repeats, v.speed, v.family, v.material]
            for v in self.voices
        ]  # fmt: skip
        rows.append(["true sounds", *[None] * 12, self.true_family, self.true_material])
        header = ["", "clips", "cues", "played", "F1@50", "null", "median ms", "5 ms", "played", "strength", "clicks"]
        return text_table([*header, "repeats", "speed", "family", "material"], rows)


def evaluate(
    engine: Engine,
    dataset: SceneDataset,
    shelf: Shelf,
    seed: int = 0,
    judges: Namers | None = None,
    on_clip: Callable[[int, int], None] | None = None,
) -> VoicesReport:
    """Every voice on each clip of ``dataset`` that has events; ``judges`` name the sounds.

    Raises UsageError for a bundle that cannot be told anything, and where no clip has an event.
    """
    if engine.words is None:
        raise UsageError(f"{engine.bundle.name}: cannot be told when or what", "name a bundle with cues, such as tiny")
    clips = [clip for clip in dataset.clips if audible_events(clip).size and clip.family not in CONTINUOUS]
    if not clips:
        raise UsageError("no clip of the dataset has an event", "name scenes with events")
    found: dict[Voice, list[Sounding]] = {voice: [] for voice in VOICES}
    for number, clip in enumerate(clips, start=1):
        began = time.perf_counter()
        own, onsets = _model(engine, dataset, clip, seed)
        model_s = time.perf_counter() - began
        for voice in VOICES:
            found[voice].append(_sounding(engine, dataset, clip, shelf, voice, own, onsets, seed, model_s))
        if on_clip is not None:
            on_clip(number, len(clips))
    seconds = engine.bundle.window_samples / engine.bundle.sample_rate
    asked = judges or {}
    truth = _named([one.generated for one in found["model"]], asked, true=True)
    return VoicesReport(tuple(_report(voice, found[voice], seconds, asked) for voice in VOICES), *truth)


def played_by(engine: Engine, dataset: SceneDataset, shelf: Shelf, count: int, seed: int = 0) -> list[Generated]:
    """The first ``count`` clips of ``dataset``, told all cues and words, with what the library has played in them.

    Raises UsageError for a bundle that cannot be told anything.
    """
    if engine.words is None:
        raise UsageError(f"{engine.bundle.name}: cannot be told when or what", "name a bundle with cues, such as tiny")
    found = []
    for clip in dataset.clips[:count]:
        own, onsets = _model(engine, dataset, clip, seed)
        made = voiced(own, engine.bundle.sample_rate, _asked(clip, onsets, seed), shelf, "library")
        found.append(_generated(engine, dataset, clip, made.samples)[0])
    return found


def _model(engine: Engine, dataset: SceneDataset, clip: ClipRecord, seed: int) -> tuple[Samples, NDArray[np.float64]]:
    """The model's own sound (S,) of a clip, told all, and when it begins."""
    assert dataset.frames is not None, "the dataset has no pictures"
    assert engine.cue_grid is not None
    assert engine.words is not None
    with torch.inference_mode():
        features = engine.encode(torch.from_numpy(np.array(dataset.frames[clip.row]))[None]).cpu().float()
    arm = Arm("picture, cues, words", cues=True, words="right")
    track = track_for(arm, clip, (clip.family, clip.material), engine.cue_grid, engine.words)
    keys = [WindowKey(seed, f"scene/{clip.seed}", 0, 1)]
    mels = engine.mels(engine.latents(features, keys, tracks=[track]), features, [track])
    samples = engine.sounds(mels, keys)[0].numpy()
    found, rate = _mel(engine, samples)
    return samples, detect(found, rate)


def _sounding(
    engine: Engine,
    dataset: SceneDataset,
    clip: ClipRecord,
    shelf: Shelf,
    voice: Voice,
    own: Samples,
    onsets: NDArray[np.float64],
    seed: int,
    model_s: float,
) -> Sounding:
    rate = engine.bundle.sample_rate
    cues, asked = cues_of(clip), _asked(clip, onsets, seed)
    began = time.perf_counter()
    if voice == "model":
        made = Voiced(changed(own, rate, SAMPLE_RATE), (), (), tuple(onsets))
    else:
        made = voiced(own, rate, asked, shelf, voice)
    seconds = time.perf_counter() - began
    generated, mel_rate = _generated(engine, dataset, clip, made.samples)
    return Sounding(
        generated=generated,
        samples=made.samples,
        played=made.played,
        clicks=sum(has_click(shelf, event, one) for event, one in zip(made.events, made.played, strict=True)),
        seconds=seconds,
        model_s=model_s,
        levels=hit_levels(generated.mel, [cue.time_s for cue in cues], mel_rate),
        strengths=20 * np.log10([cue.strength or 1.0 for cue in cues]),
    )


def _asked(clip: ClipRecord, onsets: NDArray[np.float64], seed: int) -> Take:
    """All cues of a clip, and its words; what has no events goes on all through."""
    cues = [Cue(cue.time_s, cue.strength) for cue in cues_of(clip)]
    own = ClipSettings(sheet(cues) if cues else None, _words(clip))
    return Take(own, tuple(onsets.tolist()), 0.0, (seed, f"scene/{clip.seed}", 1))


def _generated(engine: Engine, dataset: SceneDataset, clip: ClipRecord, samples: Samples) -> tuple[Generated, float]:
    """Samples (S,) at 48 kHz as the model would hear them, and the rate of the mel."""
    heard, mel_rate = _mel(engine, changed(samples, SAMPLE_RATE, engine.bundle.sample_rate))
    true_mel = dataset.mels[clip.row].astype(np.float32)
    return Generated(clip, heard, true_mel, detect(heard, mel_rate), audible_events(clip)), mel_rate


def _words(clip: ClipRecord) -> str:
    family, known = clip.family, table().families
    return f"{family} {clip.material}" if clip.material in known[family].materials else family


def _mel(engine: Engine, samples: Samples) -> tuple[NDArray[np.float32], float]:
    mel = MelSpectrogram(mel_config(engine.bundle).in_decibels)
    with torch.inference_mode():
        return mel(torch.from_numpy(samples)[None])[0].numpy(), mel.config.frame_rate


def _report(voice: str, found: Sequence[Sounding], seconds: float, judges: Namers) -> VoiceReport:
    generated = [one.generated for one in found]
    sync = sync_report(generated, seconds)
    near = [error <= ON_CUE_S for one in found for error in leaps(one.samples, one.generated.events)]
    of_played = [
        error <= ON_CUE_S for one in found for error in leaps(one.samples, [hit.seconds for hit in one.played])
    ]
    model_s = sum(one.model_s for one in found)
    family, material = _named(generated, judges)
    return VoiceReport(
        voice=voice,
        clips=len(found),
        cues=sum(one.generated.events.size for one in found),
        played=sum(len(one.played) for one in found),
        f1_50ms=sync.score.f1_50ms,
        null_50ms=sync.other_clip.f1_50ms if sync.other_clip else sync.shifted.f1_50ms,
        median_error_ms=sync.score.median_error_ms,
        on_cue=float(np.mean(near)),
        on_cue_played=float(np.mean(of_played)) if of_played else None,
        strength=followed([(one.levels, one.strengths) for one in found]),
        clicks=sum(one.clicks for one in found),
        repeats=sum(repeats(one.played) for one in found),
        speed=model_s / (model_s + (sum(one.seconds for one in found) if voice != "model" else 0.0)),
        family=family,
        material=material,
    )


def _named(generated: Sequence[Generated], judges: Namers, true: bool = False) -> list[float | None]:
    """The shares of LABELS that the judges name rightly, of the sounds or of the true ones."""
    mels = [one.true_mel if true else one.mel for one in generated]
    return [
        share_named(judges[label], judges[label].predict(mels), [getattr(one.record, label) for one in generated])
        if label in judges
        else None
        for label in LABELS
    ]
