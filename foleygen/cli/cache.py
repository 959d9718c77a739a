"""``foleygen cache``: what is kept of the pictures' features."""

from __future__ import annotations

import click

from foleygen.cli.terminal.reading import byte_size


@click.group()
def cache() -> None:
    """Look at, or empty, the cache of video features.

    The cache lets a second run with another seed begin without reading the pictures again. It is in the user's
    cache folder, or in $FOLEYGEN_CACHE_DIR, and drops what was not used for longest.

    \b
    Examples:
      foleygen cache info
      foleygen cache clear
    """


@cache.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(as_json: bool) -> None:
    """Print where the cache is, how many windows it holds and how large it is.

    \b
    Example:
      foleygen cache info --json
    """
    from foleygen.cli.terminal.streams import write_json, write_table
    from foleygen.features.cache import FeatureCache, default_root

    found = FeatureCache(default_root()).info()
    if as_json:
        write_json({"folder": str(found.root), "windows": found.entries, "bytes": found.bytes, "cap": found.cap})
    else:
        rows = [
            ("folder", str(found.root)),
            ("windows", str(found.entries)),
            ("size", f"{byte_size(found.bytes)} of {byte_size(found.cap)}"),
        ]
        write_table(rows)


@cache.command()
def clear() -> None:
    """Remove every cached window; clips and their sounds stay.

    \b
    Example:
      foleygen cache clear
    """
    from foleygen.cli.terminal.streams import write_note
    from foleygen.features.cache import FeatureCache, default_root

    before = FeatureCache(default_root()).clear()
    write_note(f"removed {before.entries} windows, {byte_size(before.bytes)}")
