"""``foleygen library``: recordings of one's own, indexed, shown, searched and listened to."""

from __future__ import annotations

import click

from foleygen.cli.library.audition import audition
from foleygen.cli.library.index import index
from foleygen.cli.library.search import search
from foleygen.cli.library.show import show


@click.group()
def library() -> None:
    """Index, show, search and listen to a folder of your own recordings.

    The index says where each footstep, knock and clink begins and ends, how loud and bright it is, what it is like,
    and what your files say of themselves. It is in the user's data folder; nothing is written into your library.

    \b
    Examples:
      foleygen library index ~/recordings
      foleygen library show
      foleygen library search glass bottle
      foleygen library audition footsteps gravel -o steps.wav
    """


for command in (index, show, search, audition):
    library.add_command(command)
