"""What goes on in a take, played by a library: a steady stretch of a recording each, looped, in the model's place.

Its level is the model's own, or what is usual where somebody has asked for it and the model has next to nothing.
Seconds and samples at 48 kHz are counted from the take's first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foleygen.cues.words import Sound
from foleygen.errors import ClipError, printable
from foleygen.facts import SAMPLE_RATE, Played
from foleygen.pipeline.voices.asked import Going
from foleygen.pipeline.voices.choosing import RAISED_COST, RAISED_DB, WITHIN_DB
from foleygen.pipeline.voices.loops import Loop, looped
from foleygen.pipeline.voices.mixing import Dip, Laid
from foleygen.pipeline.voices.own import LEVEL_S, SILENT_DB, OwnSound, band_db
from foleygen.pipeline.voices.recorded import imaged, room_db
from foleygen.pipeline.voices.shelf import Part, Shelf
from foleygen.sampling.noise import share

if TYPE_CHECKING:
    from foleygen.pipeline.voices.player import Take

BEST = 4
USUAL_DB, NEAR_DB = -32.0, 3.0
"""The level (see ``own.band_db``) of what goes on, the median of what the model makes of engines, rain, fire, wind and
waves; and how far from it the model's own may take what somebody has asked for. Where the model is nearly silent says
nothing, and takes and stretches of one cue are to sound alike."""
ENOUGH_S, SHORTER_DB = 4.0, 3.0
"""A stretch that lasts half as long as that, or as what is wanted if that is less, counts as so much further away."""
OFTEN = 4
"""What is shorter than ENOUGH_S and comes round more often than that is told."""
SHORTEST_S = 0.05
"""What is over sooner does not go on."""
FADE_IN_S, FADE_OUT_S = 0.1, 0.3
_LOUDER_DB, _FAINTER_DB = 4.0, 6.0
"""How far the level follows the model's from its median on."""
_AT_ONCE_S = 0.02
"""What begins so soon in the clip was there before."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class _Plan:
    """What is to go on from ``first`` to ``last``, samples, by the parts that may play it, the best first."""

    going: Going
    first: int
    last: int
    fades: tuple[int, int]
    levels_db: Samples
    """Every LEVEL_S, from ``first`` on; one for all of it where somebody said when."""
    parts: tuple[Part, ...] = ()

    def gain(self, first: int, length: int) -> NDArray[np.float64]:
        """The factor of the ``length`` samples from ``first`` on, relative to the median level, with its fades."""
        places = np.arange(first, first + length, dtype=np.float64)
        middles = self.first + (np.arange(len(self.levels_db)) + 0.5) * LEVEL_S * SAMPLE_RATE
        gain = 10 ** (np.interp(places, middles, self.levels_db - self.level_db) / 20)
        for fade, distance in zip(self.fades, (places - self.first, self.last - 1 - places), strict=True):
            if fade:
                gain *= np.sin(np.clip((distance + 0.5) / fade, 0.0, 1.0) * (np.pi / 2))
        return np.asarray(gain, np.float64)

    @property
    def level_db(self) -> float:
        return float(np.median(self.levels_db))


class Ongoing:
    """What goes on in a take; ``played`` is known once ``sounds`` is drawn to its end.

    ``kept`` are spans, in seconds, in which the model is to be heard whatever goes on.
    """

    def __init__(
        self,
        shelf: Shelf,
        own: OwnSound,
        going: Sequence[Going],
        take: Take,
        kept: Sequence[tuple[float, float]],
        share_db: float | None,
        channels: int = 1,
    ) -> None:
        """``share_db`` is what the model and the recordings are lowered by; None: the model gives way."""
        self._shelf, self._own, self._take, self._share_db = shelf, own, take, share_db
        self._channels = channels
        self._kept = [(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)) for start, end in kept]
        self.played: list[Played] = []
        self.gone: dict[str, ClipError] = {}
        """Of each recording that could not be played, by its sentence."""
        self.unplayed = 0
        self._often: list[tuple[Part, Played, str]] = []
        """What is short and comes round often, for which words."""
        planned = (self._planned(one) for one in going)
        self._plans = self._chosen([plan for plan in planned if plan is not None])
        self._dips: list[Dip] = []

    @property
    def is_playing(self) -> bool:
        """Whether the library has something for this take."""
        return any(plan.parts for plan in self._plans)

    def sounds(self) -> Iterator[Laid]:
        """What is laid into the take, in order; what was played is noted."""
        yield from merge(*(self._laid(plan) for plan in self._plans if plan.parts), key=lambda one: one.begin)

    def is_gone(self, place: int) -> bool:
        """Whether the model has given way there."""
        return any(dip.begin <= place < dip.again for dip in self._dips)

    def remarks(self) -> Iterator[str]:
        """What the library does not have."""
        for words in dict.fromkeys(plan.going.words for plan in self._plans if not plan.parts):
            yield f"the library has nothing that goes on for {words}: it is the model's"
        if self._often:
            part, played, words = max(self._often, key=lambda one: one[1].rounds or 0)
            others = len({one.file for _, one, _ in self._often}) - 1
            more = f" (and so do {others} more)" if others > 1 else " (and so does 1 more)" if others else ""
            much = f"{printable(played.file)}: {_seconds(part, self._shelf):.1f} s of it are steady and come round"
            yield f"{much} {played.rounds} times{more}, which may be heard; put longer recordings of {words} there"

    def _planned(self, going: Going) -> _Plan | None:
        """None where next to nothing of it is in the take, or the model has nothing that only words ask for."""
        offset, end_s = self._take.offset_s, self._own.end_s
        start = 0.0 if going.start_s < _AT_ONCE_S else going.start_s + offset
        end = end_s if going.end_s > self._take.duration_s - _AT_ONCE_S else going.end_s + offset
        fades = (FADE_IN_S if start > 0 else 0.0, FADE_OUT_S if end < end_s else 0.0)
        start, end = max(0.0, start), min(end, end_s)
        if min(end - start, going.end_s - going.start_s) < SHORTEST_S:
            return None
        levels = self._own.levels_db(start, end)
        heard = levels[levels > SILENT_DB]
        if going.is_told:
            levels = np.array([self._told_db(levels, start)], np.float32)
        elif not len(heard):
            return None
        else:
            middle = float(np.median(heard))
            levels = _smooth(np.clip(levels, middle - _FAINTER_DB, middle + _LOUDER_DB))
        first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        width = (last - first) // 2
        lengths = [min(round(fade * SAMPLE_RATE), width) for fade in fades]
        return _Plan(going, first, last, (lengths[0], lengths[1]), levels)

    def _told_db(self, levels: Samples, start_s: float) -> float:
        """How loud it is where somebody has asked for it, by the model's ``levels`` from ``start_s`` on.

        Beside told hits that is as the model has it between them: it knows how far under them it is to lie.
        """
        sheet = self._take.own.cues
        hits = np.array([cue.seconds for cue in sheet.cues] if sheet is not None else []) + self._take.offset_s
        struck = np.zeros(len(levels), np.bool_)
        places = np.floor((hits - start_s) / LEVEL_S)
        struck[places[(places >= 0) & (places < len(levels))].astype(np.intp)] = True
        own = float(levels.min() if struck.all() else np.median(levels[~struck]))
        if own <= SILENT_DB:
            return USUAL_DB
        return min(own if len(hits) else max(own, USUAL_DB - NEAR_DB), USUAL_DB + NEAR_DB)

    def _chosen(self, plans: Sequence[_Plan]) -> list[_Plan]:
        """The same with the parts that may play each; never the same twice running, where there is another."""
        before: dict[Sound, Part] = {}
        found = []
        for plan in plans:
            parts = self._shelf.going(plan.going.sound)
            if parts:
                ranked = self._ranked(plan, parts, before.get(plan.going.sound))
                before[plan.going.sound] = ranked[0]
                plan = replace(plan, parts=tuple(ranked))
            found.append(plan)
        return found

    def _ranked(self, plan: _Plan, parts: Sequence[Part], before: Part | None) -> list[Part]:
        costs = self._costs(plan, parts)
        order = [parts[number] for number in np.argsort(costs, kind="stable") if parts[number] != before]
        cost = dict(zip(parts, map(float, costs), strict=True))
        good = [part for part in order[:BEST] if cost[part] <= cost[order[0]] + WITHIN_DB]
        rest = [] if before is None else [before]
        if not good:
            return rest
        first = good[int(self._share(plan, "part") * len(good))]
        return [first, *(part for part in order if part != first), *rest]

    def _costs(self, plan: _Plan, parts: Sequence[Part]) -> NDArray[np.float64]:
        """How far away each part counts as being, in dB."""
        spectra = np.array([part.stretch.spectrum for part in parts])
        own = self._own.spectrum(plan.first / SAMPLE_RATE, plan.last / SAMPLE_RATE)
        distances = np.sqrt(((spectra - own) ** 2).mean(axis=1)) if own.any() else np.zeros(len(parts))
        seconds = np.array([_seconds(part, self._shelf) for part in parts])
        raised = plan.level_db - np.array([part.stretch.level_db for part in parts])
        cost = distances + RAISED_COST * np.maximum(0.0, raised - RAISED_DB)
        enough = min(ENOUGH_S, (plan.last - plan.first) / SAMPLE_RATE)
        return np.asarray(cost + SHORTER_DB * np.maximum(0.0, np.log2(enough / seconds)), np.float64)

    def _share(self, plan: _Plan, *what: object) -> float:
        key = "all" if np.isinf(plan.going.start_s) else round(plan.going.start_s * 1000)
        return share("goes on", *self._take.key, key, plan.going.words, *what)

    def _laid(self, plan: _Plan) -> Iterator[Laid]:
        nothing = np.zeros(0, np.float32)
        yield Laid(plan.first, plan.first, nothing)  # so that no recording is read before its time comes
        for part in plan.parts:
            try:
                samples, rate = self._shelf.index.steady(part.recording, part.stretch)
            except ClipError as error:
                self.gone[error.message] = error
                continue
            dips = [] if self._share_db is not None else self._given_way(plan)
            self._dips += dips
            yield from merge(
                (Laid(dip.begin, plan.first, nothing, dip) for dip in dips),
                self._sounded(plan, part, looped(np.asarray(imaged(samples, self._channels), np.float32), rate)),
                key=lambda one: one.begin,
            )
            return
        self.unplayed += 1

    def _sounded(self, plan: _Plan, part: Part, loop: Loop) -> Iterator[Laid]:
        length = plan.last - plan.first
        start = loop.start(length, self._share(plan, "start"))
        gain_db = self._gain_db(plan, loop)
        factor = 10 ** (gain_db / 20)
        place, rounds = plan.first, 0
        for block in loop.sound(length, start, lambda number: self._share(plan, "joint", number)):
            made = block.astype(np.float64) * plan.gain(place, block.shape[-1]) * factor
            yield Laid(place, place, np.asarray(made, np.float32))
            place, rounds = place + block.shape[-1], rounds + 1
        one = self._shelf.index.recordings[part.recording]
        ends_s = part.stretch.end / one.sample_rate
        first_s = part.stretch.start / one.sample_rate + start / SAMPLE_RATE
        played = Played(max(0.0, plan.going.start_s), one.file, first_s, gain_db, 0.0, one.licence, one.source)
        played = replace(
            played,
            until_s=min(plan.last / SAMPLE_RATE - self._take.offset_s, self._take.duration_s),
            file_until_s=min(ends_s, first_s + length / SAMPLE_RATE) if rounds == 1 else ends_s,
            rounds=rounds,
        )
        self.played.append(played)
        if rounds > OFTEN and _seconds(part, self._shelf) < ENOUGH_S:
            self._often.append((part, played, plan.going.words))

    def _gain_db(self, plan: _Plan, loop: Loop) -> float:
        """What brings the loop to the level of the plan, as far as nothing of it is much above full scale."""
        samples = loop.samples.astype(np.float64)
        size, length = round(LEVEL_S * SAMPLE_RATE), samples.shape[-1]
        levels = [band_db(samples[..., n : n + size], SAMPLE_RATE) for n in range(0, max(1, length - size + 1), size)]
        return min(plan.level_db + (self._share_db or 0.0) - float(np.median(levels)), room_db(samples))

    def _given_way(self, plan: _Plan) -> list[Dip]:
        """Where the model is not heard: all through, but where its own hits are."""
        bounds = [plan.first]
        for start, end in self._kept:
            if bounds[-1] < end and start < plan.last:
                bounds += [start, end]
        bounds.append(plan.last)
        inner = round(FADE_IN_S * SAMPLE_RATE), round(FADE_OUT_S * SAMPLE_RATE)
        found = []
        for start, end in zip(bounds[::2], bounds[1::2], strict=True):
            fade_in = plan.fades[0] if start == plan.first else inner[0]
            fade_out = plan.fades[1] if end == plan.last else inner[1]
            if end - start >= max(1, fade_in + fade_out):
                begin, over = start - (not fade_in), end + (not fade_out)
                found.append(Dip(begin, start + fade_in, end - fade_out, over))
        return found


def _seconds(part: Part, shelf: Shelf) -> float:
    """How long a stretch is."""
    return (part.stretch.end - part.stretch.start) / shelf.index.recordings[part.recording].sample_rate


def _smooth(levels: Samples) -> Samples:
    """The mean over three."""
    padded = np.pad(levels, 1, mode="edge")
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3, np.float32)
