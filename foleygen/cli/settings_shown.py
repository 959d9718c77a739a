"""``foleygen config``: what is set, and where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.app import Invocation
from foleygen.cli.options import settings_options, typed_settings
from foleygen.settings import specs

if TYPE_CHECKING:
    from foleygen.cli.config import Value


@click.group("config", short_help="Show what is set, and where.")
def config() -> None:
    """Show the settings of add-sound, and where each comes from.

    \b
    Examples:
      foleygen config show
    """


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, instead of the table.")
@settings_options(*(name for name in specs() if name != "json"))
@click.pass_obj
def show(invocation: Invocation, /, as_json: bool, config_file: Path | None, **values: Any) -> None:
    """List each setting, its value, and where it comes from: an option, a variable, a file, or the default.

    \b
    Examples:
      foleygen config show
      FOLEYGEN_SEED=3 foleygen config show --json
    """
    from foleygen.cli.config import found
    from foleygen.cli.terminal.streams import write_json, write_table

    settings = found(typed_settings(values), config_file=config_file)
    if as_json:
        write_json({name: {"value": _plain(each), "from": each.source} for name, each in settings.items()})
    else:
        rows = [(name, str(_plain(each)), each.source) for name, each in settings.items()]
        write_table([("setting", "value", "from"), *rows])


def _plain(each: Value) -> object:
    return str(each.value) if isinstance(each.value, Path) else each.value
