"""Which scenes the numbers of a report are from: how many, whether training may have seen them, what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foleygen.evaluation.generated import Generated
from foleygen.scenes import TEST_SEEDS
from foleygen.training.data.dataset import SceneDataset

SILENT = "no event that is strong enough to be heard"
EVENTFUL = "events instead of a course of loudness"
UNKNOWN = "a name that the judge has not learnt"


@dataclass(frozen=True)
class Scope:
    """``training_seeds`` counts the scenes that are not kept for tests; ``left_out`` is a report's name -> reason."""

    clips: int
    unfinished: int
    training_seeds: int
    left_out: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: SceneDataset, left_out: Mapping[str, str] | None = None) -> Scope:
        """What ``dataset`` is."""
        seen = sum(clip.seed not in TEST_SEEDS for clip in dataset.clips)
        return cls(len(dataset), int(dataset.config["count"]) - len(dataset), seen, left_out or {})

    def warnings(self) -> list[str]:
        """What makes numbers doubtful, a sentence each."""
        found = []
        if self.training_seeds:
            kept = f"{self.training_seeds} of {self.clips} scenes have seeds that training may have seen"
            found.append(f"{kept} (those from {TEST_SEEDS.start} on are kept for tests)")
        if self.unfinished:
            found.append(f"{self.unfinished} scenes of the dataset are not finished and left out")
        return found

    def table(self) -> str:
        """The report as text, a line per fact."""
        reasons = [f"{name}: {reason}" for name, reason in self.left_out.items()]
        return "\n".join([f"{self.clips} scenes", *self.warnings(), *reasons])


def left_out(results: Sequence[Generated], names: Mapping[str, set[str]] | None = None) -> dict[str, str]:
    """Why the reports on ``results`` leave clips out; ``names`` are the families and materials that are known."""
    silent = sum(not result.events.size for result in results)
    counts = {"sync": (silent, SILENT)}
    if silent:
        counts["loudness"] = (len(results) - silent, EVENTFUL)
    for label, known in (names or {}).items():
        counts[f"{label} named"] = (sum(getattr(result.record, label) not in known for result in results), UNKNOWN)
    return {
        name: f"{count} of {len(results)} clips left out: {reason}" for name, (count, reason) in counts.items() if count
    }
