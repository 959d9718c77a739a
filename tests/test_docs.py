"""The pages about the command line are true."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import click
import pytest

from foleygen import config
from foleygen.cli.app import cli
from foleygen.cli.reference import commands_page, walk
from foleygen.errors import ExitCode

DOCS = Path(__file__).parent.parent / "docs"
MADE_WITH = "8.5."


def test_the_command_reference_is_fresh() -> None:
    if not importlib.metadata.version("click").startswith(MADE_WITH):
        pytest.skip(f"the page was made with Click {MADE_WITH}x, another one formats help in another way")
    written = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert written == commands_page(), "run python -m foleygen.cli.reference"


def test_the_command_reference_is_complete() -> None:
    written = (DOCS / "commands.md").read_text(encoding="utf-8")
    for path, command in walk(cli, "foleygen"):
        section = written.partition(f"## {path}\n")[2].partition("\n## ")[0]
        assert section, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert all(name in section for name in parameter.opts), (path, parameter.name)
    for name in config.specs():
        assert f"`{config.ENVIRONMENT_PREFIX}{name.upper()}`" in written
    for code in ExitCode:
        assert f"| {int(code)} |" in written


def test_every_setting_is_an_option_of_add_sound() -> None:
    (command,) = (command for path, command in walk(cli, "foleygen") if path == "foleygen add-sound")
    assert set(config.specs()) <= {parameter.name for parameter in command.params}


def test_links_between_pages_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for part in text.split("](")[1:]:
            target = part.partition(")")[0].partition("#")[0]
            if target and "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} -> {target}"
