"""``foleygen sounds``: the words that sounds are asked for by."""

from __future__ import annotations

from typing import Any

import click

_HEADER = ("SOUND", "UCS", "MEASURED", "HEARD WITH", "ALSO CALLED")


@click.command(short_help="List the sounds that can be asked for in words.")
@click.argument("words", metavar="[TEXT]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, instead of the table.")
def sounds(words: tuple[str, ...], as_json: bool) -> None:
    """List what can be asked for: what happens, what it happens to, and things that stand for both.

    With TEXT, say what each text means. Texts that are no known sound are an error. A sound may be a family
    ("footsteps"), a material ("glass") or both ("glass bottle", "walking on gravel"); what is not said is left to the
    picture. UCS is the category that file names get. MEASURED is of the model tiny, told cues and words without a
    picture, on scenes that it has not learnt from: F1 of the hits within 50 ms, and how many sounds a judge of true
    sounds names rightly, the true ones in brackets. Families with fewer than 3 clips are not measured.

    \b
    Examples:
      foleygen sounds
      foleygen sounds "glass bottle" "knock on the door"
      foleygen add-sound shot.mov --sound "glass bottle"
    """
    from foleygen.cli.terminal.streams import write_json, write_note, write_table

    if words:
        meant = [_meant(text) for text in words]
        if as_json:
            write_json(meant)
        else:
            write_table([("TEXT", "FAMILY", "MATERIAL", "UCS"), *(_row(one) for one in meant)])
    elif as_json:
        write_json(_document())
    else:
        write_table([_HEADER, *_rows()])
        if _is_stale():
            write_note("what was measured is of earlier weights of the model tiny")


def _meant(text: str) -> dict[str, Any]:
    from foleygen.cli.terminal.streams import write_note
    from foleygen.cues.words import has_unknown, understand

    near = None
    if has_unknown(text):
        from foleygen.engines.meaning import nearest

        near = nearest(text)
    if near is not None:
        write_note(f"'{text}': understood as {near}, nearest in meaning")
    found = understand(near or text)
    return {"text": text, "family": found.family, "material": found.material, "ucs": found.catid}


def _row(meant: dict[str, Any]) -> tuple[str, ...]:
    from foleygen.errors import printable

    return printable(meant["text"]), meant["family"] or "-", meant["material"] or "-", meant["ucs"]


def _rows() -> list[tuple[str, ...]]:
    from foleygen.cues.measured import NOT, measured
    from foleygen.cues.words import CATID, table

    known = table()
    worth = measured().families
    rows: list[tuple[str, ...]] = [
        (name, one.catid, worth[name].says if name in worth else NOT, ", ".join(one.materials), ", ".join(one.words))
        for name, one in known.families.items()
    ]
    rows += [(name, one.catid or CATID, "", "", ", ".join(one.words)) for name, one in known.materials.items()]
    for name, one in known.things.items():
        category = known.families[one.family].catid
        rows.append((name, category, "", f"{one.family} of {one.material}", ", ".join(one.words)))
    return rows


def _is_stale() -> bool:
    """Whether the numbers are of other weights than those in the package."""
    from foleygen.cues.measured import measured
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    return measured().bundle != store.load(store.EMBEDDED / measured().model, Bundle, verify=False).hash


def _document() -> dict[str, Any]:
    from foleygen.cues.measured import measured
    from foleygen.cues.words import table
    from foleygen.strict import plain

    found: dict[str, Any] = plain(table())
    return {**found, "measured": plain(measured())}
