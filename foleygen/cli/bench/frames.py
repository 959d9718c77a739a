"""``foleygen bench --frames``: the pictures that the models want, against nothing but decoding the same file."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.errors import ClipError
from foleygen.settings import Settings

if TYPE_CHECKING:
    from foleygen.media.probe import ClipInfo
    from foleygen.weights.bundle import Bundle

WAYS = ("decoding", "frames")


def measure(settings: Settings, clip: Path, rounds: int) -> dict[str, Any]:
    """Seconds by the clock and of the processors, both ways, ``rounds`` times in turns after one that is not counted.

    Raises ClipError for a clip that nothing is decoded of, or that is shorter than a window.
    """
    from foleygen.batch.loading import load_bundle
    from foleygen.media.probe import probe

    bundle, info = load_bundle(settings), probe(clip, settings.max_pixels)
    if info.duration < window_s(bundle):
        raise ClipError(f"{clip}: is shorter than a window of {float(window_s(bundle)):.2f} s", "give a longer one")
    ways: dict[str, Callable[[], None]] = {"decoding": lambda: _decode(info), "frames": lambda: _look(info, bundle)}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for number in range(rounds + 1):
        for name in WAYS if number % 2 else reversed(WAYS):
            found = _timed(ways[name])
            if number:
                taken[name].append(found)
    rows = {}
    for place, kind in enumerate(("wall", "processor")):
        rows[kind] = {name: statistics.median(pair[place] for pair in taken[name]) for name in WAYS}
        pairs = zip(taken["frames"], taken["decoding"], strict=True)
        rows[kind]["ratio"] = statistics.median(frames[place] / bare[place] for frames, bare in pairs)
    return {
        "clip": clip.name,
        "codec": info.codec,
        "picture": f"{info.width}x{info.height}",
        "pictures": info.frame_count,
        "rounds": rounds,
        **rows,
    }


def window_s(bundle: Bundle) -> Fraction:
    """Seconds of a window of the bundle's encoder."""
    return bundle.encoder.num_frames / bundle.encoder.frame_rate


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    wall, processor = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - wall, time.process_time() - processor


def _decode(info: ClipInfo) -> None:
    """Every picture decoded, none looked at."""
    from foleygen.media.frames import shots

    for _ in shots(info, 1):
        pass


def _look(info: ClipInfo, bundle: Bundle) -> None:
    """The frames of all windows side by side, and the shot changes: what the reading thread does for a clip."""
    from foleygen.media.cuts import Reel
    from foleygen.media.frames import FrameRequest, FrameRule

    encoder, length = bundle.encoder, window_s(bundle)
    reel = Reel(info, encoder.frame_size)
    for index in range(int(info.duration / length)):
        start = index * length
        reel.advance(start + length)
        reel.frames(FrameRequest(index, start, encoder.num_frames), encoder.frame_rate, FrameRule.LINEAR)
        reel.forget(start + length)
    reel.advance(info.duration)
    reel.close()


def show(measured: Mapping[str, Any]) -> None:
    """The measurement as a table on stdout."""
    from foleygen.cli.terminal.streams import write_result, write_table

    what = f"{measured['codec']}, {measured['picture']}, {measured['pictures']} pictures"
    write_result(f"{measured['clip']}: {what}; medians of {measured['rounds']} rounds in turns")
    rows = [("", "DECODING s", "FRAMES s", "RATIO")]
    for kind, label in (("wall", "by the clock"), ("processor", "of the processors")):
        row = measured[kind]
        rows.append((label, f"{row['decoding']:.2f}", f"{row['frames']:.2f}", f"{row['ratio']:.2f}"))
    write_table(rows, right=(1, 2, 3))
