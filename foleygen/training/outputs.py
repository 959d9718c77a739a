"""What the commands of training leave in a folder, so that one which is given another's says what comes between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from foleygen.errors import UsageError

What = Literal["scenes", "pairs", "clips", "windows", "tokens", "run", "bundle"]


@dataclass(frozen=True)
class Output:
    """``file`` tells the folder, ``called`` what is in it in words; how it is made, and which command takes it."""

    file: str
    called: str
    made: str
    taken: str


OUTPUTS: dict[What, Output] = {
    "scenes": Output("dataset.json", "a dataset of scenes", "make one with foleygen train scenes", "train pairs"),
    "pairs": Output("pairs.npz", "pairs", "make it with foleygen train pairs", "train mdsgen"),
    "clips": Output("shards.json", "prepared clips", "run foleygen train prepare first", "train mdsgen"),
    "windows": Output("windows.json", "windows of sound", "make them with foleygen train windows", "train tokenizer"),
    "tokens": Output("tokens.npz", "tokens", "make them with foleygen train tokens", "train specmaskgit"),
    "run": Output("recipe.yaml", "a training run", "name the folder that foleygen train wrote with -o", "train bundle"),
    "bundle": Output("bundle.yaml", "a bundle", "make it with foleygen train bundle", "add-sound --model"),
}
NEXT: dict[tuple[What, What], str] = {
    ("scenes", "pairs"): "encode it with foleygen train pairs, and give what that wrote",
    ("scenes", "clips"): "encode it with foleygen train pairs, and give what that wrote",
    ("windows", "tokens"): "encode them with foleygen train tokens, and give what that wrote",
    ("pairs", "scenes"): "name the dataset that foleygen train pairs encoded",
    ("tokens", "windows"): "name the windows that foleygen train tokens encoded",
}
"""What to do with the first, where the second is wanted."""


def held(folder: Path) -> What | None:
    """What is in ``folder``, by the file that tells it; None for anything else."""
    return next((what for what, output in OUTPUTS.items() if (folder / output.file).is_file()), None)


def not_held(folder: Path, wanted: What, fact: str, made: str | None = None) -> UsageError:
    """The error of a folder without what is ``wanted``: ``fact``, what it holds instead, the step between.

    ``made`` says how else the wanted is made.
    """
    made = made or OUTPUTS[wanted].made
    found = held(folder)
    if found is None or found == wanted:
        return UsageError(f"{folder}: {fact}", made)
    other = OUTPUTS[found]
    remedy = NEXT.get((found, wanted), f"{made}; {other.called} can go to foleygen {other.taken}")
    return UsageError(f"{folder}: {fact} but {other.called}", remedy)
