"""Features of windows to their sound in batches, and windows to a track."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.audio import onsets
from foleygen.audio.mel import to_decibels
from foleygen.audio.obedience import best_of
from foleygen.audio.stitch import Window, joint
from foleygen.engines.device import out_of_memory
from foleygen.engines.foley import Engine
from foleygen.errors import SetupError, printable
from foleygen.features.cues import CueTrack
from foleygen.pipeline.cueing import ATTEMPTS, begins, obedience, told
from foleygen.pipeline.jobs import Report
from foleygen.pipeline.layers import NO_LAYERS, Asked, LayerRun, Layers, laid
from foleygen.pipeline.pictures import overlap
from foleygen.pipeline.tracks import TakeTrack, Track, clocked, failing, window_key
from foleygen.sampling.joint import GROUP, Tie
from foleygen.sampling.noise import WindowKey
from foleygen.settings import RenderSettings


@dataclass(frozen=True)
class Row:
    """One window of one take with the features of its pictures (F, C), and what it is told beside them."""

    track: Track
    window: Window
    take: TakeTrack
    features: NDArray[np.float32]
    told: CueTrack | None = None
    attempt: int = 0
    """Above 0 it is made again, from other noise."""
    begins: bool = False
    """What it has in its first frame was not there before."""
    layers: tuple[torch.Tensor, ...] = ()
    """What goes on in it, (M, L) each."""


@dataclass(frozen=True)
class Sounding:
    """A row made sound: samples (S,) and the mel (M, L) in [0, 1] that they were made from, ``mel_rate`` columns/s."""

    row: Row
    samples: NDArray[np.float32]
    mel: NDArray[np.float32]
    mel_rate: float


class Sampler:
    """Windows in, their sounds out, in the same order; the rows of a batch are the takes of windows of any clips.

    A batch is always ``settings.batch_size`` rows, whose sums are rounded alike whoever shares it; one that is not full
    is filled by repetition. Where memory runs out the size is halved, and stays so for the rest of the run. What goes
    wrong with a batch is the failure of its tracks, whose rows are dropped. The windows of a long clip that are made
    jointly share their batches with nobody. Rows that are told something have batches of their own; one whose sound
    does not keep to its cues is made again, a few times at most, and the best is taken.
    """

    def __init__(self, engine: Engine, settings: RenderSettings, tell: Report) -> None:
        self._engine, self._settings, self._tell = engine, settings, tell
        self._size = settings.batch_size
        self._rows: dict[bool, list[Row]] = {False: [], True: []}
        """Those that are told nothing, and those that are."""
        self._runs: dict[int, _Run] = {}
        self._layers = Layers(engine, settings)

    def push(self, track: Track, window: Window, features: NDArray[np.float32]) -> Iterator[Sounding]:
        """Take in one window with its features (F, C); gives what is ready, maybe of other clips, maybe nothing."""
        if self._settings.seams == "joint" and len(track.windows) > 1:
            yield from self._push_jointly(track, window, features)
            return
        for take in track.takes:
            row = self._row(track, window, take, features)
            waiting = self._rows[row.told is not None]
            waiting.append(row)
            if len(waiting) >= self._size:
                yield from self._flushed(row.told is not None)

    def finish(self) -> Iterator[Sounding]:
        """What is still held back."""
        for kind in self._rows:
            yield from self._flushed(kind)

    def _row(self, track: Track, window: Window, take: TakeTrack, features: NDArray[np.float32]) -> Row:
        start_s = float(track.start_s(window))
        spoken = told(track.job.own, start_s, self._engine, self._settings.audio_delay)
        first = window.index == 0 or window.on_cut
        sudden = first and begins(track.job.own, start_s, self._settings.audio_delay)
        return Row(track, window, take, features, spoken, begins=sudden)

    def _flushed(self, kind: bool) -> Iterator[Sounding]:
        rows, self._rows[kind] = self._rows[kind], []
        while rows := [row for row in rows if row.track.failed is None]:
            batch = rows[: self._size]
            made: list[Sounding] | None = []
            with failing(*_tracks(batch).values()):
                made = self._attempt(batch)
            if made is not None:
                yield from made
                rows = rows[len(batch) :]

    def _attempt(self, batch: list[Row], run: _Run | None = None) -> list[Sounding] | None:
        """The sounds of a batch, or of a group of one take's ``run``; None: try again with the smaller size."""
        try:
            if run is not None:
                return self._joint_sounds(batch, run)
            rows = _laid(batch, self._layers.apart([self._asked(row) for row in batch], self._size))
            return self._obeying(rows, self._sounds(rows))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or self._size == 1:
                raise
        # Outside the handler, where the failed attempt's tensors are let go.
        self._size //= 2
        return None

    def _obeying(self, rows: Sequence[Row], made: list[Sounding]) -> list[Sounding]:
        """The best that a few attempts make of each row."""

        def again(wrong: Sequence[int], _: Sequence[Sounding], attempt: int) -> list[Sounding]:
            return self._sounds([replace(rows[index], attempt=attempt) for index in wrong])

        best = best_of(made, self._faults, again, ATTEMPTS)
        self._note_seeds(best)
        return best

    def _faults(self, sounding: Sounding) -> int:
        """How many cues of a window have no sound, and how many sounds no cue."""
        own = sounding.row.track.job.own
        if own.cues is None:
            return 0
        begin, end = _span(sounding.row)
        return obedience(own, list(_own_onsets(sounding)), begin, end, self._settings.audio_delay).faults

    def _note_seeds(self, soundings: Sequence[Sounding]) -> None:
        """Remember the noise of windows that were made again, for the sidecar."""
        for row in (sounding.row for sounding in soundings):
            if row.attempt and row.take is row.track.takes[0]:
                key = window_key(row.track, row.window, row.take, self._settings, row.attempt)
                row.track.redone[row.window.index] = key.noise_seed

    def _sounds(self, batch: Sequence[Row]) -> list[Sounding]:
        """The sounds of at most a full batch; one that is not full is filled."""
        engine, settings = self._engine, self._settings
        rows = [*batch, *[batch[-1]] * (self._size - len(batch))]
        features, keys = self._inputs(rows)
        tracks = [row.track for row in rows]
        with clocked("sampling", tracks):
            latents = engine.latents(
                features,
                keys,
                settings.steps,
                settings.guidance,
                self._listener(rows),
                settings.classifier_guidance,
                [row.told for row in rows],
            )
        with clocked("decoding", tracks):
            mels = laid(engine.mels(latents, features, [row.told for row in rows]), [row.layers for row in rows])
        with clocked("vocoding", tracks):
            sounds = engine.sounds(mels, keys)
        return self._soundings(rows, sounds, mels)[: len(batch)]

    def _push_jointly(self, track: Track, window: Window, features: NDArray[np.float32]) -> Iterator[Sounding]:
        """Hold a window back until its group is whole; then the group's sounds, take by take."""
        if window.index == 0 or window.on_cut:
            self._runs[id(track)] = _Run()
        run = self._runs[id(track)]
        run.waiting.append((window, features))
        is_last = window.index + 1 == len(track.windows)
        if len(run.waiting) < GROUP and not is_last and not track.windows[window.index + 1].on_cut:
            return
        group, run.waiting = run.waiting, []
        if is_last:
            del self._runs[id(track)]
        for take in track.takes:
            made: list[Sounding] | None = None
            with failing(track):
                rows = [self._row(track, member, take, vectors) for member, vectors in group]
                while made is None and track.failed is None:
                    made = self._attempt(rows, run)
            yield from made or []

    def _joint_sounds(self, rows: Sequence[Row], run: _Run) -> list[Sounding]:
        """Windows of one take that follow each other, and what ``run`` remembers of the group before.

        Of a group that does not keep to its cues the windows at fault get other noise.
        """
        take = rows[0].take.number
        shared, layers = overlap(self._engine, self._settings), run.layers.get(take, NO_LAYERS)
        asked = [self._asked(row) for row in rows]
        found, layers = self._layers.jointly(asked, shared, layers, self._size)
        rows = _laid(rows, found)

        def again(_: Sequence[int], groups: Sequence[_Attempt], attempt: int) -> list[_Attempt]:
            soundings = groups[0].soundings
            tried = [replace(one.row, attempt=attempt) if self._faults(one) else one.row for one in soundings]
            return [self._joint_attempt(tried, run)]

        def faults(group: _Attempt) -> int:
            return sum(map(self._faults, group.soundings))

        (best,) = best_of([self._joint_attempt(rows, run)], faults, again, ATTEMPTS)
        run.ties[take], run.sounds[take], run.layers[take] = best.tie, best.last, layers
        self._note_seeds(best.soundings)
        return best.soundings

    def _joint_attempt(self, rows: Sequence[Row], run: _Run) -> _Attempt:
        engine, settings, take = self._engine, self._settings, rows[0].take.number
        shared = overlap(engine, settings)
        features, keys = self._inputs(rows)
        tracks = [row.track for row in rows]
        told = [row.told for row in rows]
        spoken = [track for track in told if track is not None]
        with clocked("sampling", tracks):
            latents, tie = engine.joint_latents(
                features,
                keys,
                shared // engine.column_samples,
                run.ties.get(take),
                self._size,
                settings.steps,
                settings.guidance,
                self._listener(rows),
                settings.classifier_guidance,
                spoken or None,
            )
        with clocked("decoding", tracks):
            mels = laid(engine.joint_mels(latents, features, told, self._size), [row.layers for row in rows])
        with clocked("vocoding", tracks):
            sounds = engine.joint_sounds(mels, keys, shared, run.sounds.get(take), self._size)
        return _Attempt(self._soundings(rows, sounds, mels), tie, sounds[-1])

    def _asked(self, row: Row) -> Asked:
        """A row as its layers are made: they are the same in every attempt."""
        start_s, end_s = float(row.track.start_s(row.window)), float(row.track.job.info.duration)
        key = window_key(row.track, row.window, row.take, self._settings)
        return Asked(row.track.job.own, start_s, end_s, row.features, key)

    def _inputs(self, rows: Sequence[Row]) -> tuple[torch.Tensor, list[WindowKey]]:
        """Features (N, F, C) of the rows and what their noise depends on."""
        keys = [window_key(row.track, row.window, row.take, self._settings, row.attempt) for row in rows]
        return torch.from_numpy(np.stack([row.features for row in rows])), keys

    def _listener(self, rows: Sequence[Row]) -> Callable[[int, int], None]:
        tracks = _tracks(rows)
        counted = {(id(row.track), row.window.index, row.take.number) for row in rows}
        under_way = Counter(number for number, _, _ in counted)

        def on_step(step: int, steps: int) -> None:
            for number, track in tracks.items():
                done = track.sounded + under_way[number] * step / steps
                track.report(self._tell, "sampling", done / track.rows)

        return on_step

    def _soundings(self, rows: Sequence[Row], sounds: torch.Tensor, mels: torch.Tensor) -> list[Sounding]:
        rate = self._engine.bundle.sample_rate / self._engine.bundle.mel.hop_length
        pictures = to_decibels(mels, self._engine.bundle.mel.scaling).cpu()
        heard = zip(rows, sounds, pictures, strict=True)
        return [Sounding(row, samples.numpy(), mel.numpy(), rate) for row, samples, mel in heard]


@dataclass
class _Run:
    """Windows of a clip that no shot change parts, group by group: those that wait, and what ties the next group.

    By take: the states that its first window shares, the sound (S,) of the window before it, and what ties the layers.
    """

    waiting: list[tuple[Window, NDArray[np.float32]]] = field(default_factory=list)
    ties: dict[int, Tie] = field(default_factory=dict)
    sounds: dict[int, torch.Tensor] = field(default_factory=dict)
    layers: dict[int, LayerRun] = field(default_factory=dict)


@dataclass(frozen=True)
class _Attempt:
    """A group of windows made sound, and what ties the next group to it."""

    soundings: list[Sounding]
    tie: Tie
    last: torch.Tensor
    """The sound (S,) of its last window."""


def _laid(rows: Sequence[Row], layers: Sequence[Sequence[torch.Tensor]]) -> list[Row]:
    return [replace(row, layers=tuple(heard)) for row, heard in zip(rows, layers, strict=True)]


def joined(sounding: Sounding) -> NDArray[np.float32]:
    """The samples that are final once this window is there; its onsets are noted."""
    row, samples = sounding.row, sounding.samples
    if not np.isfinite(samples).all():
        fact = f"{printable(row.track.job.info.path)}: the model gave values that are not finite"
        raise SetupError(fact, "use --precision fp32, or check the weights with 'foleygen models verify'")
    finished = row.take.stitcher.push(row.window.index, samples)
    _note_onsets(sounding)
    row.track.sounded += 1
    return finished


def keep(sounding: Sounding, tell: Report) -> None:
    """Join a window to its take's spool."""
    track = sounding.row.track
    sounding.row.take.spool.write(joined(sounding).tobytes())
    track.report(tell, "sampling", track.sounded / track.rows)


def _span(row: Row) -> tuple[float, float]:
    """The seconds of its clip in which a window is heard, up to where its neighbours take over."""
    windows, window, rate = row.track.windows, row.window, row.track.sample_rate
    handle_s = float(row.track.handle_s)
    begin, end = -handle_s, float(row.track.job.info.duration) + handle_s
    if window.index > 0:
        begin = joint(windows[window.index - 1], window) / rate - handle_s
    if window.index + 1 < len(windows):
        end = joint(window, windows[window.index + 1]) / rate - handle_s
    return begin, end


def _own_onsets(sounding: Sounding) -> Iterator[float]:
    """The onsets of a window in its span and a little beyond, in seconds of the clip."""
    row = sounding.row
    begin, end = _span(row)
    begin -= onsets.PEAK_RADIUS_S / 2 if row.window.index > 0 else 0.0
    end += onsets.PEAK_RADIUS_S / 2 if row.window.index + 1 < len(row.track.windows) else 0.0
    found = onsets.detect(sounding.mel, sounding.mel_rate, row.begins)
    for time_s in found + float(row.track.start_s(row.window)):
        if begin <= time_s < end:
            yield float(time_s)


def _note_onsets(sounding: Sounding) -> None:
    """Add the onsets of a window, each of them once: two windows that hear one place it a little differently."""
    heard = sounding.row.take.onsets
    for time_s in _own_onsets(sounding):
        if not heard or time_s - heard[-1] >= onsets.PEAK_RADIUS_S:
            heard.append(time_s)


def _tracks(rows: Sequence[Row]) -> dict[int, Track]:
    return {id(row.track): row.track for row in rows}
