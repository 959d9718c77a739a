"""Run by torchrun in test_training.py: one step of two trainings, whose gradients rank 0 writes down."""

from __future__ import annotations

import sys
from pathlib import Path

import tiny_training
import torch

from foleygen.training import parallel
from foleygen.training.autoencoder import vae_loop
from foleygen.training.cavp import cavp_loop
from foleygen.training.loop import Loop
from foleygen.training.mdsgen import mdsgen_loop


def gradients(data: Path, pairs: Path, folder: Path) -> dict[str, torch.Tensor]:
    """Gradients of the first step, by training and parameter."""
    torch.set_num_threads(1)
    loops: dict[str, Loop] = {
        "mdsgen": mdsgen_loop(tiny_training.mdsgen(steps=1), pairs, None, folder / "mdsgen", "cpu"),
        "cavp": cavp_loop(tiny_training.cavp(steps=1), [data], folder / "cavp", "cpu"),
        "vae": vae_loop(tiny_training.vae(steps=1), [data], None, folder / "vae", "cpu"),
    }
    found = {}
    for name, loop in loops.items():
        loop.run()
        for key, value in loop.model.named_parameters():
            if value.grad is not None:
                found[f"{name}.{key}"] = value.grad.clone()
    return found


if __name__ == "__main__":
    data, pairs, folder = (Path(argument) for argument in sys.argv[1:])
    with parallel.process_group("cpu"):
        rank, world = parallel.place()
        assert world == 2
        result = gradients(data, pairs, folder)
        if rank == 0:
            torch.save(result, folder / "gradients.pt")
