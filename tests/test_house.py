"""The house stands as it is drawn: rooms, layers, walls, the lists of what to touch, extras and linters."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "foleygen"
PAGE = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {contract["name"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
TOP = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
ASIDE = {"__init__", "__main__"}
"""The version, and ``python -m foleygen``: no rooms."""
MOST_FILES = 7
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.\w+|pyproject\.toml)`")


def block(heading: str) -> list[str]:
    """The lines of the first code block below a heading."""
    return PAGE.partition(f"## {heading}\n")[2].partition("```\n")[2].partition("```")[0].splitlines()


def section(heading: str) -> str:
    """The text below a heading, up to the next one of its level."""
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_picture_shows_the_layers() -> None:
    layers = CONTRACTS["data flows one way"]["layers"]
    drawn = [re.match(r"\w+(?: \| \w+)*", line) for line in block("The house")]
    assert [match and match[0] for match in drawn] == [layer.replace("foleygen.", "") for layer in layers]


def test_every_room_is_in_the_layers() -> None:
    layers = CONTRACTS["data flows one way"]["layers"]
    named = [room.strip() for layer in layers for room in layer.split("|")]
    assert sorted(named) == sorted(f"foleygen.{name}" for name in TOP - ASIDE)


@pytest.mark.parametrize(
    ("contract", "free"), [("PyAV lives in media", {"media"}), ("only the command line draws", {"cli"})]
)
def test_a_wall_guards_every_room(contract: str, free: set[str]) -> None:
    guarded = set(CONTRACTS[contract]["source_modules"])
    assert guarded == {f"foleygen.{name}" for name in TOP - ASIDE - free}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_each_room_says_what_it_is_for(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert said, room
    first = said.partition("\n\n")[0]
    assert first.endswith((".", "?")), first
    if room.parent == PACKAGE:
        assert re.search(rf"\b{room.name}\b", "\n".join(block("The house")))
    elif room != PACKAGE:
        assert f"`{room.relative_to(PACKAGE)}`" in section("The house")


def test_every_folder_of_files_is_a_room() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert folders == set(ROOMS)


def touched() -> dict[str, list[str]]:
    """The files that each list names; what stands behind a list is not counted."""
    found = {}
    for part in re.split(r"\n### ", section("What to touch"))[1:]:
        heading, _, text = part.partition("\n")
        numbered = re.findall(r"^\d\. .*(?:\n   .*)*", text, re.MULTILINE)
        found[heading] = [file for item in numbered for file in FILE.findall(item)]
    return found


def test_whoever_adds_something_finds_a_short_list() -> None:
    wanted = {"setting", "vocoder", "timeline format", "marker or cue format", "conditioning input", "model family"}
    assert {heading.removeprefix("A ") for heading in touched()} == wanted
    for heading, files in touched().items():
        assert 1 < len(set(files)) <= MOST_FILES, heading


def test_the_files_that_the_page_names_exist() -> None:
    named = set(FILE.findall(PAGE))
    assert len(named) > 40
    lost = sorted(name for name in named if not (ROOT / name).exists() and not (PACKAGE / name).exists())
    assert not lost


def test_the_walks_go_through_the_rooms_they_should() -> None:
    clip, _, seed = section("Two walks through it").partition("### A seed")
    for name in ("cli/app.py", "batch/discover.py", "pipeline/rendering.py", "media/mux.py", "record/sidecar.py"):
        assert f"`{name}`" in clip
    for name in ("settings.py", "pipeline/tracks.py", "sampling/noise.py", "engines/foley.py"):
        assert f"`{name}`" in seed


def test_every_extra_is_listed_with_what_it_brings() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", page, re.MULTILINE))
    extras = PROJECT["project"]["optional-dependencies"]
    assert rows.keys() == extras.keys()
    for extra, libraries in extras.items():
        if extra != "dev":
            assert set(rows[extra].split(", ")) == {re.split(r"[<>=\[]", library)[0] for library in libraries}


@pytest.mark.parametrize("rule", PROJECT["tool"]["ruff"]["lint"]["ignore"])
def test_what_linting_passes_over_is_there(rule: str) -> None:
    """An exception that nothing needs is a rule that nobody has."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", rule, str(ROOT)]
    assert rule in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_measures_neither_read_arguments_nor_print() -> None:
    for path in sorted((PACKAGE / "evaluation").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not {"print", "input"} & names, path
        assert not {"argparse", "click", "rich"} & imports, path
