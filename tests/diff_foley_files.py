"""Diff-Foley's published files with stand-in weights: same containers, same names, networks of reduced width."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from standins import fill
from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"


def reduced_shapes(file: str) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the golden arrays' networks: "ldm" (U-Net and condition) or "classifier"."""
    entries = json.loads((GOLDEN / "difffoley_reduced_keys.json").read_text())
    return {entry["key"]: tuple(entry["shape"]) for entry in entries if entry["file"] == file}


def vae_shapes() -> dict[str, tuple[int, ...]]:
    """The autoencoder's 248 keys, a quarter as wide as published."""
    entries = json.loads((GOLDEN / "diff_foley_vae_keys.json").read_text())
    return {
        f"first_stage_model.{entry['key']}": tuple(size // 4 if size >= 128 else size for size in entry["shape"])
        for entry in entries
    }


def schedule_buffers() -> dict[str, Tensor]:
    names = json.loads((GOLDEN / "difffoley_ldm_keys.json").read_text())
    return {entry["key"]: torch.zeros(1000) for entry in names if entry["part"] == "schedule_buffer"}


def lightning(state: Mapping[str, Tensor], **more: Any) -> dict[str, Any]:
    """A training's checkpoint: the weights, and beside them how far it was and what its optimiser knew."""
    moments = {index: {"step": 7, "exp_avg": torch.zeros(3)} for index in range(2)}
    return {
        "epoch": 240,
        "global_step": 100_000,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": dict(state),
        "callbacks": {},
        "optimizer_states": [{"state": moments, "param_groups": [{"lr": 1e-4, "params": [0, 1]}]}],
        "lr_schedulers": [],
        **more,
    }


def ldm_standin(path: Path, **more: Any) -> dict[str, Tensor]:
    """``ldm_epoch240.ckpt`` with 686 + 3 + 248 weights and 12 tables; returns the weights."""
    state = fill({**reduced_shapes("ldm"), **vae_shapes()}, "cavp")
    torch.save(lightning({**state, **schedule_buffers()}, **more), path)
    return state


def classifier_standin(path: Path, condition: bool = True) -> dict[str, Tensor]:
    """``double_guidance_classifier.ckpt`` with 146 + 3 weights, 12 tables and a scale; returns the weights."""
    state = fill(reduced_shapes("classifier"), "cavp")
    state = {key: value for key, value in state.items() if condition or key.startswith("model.")}
    torch.save(lightning({**state, **schedule_buffers(), "scale_factor": torch.tensor(0.18215)}), path)
    return state
