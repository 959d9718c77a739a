"""Diff-Foley's published files to weights of ours: every key checked, whatever else the files hold left alone."""

from __future__ import annotations

import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from diff_foley_files import classifier_standin, ldm_standin, lightning, reduced_shapes
from standins import fill
from test_convert import Payload

from foleygen.errors import BundleError
from foleygen.models.alignment import AlignmentClassifier, AlignmentConfig
from foleygen.models.autoencoder import load_kl
from foleygen.models.diff_foley import DiffFoley, DiffFoleyConfig
from foleygen.weights.published.checkpoint import read_checkpoint, shapes_of
from foleygen.weights.published.diff_foley import classifier_shapes, convert_classifier, convert_unet, published_names
from foleygen.weights.published.kl import convert_kl

GOLDEN = Path(__file__).parent / "golden"


def test_published_names_and_shapes_are_what_is_asked_for() -> None:
    entries = json.loads((GOLDEN / "difffoley_ldm_keys.json").read_text())
    wanted = {entry["key"]: tuple(entry["shape"]) for entry in entries if entry["part"] in ("unet", "cond_stage")}
    names, shapes = published_names(DiffFoleyConfig()), shapes_of(lambda: DiffFoley(DiffFoleyConfig()))
    assert len(wanted) == 686 + 3
    assert {names[key]: shape for key, shape in shapes.items()} == wanted
    judge = json.loads((GOLDEN / "alignment_classifier_keys.json").read_text())
    shapes = classifier_shapes(AlignmentConfig())
    assert shapes == {entry["key"]: tuple(entry["shape"]) for entry in judge}
    assert sum(key.startswith("model.") for key in shapes) == 146


def test_one_checkpoint_gives_the_denoiser_and_the_autoencoder(tmp_path: Path) -> None:
    averaged = {"model_ema.decay": torch.tensor(0.999), "model_ema.diffusion_modelout2bias": torch.zeros(4)}
    path = tmp_path / "ldm_epoch240.ckpt"
    stored = ldm_standin(path)
    content = torch.load(path, weights_only=True)
    content["state_dict"] |= averaged
    torch.save(content, path)
    config, weights = convert_unet(path)
    assert (config["model_channels"], config["context_dim"], config["max_features"]) == (32, 96, 40)
    assert len(weights) == 686 + 3
    with torch.device("meta"):
        model = DiffFoley(DiffFoleyConfig(**{name: tuple(value) if isinstance(value, list) else value
                                             for name, value in config.items()}))  # fmt: skip
    model.load_state_dict(weights, assign=True)
    assert torch.equal(weights["unet.conv_out.bias"], stored["model.diffusion_model.out.2.bias"])
    assert torch.equal(weights["condition.pos_emb.weight"], stored["cond_stage_model.pos_emb.weight"])
    geometry, autoencoder = convert_kl(path)
    assert geometry["block_out_channels"] == [32, 64, 128, 128]
    assert len(autoencoder) == 248
    load_kl({**geometry, "time_first": False}, autoencoder)


@pytest.mark.parametrize("condition", [True, False])
def test_the_classifier_comes_with_or_without_its_condition(tmp_path: Path, condition: bool) -> None:
    stored = classifier_standin(tmp_path / "double_guidance_classifier.ckpt", condition)
    config, weights = convert_classifier(tmp_path / "double_guidance_classifier.ckpt")
    assert config["channels"] == 32
    assert weights.keys() == stored.keys()
    found = AlignmentClassifier(AlignmentConfig(**config)).load_state_dict(weights, strict=False)
    assert len(found.missing_keys) == (0 if condition else 3)
    assert not found.unexpected_keys


def test_every_difference_is_listed(tmp_path: Path) -> None:
    state = fill(reduced_shapes("ldm"), "cavp")
    del state["model.diffusion_model.out.2.bias"]
    state["model.diffusion_model.label_emb.weight"] = torch.zeros(3)
    state["cond_stage_model.embedder.0.bias"] = torch.zeros(95)
    torch.save(lightning(state), tmp_path / "ldm.ckpt")
    with pytest.raises(BundleError) as caught:
        convert_unet(tmp_path / "ldm.ckpt")
    text = str(caught.value)
    assert "1 missing: model.diffusion_model.out.2.bias" in text
    assert "1 unexpected: model.diffusion_model.label_emb.weight" in text
    assert "cond_stage_model.embedder.0.bias (95,) instead of (96,)" in text


def test_files_of_another_part_are_named(tmp_path: Path) -> None:
    ldm, judge = tmp_path / "ldm.ckpt", tmp_path / "classifier.ckpt"
    ldm_standin(ldm)
    classifier_standin(judge)
    with pytest.raises(BundleError, match=r"classifier\.ckpt: is not Diff-Foley's latent diffusion checkpoint"):
        convert_unet(judge)
    with pytest.raises(BundleError, match=r"ldm\.ckpt: has an autoencoder.*eval_classifier.*name double_guidance"):
        convert_classifier(ldm)
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "other.ckpt")
    with pytest.raises(BundleError, match=r"other\.ckpt: is not Diff-Foley's alignment classifier"):
        convert_classifier(tmp_path / "other.ckpt")


@pytest.fixture
def callback(monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    """A class under the name that old versions of Lightning leave in their checkpoints; gone before these are read."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)
    kind = type("ModelCheckpoint", (), {"__module__": name})
    module.ModelCheckpoint = kind  # type: ignore[attr-defined]
    for known in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, known, types.ModuleType(known))
    monkeypatch.setitem(sys.modules, name, module)
    return kind


def test_what_lightning_leaves_in_a_checkpoint_is_put_aside(
    tmp_path: Path, callback: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ldm_epoch240.ckpt"
    stored = ldm_standin(path, callbacks={callback: {"best_model_score": torch.tensor(0.1), "itself": callback()}})
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    monkeypatch.undo()
    assert "pytorch_lightning" not in sys.modules
    found = read_checkpoint(path)
    assert torch.equal(found["model.diffusion_model.out.2.bias"], stored["model.diffusion_model.out.2.bias"])
    assert "pytorch_lightning" not in sys.modules
    with pytest.raises(pickle.UnpicklingError):  # only this reader does so
        torch.load(path, weights_only=True)


def test_other_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "ldm_epoch240.ckpt"
    ldm_standin(path, hyper_parameters=Payload(tmp_path / "ran"))
    with pytest.raises(BundleError, match="no checkpoint of tensors alone"):
        convert_unet(path)
    assert not (tmp_path / "ran").exists()


def test_a_truncated_checkpoint_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "ldm_epoch240.ckpt"
    ldm_standin(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BundleError, match=r"ldm_epoch240\.ckpt: is not a readable checkpoint") as caught:
        convert_unet(path)
    assert len(str(caught.value)) < len(str(path)) + 200
