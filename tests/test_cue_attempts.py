"""Windows of an evaluation that do not keep to their cues are made again, and the best of them is kept."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import torch

from foleygen.engines.foley import Engine
from foleygen.evaluation.cues.again import Asked, faults, made
from foleygen.sampling.noise import WindowKey

RATE = 62.5


def hits(*times: float) -> torch.Tensor:
    """A mel (128, 512) of clicks."""
    mel = torch.full((128, 512), 0.1)
    for time in times:
        begin = round(time * RATE)
        for step in range(12):
            mel[:, begin + step] = 0.8 - 0.05 * step
    return mel


class Scripted:
    """Makes the sounds of a script: one for each attempt, whatever the window."""

    def __init__(self, script: Sequence[torch.Tensor]) -> None:
        self.script, self.asked = script, list[int]()
        self.bundle = SimpleNamespace(sample_rate=16000, mel=SimpleNamespace(hop_length=256))

    def latents(self, features: torch.Tensor, keys: Sequence[WindowKey], **_: Any) -> torch.Tensor:
        self.asked.append(len(keys))
        return torch.zeros(len(keys), 1)

    def mels(self, latents: torch.Tensor, features: torch.Tensor, tracks: object) -> torch.Tensor:
        with torch.inference_mode():  # as the engine has it: no row may be written to
            return torch.stack([self.script[len(self.asked) - 1]] * len(latents))


def asked(*cues: tuple[float, ...]) -> Asked:
    keys = [WindowKey(0, f"row {row}", 0, 1) for row in range(len(cues))]
    return Asked(torch.zeros(len(cues), 128, 128), keys, [None] * len(cues), cues)


def run(script: Sequence[torch.Tensor], wanted: Asked, attempts: int) -> tuple[torch.Tensor, list[int]]:
    engine = Scripted(script)
    return made(cast(Engine, engine), wanted, None, attempts), engine.asked


def test_a_miss_is_made_again_until_it_keeps_to_its_cues() -> None:
    found, counts = run([hits(1.0), hits(1.0, 3.0), hits(1.0, 5.0)], asked((1.0, 5.0), (1.0,)), 3)
    assert counts == [2, 1, 1]
    assert torch.equal(found[0], hits(1.0, 5.0))
    assert torch.equal(found[1], hits(1.0))


def test_the_best_stays_where_none_is_right() -> None:
    found, counts = run([hits(1.0), hits(2.0), hits(1.0, 6.0)], asked((1.0, 5.0)), 2)
    assert counts == [1, 1, 1]
    assert torch.equal(found[0], hits(1.0))


def test_without_attempts_and_without_cues_once_is_all() -> None:
    assert run([hits(2.0)], asked((1.0,)), 0)[1] == [1]
    assert run([hits(2.0)], asked(()), 3)[1] == [1]


def test_faults_are_misses_and_what_nobody_asked_for() -> None:
    engine = cast(Engine, Scripted([]))
    assert faults(engine, hits(1.0, 4.0), [1.0, 4.0]) == 0
    assert faults(engine, hits(1.0, 4.0), [1.0]) == 1
    assert faults(engine, hits(1.0), [2.5]) == 2
