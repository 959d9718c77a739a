"""What the engine makes of a bundle, and of what goes wrong."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from bundles import TRANSFORMER, WINDOW, load_engine, write_bundle
from torch import Tensor

from foleygen.engines.building import FAMILIES, Family, diffusion_of, transformer_of
from foleygen.engines.device import choose_device, choose_precision, explained, loading, out_of_memory
from foleygen.engines.foley import Engine
from foleygen.errors import BundleError, ClipError, ExitCode, RetryableError, SetupError, UsageError
from foleygen.models.diffusion import Condition
from foleygen.models.transformer import MDSGen
from foleygen.sampling.noise import WindowKey
from foleygen.weights import bundle as bundles
from foleygen.weights.files import MANIFEST, tensors
from foleygen.weights.spec import BundleSpec

CLIP = Path("shots/a.mov")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "small"
    write_bundle(path)
    return path


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return load_engine(folder)


def features(count: int) -> Tensor:
    return torch.randn(count, 16, 16, generator=torch.Generator().manual_seed(0))


def keys(count: int) -> list[WindowKey]:
    return [WindowKey(0, f"clip {number}", 0, 1) for number in range(count)]


def rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


# From features to sound


def test_shapes_on_the_way(engine: Engine) -> None:
    frames = torch.randint(0, 256, (1, 32, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        assert engine.encode(frames).shape == (1, 16, 16)
    latents = engine.latents(features(2), keys(2))
    assert latents.shape == (2, *TRANSFORMER.latent_shape)
    mels = engine.decode(latents)
    assert mels.shape == (2, 128, 64)
    sounds = engine.sounds(mels, keys(2))
    assert sounds.shape == (2, WINDOW)
    assert (sounds.dtype, sounds.device.type) == (torch.float32, "cpu")
    assert 1e-4 < sounds.abs().max() <= 1


def test_rows_of_a_batch_do_not_depend_on_each_other(engine: Engine) -> None:
    together = engine.latents(features(3), keys(3))
    for row in range(3):
        alone = engine.latents(features(3)[row : row + 1], keys(3)[row : row + 1])
        assert torch.allclose(alone[0], together[row], atol=1e-4)
    other = features(3)
    other[1:] += 1
    assert torch.equal(engine.latents(other, keys(3))[0], together[0])


@pytest.mark.parametrize("change", [{"seed": 1}, {"content_id": "b"}, {"start": 1}, {"take": 2}])
def test_noise_and_phase_depend_on_every_part_of_the_key(engine: Engine, change: dict[str, Any]) -> None:
    first = WindowKey(0, "a", 0, 1)
    second = replace(first, **change)
    assert not torch.equal(engine.latents(features(1), [first]), engine.latents(features(1), [second]))
    assert torch.equal(engine.latents(features(1), [first]), engine.latents(features(1), [first]))
    mel = torch.full((1, 128, 64), 0.5)
    assert not torch.equal(engine.sounds(mel, [first]), engine.sounds(mel, [second]))
    assert torch.equal(engine.sounds(mel, [first]), engine.sounds(mel, [first]))


def test_steps_and_guidance_are_the_bundles_unless_told(engine: Engine) -> None:
    def steps_of(**told: Any) -> list[tuple[int, int]]:
        heard: list[tuple[int, int]] = []
        engine.latents(features(1), keys(1), on_step=lambda step, steps: heard.append((step, steps)), **told)
        return heard

    assert steps_of() == [(1, 2), (2, 2)]
    assert steps_of(steps=3) == [(1, 3), (2, 3), (3, 3)]
    own = engine.latents(features(1), keys(1))
    assert torch.equal(engine.latents(features(1), keys(1), guidance=2.0), own)
    assert not torch.equal(engine.latents(features(1), keys(1), guidance=0.0), own)


def test_latents_are_rescaled_by_the_statistics_of_the_training(engine: Engine) -> None:
    spec = engine.bundle.autoencoder
    latents = torch.randn(1, *TRANSFORMER.latent_shape, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor(spec.latent_mean)[:, None, None], torch.tensor(spec.latent_std)[:, None, None]
    with torch.inference_mode():
        expected = engine.autoencoder.decode(latents * std + mean)
    assert torch.allclose(engine.decode(latents), expected, atol=1e-6)


def test_half_precision_stays_close(folder: Path, engine: Engine) -> None:
    half = Engine.load(bundles.load(folder), "cpu", "bf16")
    exact = engine.latents(features(2), keys(2))
    found = half.latents(features(2), keys(2))
    assert found.dtype == torch.float32
    assert 0 < rms(found - exact) < 0.02 * float(exact.std())
    assert half.decode(found).dtype == torch.float32
    assert rms(half.decode(exact) - engine.decode(exact)) < 0.02


# Loading


def test_the_side_block_may_be_left_out(folder: Path) -> None:
    assert not any(name.startswith("sideblocks.") for name in tensors(bundles.load(folder), "transformer"))
    assert len(transformer_of(bundles.load(folder)).sideblocks) == 0
    assert len(MDSGen(TRANSFORMER).sideblocks) == 1


def edited(folder: Path, copy: Path, section: str, **changes: Any) -> bundles.Bundle:
    """A copy of the bundle whose ``bundle.yaml`` says something else."""
    shutil.copytree(folder, copy)
    content = yaml.safe_load((folder / MANIFEST).read_text())
    content[section].update(changes)
    (copy / MANIFEST).write_text(yaml.safe_dump(content))
    return bundles.load(copy, verify=False)


@pytest.mark.parametrize(
    ("section", "changes", "says"),
    [
        ("transformer", {"hidden_size": 64}, "do not fit its settings"),
        ("transformer", {"width": 3}, "unknown key 'width'"),
        ("transformer", {"time_axis": 3}, "time_axis is 3"),
        ("encoder", {"options": {"feature_dim": 24}}, "do not fit its settings"),
        ("autoencoder", {"config": {"widths": [4, 8]}}, "widths has 2 entries instead of 3"),
        ("vocoder", {"options": {"rounds": 3}}, "do not fit GriffinLim"),
        ("mel", {"hop_length": 600}, "do not fit MelConfig"),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_explained(
    folder: Path, tmp_path: Path, section: str, changes: dict[str, Any], says: str
) -> None:
    spec = edited(folder, tmp_path / "copy", section, **changes)
    with pytest.raises(BundleError, match=says) as caught:
        Engine.load(spec, "cpu")
    assert "\n" not in str(caught.value)


def test_a_transformer_without_a_kind_is_an_mdsgen(folder: Path, tmp_path: Path) -> None:
    plain = bundles.load(folder)
    told = edited(folder, tmp_path / "told", "transformer", kind="mdsgen")
    assert "kind" not in plain.transformer
    assert plain.transformer_kind == told.transformer_kind == "mdsgen"
    assert plain.transformer_options == told.transformer_options
    assert isinstance(diffusion_of(told), MDSGen)
    other = edited(folder, tmp_path / "other", "transformer", kind="mdsgem")
    with pytest.raises(BundleError, match=r"bundle\.yaml: transformer\.kind is 'mdsgem'; did you mean 'mdsgen'\?"):
        Engine.load(other, "cpu")


@dataclass(frozen=True)
class DriftConfig:
    """Settings of a family of one number."""

    latent_shape: tuple[int, int, int]
    scale: float = 1.0


class Drift(torch.nn.Module):
    """A family of one number: it predicts the mean of the features, times that number."""

    time_axis = 2

    def __init__(self, config: DriftConfig) -> None:
        super().__init__()
        self.config = config
        self.gain = torch.nn.Parameter(torch.tensor(config.scale))

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        return self.config.latent_shape

    @property
    def device(self) -> torch.device:
        return self.gain.device

    def prepared(self, condition: Condition, times: Tensor, guided: bool) -> Callable[[Tensor, int], Any]:
        told = self.gain * condition.features.to(self.gain).mean(dim=(1, 2))[:, None, None, None]

        def denoise(latents: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
            predicted = told.float().expand_as(latents)
            return predicted, torch.zeros_like(predicted) if guided else None

        return denoise


def test_another_family_is_a_row(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "drift", Family(DriftConfig, Drift))
    base = bundles.load(folder)
    spec = BundleSpec(**{item.name: getattr(base, item.name) for item in fields(BundleSpec)})
    spec = replace(spec, transformer={"kind": "drift", "latent_shape": list(TRANSFORMER.latent_shape)})
    parts = {part: tensors(base, part) for part in base.parts}
    parts["transformer"] = {"gain": torch.tensor(2.0)}
    made = bundles.save(tmp_path / "drift", spec, parts, licence_text="", model_card="")
    engine = Engine.load(made, "cpu")
    assert engine.column_samples == load_engine(folder).column_samples
    latents = engine.latents(features(2), keys(2))
    assert latents.shape == (2, *TRANSFORMER.latent_shape)
    assert not torch.equal(latents, engine.latents(1 + features(2), keys(2)))
    joint, _ = engine.joint_latents(features(2), keys(2), 2)
    assert torch.equal(joint[0, ..., -2:], joint[1, ..., :2])
    assert engine.sounds(engine.decode(latents), keys(2)).shape == (2, WINDOW)
    with pytest.raises(BundleError, match="its transformer is of the kind 'drift'; name a bundle with an MDSGen"):
        transformer_of(made)


def test_a_part_without_weights_is_named(folder: Path) -> None:
    whole = bundles.load(folder)
    with pytest.raises(BundleError, match="no weights for the encoder"):
        Engine.load(replace(whole, parts={name: part for name, part in whole.parts.items() if name != "encoder"}))


def test_devices_and_precisions() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") in ("cuda", "mps", "cpu")
    with pytest.raises(UsageError, match="gpu"):
        choose_device("gpu")
    for device, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not there:
            with pytest.raises(SetupError, match=f"{device}: this device is not available"):
                choose_device(device)
    chosen = {device: choose_precision("auto", device) for device in ("cpu", "mps", "cuda")}
    assert chosen == {"cpu": "fp32", "mps": "fp32", "cuda": "bf16"}
    assert choose_precision("bf16", "cpu") == "bf16"


# What goes wrong


def test_memory_that_torch_does_not_get_is_told_from_bugs() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert out_of_memory(caught.value)
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(2) @ torch.zeros(3)
    assert not out_of_memory(caught.value)


def test_memory_that_runs_out_while_loading_can_be_tried_again() -> None:
    with pytest.raises(RetryableError, match="big: memory ran out while the model was loaded"), loading("big"):
        torch.empty(1 << 55, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="shape"), loading("big"):
        raise RuntimeError("shape")


@pytest.mark.parametrize(
    ("error", "kind", "code", "says"),
    [
        (ClipError("x: broken", "repair it"), ClipError, ExitCode.ALL_FAILED, "x: broken; repair it"),
        (MemoryError(), RetryableError, ExitCode.TRY_AGAIN, "shots/a.mov: memory ran out"),
        (torch.cuda.OutOfMemoryError("CUDA"), RetryableError, ExitCode.TRY_AGAIN, "shots/a.mov: memory ran out"),
        (OSError(errno.ENOSPC, "No space"), RetryableError, ExitCode.TRY_AGAIN, "shots/a.mov: no space left"),
        (OSError(errno.EIO, "Input/output error"), ClipError, ExitCode.ALL_FAILED, "(Input/output error)"),
        (IndexError("a\nb"), Exception, ExitCode.BUG, r"shots/a.mov: internal error (IndexError('a\nb'))"),
    ],
)
def test_every_failure_of_a_clip_has_its_sentence_and_code(
    error: Exception, kind: type[Exception], code: ExitCode, says: str
) -> None:
    found = explained(error, CLIP)
    assert isinstance(found, kind)
    assert found.exit_code == code
    assert says in str(found)
    assert "\n" not in str(found)
    assert found is error or found.__cause__ is error
