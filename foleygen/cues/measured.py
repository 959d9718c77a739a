"""What the model in the package makes of each family: ``measured.yaml``, as ``evaluate cues --table`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from foleygen import atomic
from foleygen.errors import SetupError
from foleygen.strict import Reader, plain

TABLE = Path(__file__).with_name("measured.yaml")
NOT = "not measured"
FEWEST = 3
"""Clips of a family from which on a number says something of it."""


@dataclass(frozen=True)
class Family:
    """What was measured of one family, told cues and words without a picture."""

    clips: int
    """With events."""
    hits: int
    """Their events."""
    followed: float | None
    """F1 of their onsets at 50 ms."""
    sounds: int
    """All clips of the family."""
    true_named: int | None = None
    """Of the true sounds: how many a judge names rightly."""
    made_named: int | None = None
    """The same of those that were made."""

    @property
    def says(self) -> str:
        """For people; what is of too few clips is not told."""
        parts = []
        if self.followed is not None and self.clips >= FEWEST:
            parts.append(f"{self.followed:.2f} of {self.hits} hits")
        if self.true_named is not None and self.made_named is not None and self.sounds >= FEWEST:
            parts.append(f"named: {self.made_named} of {self.sounds} (true {self.true_named})")
        return ", ".join(parts) or NOT


@dataclass(frozen=True)
class Measured:
    """The whole table: by which model, told in which way."""

    model: str
    bundle: str
    """Hash of the weights."""
    arm: str
    families: Mapping[str, Family]


@cache
def measured(path: Path = TABLE) -> Measured:
    """The table. Raises SetupError if it is damaged."""
    reader = Reader(SetupError)
    content = dict(reader.mapping(path, "install foleygen again"))
    families = content.pop("families", None) or {}
    found = reader.section(Measured, {**content, "families": {}}, str(path))
    rows = {name: reader.section(Family, row, f"{path}: {name}") for name, row in dict(families).items()}
    return Measured(found.model, found.bundle, found.arm, rows)


def write(path: Path, table: Measured) -> None:
    """Put ``table`` in the file ``path``."""
    import yaml

    with atomic.publish(path) as temporary:
        temporary.write_text(yaml.safe_dump(plain(table), sort_keys=False, allow_unicode=True))
