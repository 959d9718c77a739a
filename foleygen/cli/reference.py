"""docs/commands.md and the completion scripts, made from the commands themselves.

``python -m foleygen.cli.reference`` writes both into the current repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import ShellComplete, get_completion_class

from foleygen.cli import config
from foleygen.cli.app import cli
from foleygen.errors import ExitCode
from foleygen.settings import spec, specs

SHELLS = {"bash": "foleygen.bash", "zsh": "foleygen.zsh", "fish": "foleygen.fish"}
"""Shell -> file in completions/."""
WIDTH = 100
INTRODUCTION = """\
# Commands

This page is generated from the program's own help by `python -m foleygen.cli.reference`.

## Where a setting comes from

A flag beats the environment (`FOLEYGEN_<OPTION>`, for example `FOLEYGEN_BATCH_SIZE=4`), which beats the project's
`foleygen.yaml` (the nearest one from the current folder upward), which beats the user's `foleygen.yaml` (in the
platform's configuration folder), which beats the default. `--config FILE` (or `FOLEYGEN_CONFIG`) stands in for both
files. A key that is not known is an error. Relative paths in a file are meant from the file's folder.
"""


def commands_page() -> str:
    """The text of docs/commands.md."""
    parts = [INTRODUCTION, _settings_table(), _exit_codes()]
    for path, command in walk(cli, "foleygen"):
        settings = {**cli.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
        context = click.Context(command, info_name=path, **settings)
        parts.append(f"## {path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, parents first."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from walk(child, f"{path} {name}")


def completion_script(shell: str) -> str:
    """The completion script for one of SHELLS."""
    kind = get_completion_class(shell)
    assert kind is not None
    # The base class' method: bash's own runs bash to look at its version, and here there may be none.
    return ShellComplete.source(kind(cli, {}, "foleygen", "_FOLEYGEN_COMPLETE")).rstrip() + "\n"


def _settings_table() -> str:
    rows = ["| Key in YAML | Environment | Default | Meaning |", "|---|---|---|---|"]
    for name, setting in specs().items():
        rule = spec(setting)
        default = rule.auto or "none" if setting.default is None else str(setting.default)
        meaning = rule.help.replace("|", "\\|")
        rows.append(f"| `{name}` | `{config.ENVIRONMENT_PREFIX}{name.upper()}` | `{default}` | {meaning} |")
    return "\n".join(rows) + "\n"


def _exit_codes() -> str:
    meanings = {
        ExitCode.OK: "all clips done, or validly skipped",
        ExitCode.BUG: "an internal error: please report it",
        ExitCode.USAGE: "a wrong option, argument or configuration; nothing was done",
        ExitCode.SOME_FAILED: "some clips failed, the others are done; the same command tries them again",
        ExitCode.ALL_FAILED: "every clip failed",
        ExitCode.NO_CLIPS: "no clip was found",
        ExitCode.ENVIRONMENT: "weights, a codec or the device is missing; see `foleygen doctor`",
        ExitCode.TRY_AGAIN: "out of memory or disk full: the same command may succeed later",
        ExitCode.INTERRUPTED: "stopped by SIGINT; nothing is half-written",
        ExitCode.TERMINATED: "stopped by SIGTERM; nothing is half-written",
    }
    rows = [f"| {int(code)} | {meanings[code]} |" for code in ExitCode]
    note = "A shell starts background jobs with SIGINT ignored: stop those with SIGTERM."
    return "\n".join(["## Exit codes", "", "| Code | Meaning |", "|---|---|", *rows, "", note, ""])


def write_all(root: Path) -> None:
    """Write docs/commands.md and completions/ below ``root``."""
    files = {root / "docs" / "commands.md": commands_page()}
    files |= {root / "completions" / name: completion_script(shell) for shell, name in SHELLS.items()}
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_all(Path.cwd())
