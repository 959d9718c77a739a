"""``foleygen demo``: sample clips from the project's own scenes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foleygen.cli.parameters import Number
from foleygen.errors import UsageError
from foleygen.facts import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from foleygen.scenes import Scene

FAMILIES = ("hammer", "bounce", "drum", "footsteps", "knock", "rain", "chop", "clock")
"""The order in which samples are made: what is seen at once comes first."""
FRAME_RATE = 25
CHUNK_PIXELS = 2**21
"""Pixels drawn at once, so that memory does not grow with the clip."""
MOST_LINES = 360
"""Larger pictures are drawn with this shorter side and scaled: drawing costs far more than scaling."""


def parse_size(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """``WIDTHxHEIGHT`` in pixels."""
    width, _, height = value.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and 16 <= int(width) <= 4096 and 16 <= int(height) <= 4096):
        raise click.BadParameter(f"{value!r} is not WIDTHxHEIGHT from 16x16 to 4096x4096", context, parameter)
    return int(width), int(height)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1, 1000), default=3, show_default=True, help="How many clips.")
@click.option("--size", callback=parse_size, default="480x270", show_default=True, metavar="WxH", help="Picture size.")
@click.option("--seconds", type=Number(0.1, 3600), default=8.0, show_default=True, help="Length of a clip.")
@click.option("--with-sound", is_flag=True, help="Add the scene's own sound, to compare with.")
@click.option("--seed", type=click.IntRange(0, 90_000), default=0, show_default=True, help="Another seed, other clips.")
def demo(folder: Path, count: int, size: tuple[int, int], seconds: float, with_sound: bool, seed: int) -> None:
    """Make silent sample clips in DIR.

    The scenes are computed from seeds that no training of the shipped weights has seen. A clip that is there already
    stays. The paths go to stdout.

    \b
    Examples:
      foleygen demo samples/
      foleygen demo samples/ --count 1 --seconds 33 --size 1920x1080 --with-sound
    """
    from foleygen.cli.terminal.streams import write_note, write_result

    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file", "name a folder for the clips")
    for number in range(count):
        family = FAMILIES[number % len(FAMILIES)]
        path = folder / f"{number + 1:02d}-{family}.mp4"
        if path.exists():
            write_note(f"{path}: is there already")
        else:
            make_clip(path, seed * 1000 + number, family, size, seconds, with_sound)
        write_result(str(path))


def make_clip(path: Path, seed: int, family: str, size: tuple[int, int], seconds: float, with_sound: bool) -> None:
    """Write one scene of ``family`` as a clip of ``size`` (width, height); ``seed`` counts within the test seeds."""
    from foleygen import scenes
    from foleygen.media import movie

    number = scenes.TEST_SEEDS[seed % len(scenes.TEST_SEEDS)]
    scene = scenes.compose(number, family=family, duration_s=seconds, style="clean")
    sound = scene.sound(SAMPLE_RATE) if with_sound else None
    movie.write(path, _pictures(scene, size, seconds), FRAME_RATE, size, sound, SAMPLE_RATE if with_sound else None)


def _pictures(scene: Scene, size: tuple[int, int], seconds: float) -> Iterator[NDArray[np.uint8]]:
    import numpy as np

    scale = min(1.0, MOST_LINES / min(size))
    width, height = (round(side * scale) for side in size)
    times = np.arange(max(1, round(seconds * FRAME_RATE))) / FRAME_RATE
    step = max(1, CHUNK_PIXELS // (width * height))
    for first in range(0, len(times), step):
        yield from scene.frames(times[first : first + step], width, height)
