"""Diff-Foley's published files with stand-in weights: same containers, same names, networks of reduced width."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from bundles import write_bundle
from standins import fill, fill_module
from torch import Tensor

from foleygen.models.alignment import AlignmentClassifier, AlignmentConfig
from foleygen.models.diff_foley import DiffFoley, DiffFoleyConfig
from foleygen.weights import bundle as bundles
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import tensors
from foleygen.weights.spec import BundleSpec, ClassifierSpec, SamplingSpec

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


def write_small(folder: Path, classifier: bool = True) -> Bundle:
    """A bundle of Diff-Foley's family whose windows of 1.024 s take a few hundredths of a second."""
    base = write_bundle(folder.with_name(f"{folder.name}-base"))
    spec = BundleSpec(**{item.name: getattr(base, item.name) for item in fields(BundleSpec)})
    judge = {"channels": 32, "feature_dim": 16, "num_heads": 2, "max_features": 16}
    spec = replace(
        spec,
        name=folder.name,
        transformer={
            "kind": "diff_foley",
            "latent_shape": [4, 16, 8],
            "model_channels": 32,
            "channel_mult": [1, 2],
            "num_heads": 2,
            "context_dim": 16,
            "feature_dim": 16,
            "num_features": 16,
            "max_features": 16,
        },
        autoencoder=replace(spec.autoencoder, latent_mean=None, latent_std=None),
        sampling=SamplingSpec(
            prediction_type="epsilon",
            num_inference_steps=3,
            guidance_scale=4.5,
            guidance_power=0.0,
            schedule="scaled_linear",
        ),
        classifier=ClassifierSpec(config=judge, scale=50.0) if classifier else None,
    )
    parts = {part: tensors(base, part) for part in base.parts}
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in spec.transformer.items()}
    del options["kind"]
    parts["transformer"] = fill_module(DiffFoley(DiffFoleyConfig(**options)), "cavp").state_dict()
    if classifier:
        parts["classifier"] = fill_module(AlignmentClassifier(AlignmentConfig(**judge)), "cavp").state_dict()
    return bundles.save(folder, spec, parts, licence_text="", model_card="")
