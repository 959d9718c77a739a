"""Several threads make the windows of a clip, each window in one of them: its sound knows nothing of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from foleygen.engines.crew import Crew
from foleygen.engines.foley import Engine
from foleygen.sampling.noise import WindowKey


@pytest.fixture(autouse=True)
def one_thread_afterwards() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def made(engine: Engine, windows: int) -> list[torch.Tensor]:
    spec = engine.bundle.encoder
    features = torch.randn(windows, spec.num_features, spec.feature_dim, generator=torch.Generator().manual_seed(0))
    keys = [WindowKey(0, "a", start, 1) for start in range(windows)]
    latents, tie = engine.joint_latents(features, keys, 1, rows=1)
    mels = engine.joint_mels(latents, features, rows=1)
    return [latents, tie.states, mels, engine.joint_sounds(mels, keys, engine.column_samples, rows=1)]


@pytest.mark.parametrize("processors", [2, 3, 5])
def test_how_many_threads_there_are_is_not_heard(engine: Engine, processors: int) -> None:
    torch.set_num_threads(1)
    alone = made(engine, 5)
    torch.set_num_threads(processors)
    for one, other in zip(made(engine, 5), alone, strict=True):
        assert torch.equal(one, other)
    assert torch.get_num_threads() == processors


@pytest.mark.parametrize(
    ("device", "processors", "parts", "threads", "of_each"),
    [("cpu", 1, 4, 1, 1), ("cpu", 2, 5, 2, 1), ("cpu", 6, 2, 2, 3), ("cpu", 4, 1, 1, 4), ("cuda", 4, 4, 1, 4)],
)
def test_processors_are_divided(device: str, processors: int, parts: int, threads: int, of_each: int) -> None:
    torch.set_num_threads(processors)
    together = threading.Barrier(threads, timeout=60)
    seen: dict[int, tuple[str, int, bool]] = {}

    def work(part: int) -> int:
        if part < threads:
            together.wait()
        seen[part] = threading.current_thread().name, torch.get_num_threads(), torch.is_inference_mode_enabled()
        return -part

    with torch.inference_mode():
        assert Crew(device).each(work, range(parts)) == [-part for part in range(parts)]
    assert len({name for name, _, _ in seen.values()}) == threads
    assert {(own, inferring) for _, own, inferring in seen.values()} == {(of_each, True)}
    assert torch.get_num_threads() == processors
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("foleygen window")]


def test_what_a_part_raises_is_raised() -> None:
    torch.set_num_threads(2)

    def work(part: int) -> int:
        raise ValueError(f"part {part}")

    with pytest.raises(ValueError, match="part 0"):
        Crew("cpu").each(work, [0, 1, 2])
    assert torch.get_num_threads() == 2
