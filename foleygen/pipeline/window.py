"""One window for a preview, or a whole track in memory; no file is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.audio import onsets
from foleygen.audio.delay import delayed
from foleygen.audio.mel import to_decibels
from foleygen.audio.obedience import best_of
from foleygen.engines.foley import Engine
from foleygen.facts import SAMPLE_RATE
from foleygen.features.cache import FeatureCache
from foleygen.features.extract import extract
from foleygen.media.channels import centred
from foleygen.media.frames import FrameRequest, read
from foleygen.media.probe import ClipInfo
from foleygen.pipeline.channels import delivered
from foleygen.pipeline.cueing import ATTEMPTS, begins, obedience, told
from foleygen.pipeline.extent import start_of, window_seconds
from foleygen.pipeline.jobs import Job, Progress
from foleygen.pipeline.layers import Asked, Layers, laid
from foleygen.pipeline.pictures import features_of, frame_rule, views
from foleygen.pipeline.sight import Seen
from foleygen.pipeline.sound import Sampler, joined
from foleygen.pipeline.tracks import Track, failing
from foleygen.sampling.noise import WindowKey
from foleygen.settings import AS_THE_RUN, ClipSettings, RenderSettings

if TYPE_CHECKING:
    from foleygen.pipeline.voices.shelf import Shelf


@dataclass(frozen=True)
class WindowResult:
    """One window for a preview: samples, (S,) or (2, S), its mel (mels, frames) in [0, 1], and motion per frame at
    ``motion_rate``."""

    samples: NDArray[np.float32]
    sample_rate: int
    mel: NDArray[np.float32]
    motion: NDArray[np.float32]
    motion_rate: float


def render_window(
    info: ClipInfo,
    engine: Engine,
    settings: RenderSettings,
    at_s: float,
    seconds: float,
    own: ClipSettings = AS_THE_RUN,
    shelf: Shelf | None = None,
    seen: Seen | None = None,
) -> WindowResult:
    """One window that begins ``at_s`` seconds into the clip, cut to ``seconds``; no cache, no file.

    One that does not keep to its cues is made again, as in a finished clip. ``shelf`` is the library that plays if the
    voice is not the model's: then its samples are at 48 kHz. They are in as many channels as a finished clip's.
    ``seen`` is the window, where it has been looked at.
    """
    bundle = engine.bundle
    start = start_of(at_s, bundle)
    frames, features = seen if seen is not None else _seen(info, start, engine)
    if not own.picture:
        features = np.zeros_like(features)
    wanted = window_seconds(info, bundle, start, seconds)
    first = WindowKey(settings.seed, info.content_id, int(start * bundle.sample_rate), settings.take)
    key, mels = _obeying(engine, settings, torch.from_numpy(features)[None], first, own, wanted, float(info.duration))
    count = max(1, round(wanted * bundle.sample_rate))
    late = round(settings.audio_delay * bundle.sample_rate)
    mel = to_decibels(mels[0], bundle.mel.scaling).cpu().numpy()
    columns = -(-count // bundle.mel.hop_length)
    motion = np.abs(np.diff(frames.astype(np.float32).mean(axis=3), axis=0, prepend=frames[:1].mean(axis=3)))
    shown = max(1, round(wanted * float(bundle.encoder.frame_rate)))
    samples = np.concatenate(list(delayed([engine.sounds(mels, [key])[0].numpy()], late, count)))
    rate = bundle.sample_rate
    if shelf is not None:
        heard_s = _begun(mel, engine, settings, own, float(start)) + settings.audio_delay
        drawn = (settings.seed, info.content_id, settings.take)
        samples = _played(samples, rate, shelf, settings, own, (float(start), wanted), heard_s.tolist(), drawn)
        rate = SAMPLE_RATE
    return WindowResult(
        samples=centred(samples, delivered(settings.channels, shelf)),
        sample_rate=rate,
        mel=_later(mel, round(late / bundle.mel.hop_length))[:, :columns],
        motion=motion.mean(axis=(1, 2))[:shown].astype(np.float32),
        motion_rate=float(bundle.encoder.frame_rate),
    )


def _seen(info: ClipInfo, start_s: Fraction, engine: Engine) -> Seen:
    encoder = engine.bundle.encoder
    request = FrameRequest(0, start_s, encoder.num_frames)
    ((_, frames),) = read(info, [request], encoder.frame_rate, encoder.frame_size, frame_rule(engine))
    ((_, features),) = extract([(0, frames)], engine.encode, engine.device)
    return Seen(frames, features)


def _obeying(
    engine: Engine,
    settings: RenderSettings,
    features: torch.Tensor,
    first: WindowKey,
    own: ClipSettings,
    seconds: float,
    end_s: float,
) -> tuple[WindowKey, torch.Tensor]:
    """The best that a few attempts make of one window with ``features`` (1, F, C): its noise and its mel (1, M, L).

    ``end_s`` is when its clip ends.
    """
    start_s = first.start / engine.bundle.sample_rate
    spoken = told(own, start_s, engine, settings.audio_delay)
    asked = Asked(own, start_s, end_s, features[0].numpy(), first)
    (layers,) = Layers(engine, settings).apart([asked], 1)

    def made(attempt: int) -> tuple[WindowKey, torch.Tensor]:
        key = first.again(attempt)
        latents = engine.latents(
            features,
            [key],
            settings.steps,
            settings.guidance,
            classifier_guidance=settings.classifier_guidance,
            tracks=[spoken],
        )
        return key, laid(engine.mels(latents, features, [spoken]), [layers])

    def faults(one: tuple[WindowKey, torch.Tensor]) -> int:
        return _faults(one[1], engine, settings, own, start_s, seconds)

    (best,) = best_of([made(0)], faults, lambda _, __, attempt: [made(attempt)], ATTEMPTS)
    return best


def _begun(
    mel: NDArray[np.float32], engine: Engine, settings: RenderSettings, own: ClipSettings, start_s: float
) -> NDArray[np.float64]:
    """When something begins in a mel (M, L) in decibels, in seconds of the clip, before the delay."""
    rate = engine.bundle.sample_rate / engine.bundle.mel.hop_length
    return onsets.detect(mel, rate, begins(own, start_s, settings.audio_delay)) + start_s


def _faults(
    mels: torch.Tensor, engine: Engine, settings: RenderSettings, own: ClipSettings, start_s: float, seconds: float
) -> int:
    """How many cues of the first ``seconds`` of a window have no sound, and how many sounds no cue."""
    if own.cues is None:
        return 0
    mel = to_decibels(mels[0], engine.bundle.mel.scaling).cpu().numpy()
    end_s = start_s + seconds
    heard = [float(time) for time in _begun(mel, engine, settings, own, start_s) if time < end_s]
    return obedience(own, heard, start_s, end_s, settings.audio_delay).faults


def soundtrack(
    info: ClipInfo, engine: Engine, settings: RenderSettings, cache: FeatureCache | None = None
) -> NDArray[np.float32]:
    """The whole soundtrack of one take in memory, (round(duration * sample_rate),) at the bundle's rate.

    Windows are made one by one, whatever the batch size. Raises FoleygenError.
    """
    settings = replace(settings, batch_size=1, takes=1, handles=0.0)
    track = Track(Job(info, info.path), engine.bundle.sample_rate)
    sampler = Sampler(engine, settings, _unheard)
    parts: list[NDArray[np.float32]] = []
    with failing(track):
        for view in views(track, engine, settings, cache):
            made = sampler.push(track, view.window, features_of(view, engine, cache))
            parts.extend(joined(sounding) for sounding in made)
        parts.extend(joined(sounding) for sounding in sampler.finish())
    track.close()
    if track.failed is not None:
        raise track.failed
    late = round(settings.audio_delay * track.sample_rate)
    return np.concatenate(list(delayed(parts, late, sum(map(len, parts)))))


def _played(
    samples: NDArray[np.float32],
    rate: int,
    shelf: Shelf,
    settings: RenderSettings,
    own: ClipSettings,
    span: tuple[float, float],
    onsets_s: Sequence[float],
    drawn: tuple[object, ...],
) -> NDArray[np.float32]:
    """A window's samples (S,) with its hits played by the library, at 48 kHz, (S,) or (2, S).

    ``span`` is its start and length in s.
    """
    from foleygen.pipeline.voices.play import voiced
    from foleygen.pipeline.voices.player import Take
    from foleygen.pipeline.voices.recorded import LONGEST_S

    start_s, seconds = span
    if own.cues is not None:  # those in it, and those whose tails are
        own = replace(own, cues=replace(own.cues, cues=own.cues.between(start_s - LONGEST_S, start_s + seconds)))
    channels = delivered(settings.channels, shelf)
    take = Take(own, tuple(onsets_s), -start_s, drawn)
    return voiced(samples, rate, take, shelf, settings.voice, channels).samples


def _later(mel: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """A mel (mels, frames) that comes ``columns`` later, as long as it was."""
    moved = np.zeros_like(mel)
    frames = mel.shape[1]
    first, last = min(frames, max(0, columns)), max(0, min(frames, frames + columns))
    moved[:, first:last] = mel[:, first - columns : last - columns]
    return moved


def _unheard(progress: Progress) -> None:
    """For callers who do not ask how far it is."""
