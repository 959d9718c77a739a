"""``foleygen preview``: one moment of a clip, heard and seen as soon as possible."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import ENGINE, SPOTTING, TALK, load_settings, settings_options
from foleygen.cli.parameters import Number
from foleygen.errors import SetupError, UsageError, printable
from foleygen.facts import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from foleygen.media.movie import Filming
    from foleygen.media.probe import ClipInfo
    from foleygen.pipeline import WindowResult
    from foleygen.pipeline.sight import Seen
    from foleygen.pipeline.voices.shelf import Shelf
    from foleygen.settings import ClipSettings, Settings
    from foleygen.weights.bundle import Bundle

PICTURE_SIZE = 320
"""Pixels of the shorter side of the preview's picture."""
MOST_FRAMES_PER_S = 30
VOICE = ("voice", "library", "library_index", "channels")
PLAYERS = (
    ("ffplay", "-autoexit", "-loglevel", "error"),
    ("mpv", "--really-quiet"),
    ("vlc", "--play-and-exit", "--quiet"),
    ("open",),
    ("xdg-open",),
)
"""Tried in this order; the path is their last argument."""


@click.command(short_help="Hear and see one window of a clip.")
@click.argument("clip", type=click.Path(path_type=Path))
@click.option("--at", type=Number(min=0), default=0.0, show_default=True, metavar="S", help="Where to begin.")
@click.option("--seconds", type=Number(min=0.1), metavar="S", help="How long; at most, and by default, one window.")
@click.option("--play", is_flag=True, help="Play it with ffplay, mpv, vlc or the desktop's player.")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), metavar="DIR", help="Where to write.")
@settings_options(*ENGINE, *SPOTTING, "audio_delay", *VOICE, "max_pixels", *TALK)
@click.pass_obj
def preview(
    invocation: Invocation,
    /,
    clip: Path,
    at: float,
    seconds: float | None,
    play: bool,
    folder: Path | None,
    config_file: Path | None,
    **values: Any,
) -> None:
    """Make the sound of one window of CLIP, draw it, and write it as a wav and as a short clip.

    The drawing has the shot's motion, its cues, the waveform and the mel spectrogram on one time axis. Cues and words
    are taken as by add-sound, in as many attempts. NAME.preview.foley.wav and NAME.preview.foley.mp4 are written beside
    the clip (or to --output) and replace an older preview; their paths go to stdout.

    \b
    Examples:
      foleygen preview shot.mov
      foleygen preview shot.mov --at 12.5 --seconds 4 --seed 3 --play
      foleygen preview shot.mov --sound "glass bottle" --no-picture
      foleygen preview shot.mov --voice library --library recordings/
    """
    from foleygen.batch.loading import load_bundle, load_library
    from foleygen.batch.plan import check_voice, spotter_of
    from foleygen.batch.telling import as_told, understood
    from foleygen.cli.terminal.plots import preview_rows
    from foleygen.cli.terminal.streams import draw, write_note, write_result
    from foleygen.cues.clock import ClipClock
    from foleygen.media import wav
    from foleygen.media.channels import mean
    from foleygen.media.mixdown import under_ceiling
    from foleygen.media.probe import probe

    settings, meant = understood(load_settings(invocation, config_file, values))
    info = probe(clip, settings.max_pixels)
    if at >= info.duration:
        raise UsageError(f"{clip}: lasts {float(info.duration):.2f} s, so nothing is at {at:g} s", "lower --at")
    check_voice(settings)
    shelf, bundle = load_library(settings), load_bundle(settings)
    own, notes = spotter_of(settings).of(clip).settled(ClipClock.of(info))
    own = as_told(own, bundle, settings, clip)
    for remark in () if settings.quiet else (*([meant] if meant else []), *notes):
        write_note(remark)
    moment = _Moment(info, at, seconds or bundle.window_samples / bundle.sample_rate)
    with _filming(moment, settings, bundle, shelf) as film:
        own, result = _made(moment, settings, bundle, own, shelf)
        target = (folder or clip.parent) / f"{clip.stem}.preview.foley"
        sound, movie = (target.with_name(f"{target.name}.{suffix}") for suffix in ("wav", "mp4"))
        samples, lowered = under_ceiling(result.samples, result.sample_rate)
        if lowered is not None and not settings.quiet:
            write_note(f"{printable(clip)}: {lowered}")
        wav.write(sound, [samples], result.sample_rate, channels=samples.ndim)
        film.finish(movie, samples)
    heard = samples.shape[-1] / result.sample_rate
    cues = [] if own.cues is None else [cue.seconds - at for cue in own.cues.between(at, at + heard)]
    draw(settings, lambda width: preview_rows(result.motion, mean(samples), result.mel, at, heard, width, cues))
    write_result(str(sound))
    write_result(str(movie))
    if play:
        _play(movie)


@dataclass(frozen=True)
class _Moment:
    """What is previewed: at most ``seconds`` from ``at_s`` on."""

    info: ClipInfo
    at_s: float
    seconds: float


def _made(
    moment: _Moment, settings: Settings, bundle: Bundle, own: ClipSettings, shelf: Shelf | None
) -> tuple[ClipSettings, WindowResult]:
    """The sound of the moment, and what was said of it with the cues that were seen; the pictures of a clip that is to
    be seen are decoded while the models are loaded."""
    from foleygen.batch.loading import feature_cache, load_engine
    from foleygen.pipeline.ahead import begun
    from foleygen.pipeline.extent import start_of
    from foleygen.pipeline.jobs import Job

    info, cache, run = moment.info, feature_cache(settings), replace(settings.render_settings(1), handles=0.0)
    start = start_of(moment.at_s, bundle)
    looked: list[Seen] = []

    def watch(start_s: Fraction, seen: Seen) -> None:
        if start_s == start:
            looked.append(seen)

    with begun(Job(info, info.path, own), bundle, run, cache) if own.spotted else nullcontext() as job:
        engine = load_engine(settings, bundle)
        # What needs torch comes with the engine.
        from foleygen.pipeline import render_window
        from foleygen.pipeline.sight import look, spotted

        if job is not None:
            sight = look(info, engine, run, cache, job.ahead, watch)
            own = spotted(own, info.duration, sight, settings.audio_delay)
    return own, render_window(info, engine, run, moment.at_s, moment.seconds, own, shelf, *looked)


def _filming(moment: _Moment, settings: Settings, bundle: Bundle, shelf: Shelf | None) -> Filming:
    """The moment's pictures, small, on their way into a movie."""
    from foleygen.media.movie import Filming
    from foleygen.pipeline.channels import delivered
    from foleygen.pipeline.extent import start_of, window_seconds

    info = moment.info
    seconds = window_seconds(info, bundle, start_of(moment.at_s, bundle), moment.seconds)
    rate = min(info.average_rate, Fraction(MOST_FRAMES_PER_S))
    heard = max(1, round(seconds * bundle.sample_rate)) / bundle.sample_rate
    count = max(1, round(heard * rate))
    scale = PICTURE_SIZE / min(info.width, info.height)
    size = (round(info.width * scale), round(info.height * scale))
    sample_rate = SAMPLE_RATE if shelf else bundle.sample_rate
    pictures = _pictures(info, Fraction(moment.at_s), rate, count)
    return Filming(pictures, rate, size, sample_rate, delivered(settings.channels, shelf))


def _pictures(info: ClipInfo, at: Fraction, rate: Fraction, count: int) -> Iterator[NDArray[np.uint8]]:
    """``count`` square pictures from ``at`` on, read a second at a time."""
    from foleygen.media.frames import FrameRequest, FrameRule, read

    step = max(1, round(rate))
    requests = [
        FrameRequest(index, at + first / rate, min(step, count - first))
        for index, first in enumerate(range(0, count, step))
    ]
    for _, pictures in read(info, requests, rate, PICTURE_SIZE, FrameRule.FPS_FILTER):
        yield from pictures


def _play(path: Path) -> None:
    for name, *arguments in PLAYERS:
        found = shutil.which(name)
        if found is not None:
            subprocess.run([found, *arguments, str(path.absolute())], check=False, stdin=subprocess.DEVNULL)
            return
    known = ", ".join(player[0] for player in PLAYERS)
    raise SetupError(f"{path}: written, but there is no player to play it with ({known})", "open it in one of yours")
