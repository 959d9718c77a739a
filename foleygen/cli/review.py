"""``foleygen review``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import TALK, load_settings, settings_options
from foleygen.errors import ExitCode, UsageError, printable

if TYPE_CHECKING:
    from foleygen.review.clip import Facts
    from foleygen.review.pictures import Pictures
    from foleygen.settings import Settings


@click.command(short_help="Look at, listen to and correct a folder of clips in a browser.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("."))
@click.option("--serve", is_flag=True, help="Serve the page on this machine alone, so that it can save and render.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="With --serve: listen on this port.")
@click.option("--pictures/--no-pictures", default=True, help="Draw posters, motion and spectrograms into the page.")
@settings_options("model", "device", "precision", "cache", "max_pixels", *TALK)
@click.pass_obj
def review(
    invocation: Invocation,
    /,
    folder: Path,
    serve: bool,
    port: int | None,
    pictures: bool,
    config_file: Path | None,
    **values: Any,
) -> ExitCode:
    """Write review.html beside the finished clips in FOLDER: a page to look, listen, pick takes and move cues.

    The page opens from the disk and asks nobody for anything; picks and cues are downloaded as files, which 'foleygen
    pick --from' and 'foleygen add-sound --cues' take. With --serve nothing is written: the page is served on
    127.0.0.1 until Ctrl-C, saves beside the clips, and makes a clip again with its new cues.

    \b
    Examples:
      foleygen review finished/
      foleygen review finished/ --serve
      foleygen review finished/ --serve --port 8000 --model tiny
    """
    settings = load_settings(invocation, config_file, values)
    if serve:
        return _serve(folder, port or 0, settings)
    if port is not None:
        raise UsageError("--port: nothing listens without --serve", "add --serve")
    return _write(folder, pictures, settings)


def _write(folder: Path, with_pictures: bool, settings: Settings) -> ExitCode:
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.review import page
    from foleygen.review.folder import facts_of, outputs
    from foleygen.review.seen import Seen

    seen = Seen(folder)
    found = [facts for output in outputs(folder) if (facts := facts_of(output, folder)) is not None]
    clips = seen.marked(found)
    drawn = _drawn(folder, clips, settings) if with_pictures else ()
    path = folder / page.NAME
    page.write(path, page.text(page.Page(folder), clips, drawn))
    failed = sum(clip.state == "failed" for clip in clips)
    if not settings.quiet:
        write_note(f"{len(clips)} {'clip' if len(clips) == 1 else 'clips'} on the page, {failed} of them failed")
    write_result(str(path))
    return ExitCode.OK


def _drawn(folder: Path, clips: Sequence[Facts], settings: Settings) -> Iterator[tuple[str, Pictures]]:
    """The pictures of each clip; on a terminal a line says how far they are."""
    import sys

    from foleygen.cli.terminal.streams import is_interactive
    from foleygen.errors import FoleygenError
    from foleygen.record import finding
    from foleygen.review import pictures
    from foleygen.review.folder import path_of

    shows = is_interactive(sys.stderr) and not settings.quiet
    for number, clip in enumerate(clips, start=1):
        if not clip.takes:
            continue
        if shows:
            print(f"\rdrawing {number} of {len(clips)}", end="", file=sys.stderr, flush=True)
        try:
            yield clip.id, pictures.of(finding.find(path_of(clip, folder)))
        except FoleygenError:
            continue
    if shows:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _serve(folder: Path, port: int, settings: Settings) -> ExitCode:
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.review.server import serve

    def tell(address: str) -> None:
        write_result(address)
        write_note(f"{printable(folder)} is served on this machine alone; open the address, end with Ctrl-C")

    serve(folder, port, settings, tell)
    return ExitCode.OK
