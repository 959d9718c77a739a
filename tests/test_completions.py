"""The completion scripts that are shipped are those that the installed Click makes."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from foleygen.cli.reference import SHELLS, completion_script

FOLDER = Path(__file__).parent.parent / "completions"
MADE_WITH = "8.5."


def suggestions(words: str, position: int) -> list[str]:
    shell = {"_FOLEYGEN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    code = "import sys; sys.argv[0] = 'foleygen'; from foleygen.cli.app import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **shell}, check=True
    )
    return [line.partition(",")[2] for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("shell", SHELLS)
def test_fresh(shell: str) -> None:
    if not importlib.metadata.version("click").startswith(MADE_WITH):
        pytest.skip(f"the scripts were made with Click {MADE_WITH}x, another one writes them in another way")
    written = (FOLDER / SHELLS[shell]).read_text(encoding="utf-8")
    assert written == completion_script(shell), "run python -m foleygen.cli.reference"


def test_no_script_is_stale() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(SHELLS.values())


def test_commands_options_and_choices_complete() -> None:
    assert suggestions("foleygen mo", 1) == ["models"]
    assert suggestions("foleygen models ver", 2) == ["verify"]
    assert suggestions("foleygen add-sound --pre", 2) == ["--precision"]
    assert suggestions("foleygen add-sound --audio ", 3) == ["keep", "replace", "mix"]


def test_values_that_are_no_fixed_choices_complete() -> None:
    assert suggestions("foleygen add-sound --model t", 3) == ["tiny"]
    assert suggestions("foleygen add-sound --loudness e", 3) == ["ebu"]
    assert suggestions("foleygen add-sound --sound foot", 3) == ["footsteps"]
    assert suggestions("foleygen add-sound --ambience ra", 3) == ["rain"]
    assert suggestions("foleygen train mdsgen --recipe tiny-m", 4) == ["tiny-mdsgen"]
