"""Diff-Foley's family in the engine: its rows, its classifier, and what of it is on the device at a time."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from bundles import write_bundle
from diff_foley_files import write_small
from torch import Tensor, nn

from foleygen.engines import turns
from foleygen.engines.foley import Engine
from foleygen.engines.turns import Turns, crowded
from foleygen.errors import BundleError, UsageError
from foleygen.sampling.noise import WindowKey
from foleygen.weights import bundle as bundles
from foleygen.weights import store
from foleygen.weights.files import MANIFEST, digest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small(tmp_path_factory.mktemp("bundles") / "small").path


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return Engine.load(bundles.load(folder), "cpu", "fp32")


def features(count: int) -> Tensor:
    rows = torch.randn(count, 16, 16, generator=torch.Generator().manual_seed(0))
    return rows / rows.norm(dim=2, keepdim=True)


def keys(count: int) -> list[WindowKey]:
    return [WindowKey(0, f"clip {number}", 0, 1) for number in range(count)]


def test_latents_follow_their_own_row_and_nothing_else(engine: Engine) -> None:
    latents = engine.latents(features(3), keys(3))
    assert latents.shape == (3, 4, 16, 8)
    exchanged = engine.latents(features(3)[[0, 2, 1]], [keys(3)[0], keys(3)[2], keys(3)[1]])
    assert torch.equal(exchanged[0], latents[0])
    torch.testing.assert_close(exchanged[1], latents[2], rtol=0, atol=1e-4)
    assert not torch.equal(engine.latents(-features(3), keys(3)), latents)
    samples = engine.sounds(engine.decode(latents), keys(3))
    assert samples.shape == (3, 16384)
    assert samples.isfinite().all()


def test_the_classifier_leads_as_strongly_as_asked(engine: Engine, tmp_path: Path) -> None:
    plain, suits = (engine.latents(features(1), keys(1), classifier_guidance=scale) for scale in (0.0, None))
    asked = engine.latents(features(1), keys(1), classifier_guidance=50.0)
    assert torch.equal(suits, asked)
    assert not torch.equal(plain, asked)
    without = Engine.load(write_small(tmp_path / "without", classifier=False), "cpu", "fp32")
    assert torch.equal(without.latents(features(1), keys(1)), plain)
    assert torch.equal(without.latents(features(1), keys(1), classifier_guidance=0.0), plain)
    with pytest.raises(UsageError, match=r"'without' has no classifier.*leave out --classifier-guidance"):
        without.latents(features(1), keys(1), classifier_guidance=2.0)


def test_it_leads_windows_that_are_made_jointly(engine: Engine) -> None:
    told = features(3), keys(3), 2
    led, _ = engine.joint_latents(*told)
    plain, _ = engine.joint_latents(*told, classifier_guidance=0.0)
    assert torch.equal(led[0, ..., -2:], led[1, ..., :2])
    assert not torch.equal(led, plain)


def test_half_precision_comes_close(folder: Path, engine: Engine) -> None:
    exact = engine.latents(features(1), keys(1))
    for precision, error in (("bf16", 0.1), ("fp16", 0.02)):
        half = Engine.load(bundles.load(folder), "cpu", precision)
        found = half.latents(features(1), keys(1))
        assert found.dtype == torch.float32
        assert float((found - exact).square().mean().sqrt()) < error * float(exact.std())


def test_its_weights_stay_in_the_file(engine: Engine, folder: Path) -> None:
    """Memory is mapped to the file: the process has the pages that it read, and no copy of them."""
    weight = engine.transformer.get_parameter("unet.conv_in.weight")  # type: ignore[attr-defined]
    address = weight.data_ptr()
    lines = Path("/proc/self/maps").read_text().splitlines()
    ranges = [line.split() for line in lines if line.endswith("transformer.safetensors")]
    spans = [[int(end, 16) for end in row[0].split("-")] for row in ranges if str(folder) in row[-1]]
    assert any(begin <= address < end for begin, end in spans)


def test_a_classifier_that_came_without_its_embedding(folder: Path, tmp_path: Path) -> None:
    spec, parts = contents(folder)
    parts["classifier"] = {key: value for key, value in parts["classifier"].items() if key.startswith("model.")}
    bare = bundles.save(tmp_path / "bare", spec, parts, licence_text="", model_card="")
    assert Engine.load(bare, "cpu").latents(features(1), keys(1)).shape == (1, 4, 16, 8)
    assert spec.classifier is not None
    told = replace(spec, classifier=replace(spec.classifier, features="embedded"))
    whole = bundles.save(tmp_path / "whole", told, contents(folder)[1], licence_text="", model_card="")
    embedded = Engine.load(whole, "cpu").latents(features(1), keys(1))
    assert not torch.equal(embedded, Engine.load(bare, "cpu").latents(features(1), keys(1)))
    with pytest.raises(BundleError, match="without what embeds features"):
        Engine.load(bundles.save(tmp_path / "bare", told, parts, licence_text="", model_card=""), "cpu")


def test_classifiers_that_cannot_be_are_refused(folder: Path, tmp_path: Path) -> None:
    spec, parts = contents(folder)
    nameless = {part: state for part, state in parts.items() if part != "classifier"}
    with pytest.raises(BundleError, match="or the other way round"):
        bundles.save(tmp_path / "a", spec, nameless, licence_text="", model_card="")
    with pytest.raises(BundleError, match="or the other way round"):
        bundles.save(tmp_path / "b", replace(spec, classifier=None), parts, licence_text="", model_card="")
    standardised = replace(spec, autoencoder=replace(spec.autoencoder, latent_mean=(0.0,) * 4, latent_std=(1.0,) * 4))
    with pytest.raises(BundleError, match="no standardised latents"):
        bundles.save(tmp_path / "c", standardised, parts, licence_text="", model_card="")


def test_bundles_from_before_keep_their_hash(tmp_path: Path) -> None:
    for path in (store.EMBEDDED / "tiny", write_bundle(tmp_path / "plain").path):
        written = yaml.safe_load((path / MANIFEST).read_text())
        assert "classifier" not in written
        assert "schedule" not in written["sampling"]
        assert bundles.load(path, verify=False).hash == digest(written)


# What is on the device


class Device:
    """Counts the bytes of the copies that were brought to it and are still there."""

    def __init__(self) -> None:
        self.copies: list[weakref.ref[Tensor]] = []
        self.most = 0

    def onto(self, values: Tensor, device: str) -> Tensor:
        copy = values.clone()
        self.copies.append(weakref.ref(copy.untyped_storage()))
        self.most = max(self.most, self.bytes)
        return copy

    @property
    def bytes(self) -> int:
        return sum(storage.nbytes() for storage in (copy() for copy in self.copies) if storage is not None)


def size(*modules: object) -> int:
    parts = [part for part in modules if isinstance(part, nn.Module)]
    return sum(value.nbytes for part in parts for value in [*part.parameters(), *part.buffers()])


def test_one_stage_at_a_time_is_on_a_crowded_device(
    folder: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    monkeypatch.setattr(turns, "onto", device.onto)
    monkeypatch.setattr(turns, "crowded", lambda device, weights: True)
    moving = Engine.load(bundles.load(folder), "cpu", "fp32")
    assert device.bytes == 0
    frames = torch.randint(0, 256, (1, 32, 64, 64, 3), dtype=torch.uint8)
    seen = moving.encode(frames)
    assert device.bytes == size(moving._encoder)
    latents = moving.latents(seen, keys(1))
    assert device.bytes == size(moving._transformer, moving._classifier)
    mels = moving.decode(latents)
    assert device.bytes == size(moving._autoencoder)
    assert device.most == size(moving._transformer, moving._classifier)  # the largest stage, and never two
    usual = engine.decode(engine.latents(engine.encode(frames), keys(1)))
    torch.testing.assert_close(mels, usual, rtol=0, atol=1e-3)
    again = moving.decode(moving.latents(moving.encode(frames), keys(1)))
    assert torch.equal(again, mels)


def test_a_stage_that_does_not_fit_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    device, full = Device(), [False]

    def onto(values: Tensor, name: str) -> Tensor:
        if full[0] and device.bytes:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return device.onto(values, name)

    monkeypatch.setattr(turns, "onto", onto)
    monkeypatch.setattr(turns, "crowded", lambda device, weights: True)
    first, second = nn.Linear(3, 4), nn.Linear(4, 5)
    stages = Turns({"first": (first,), "second": (second, None)}, "cpu")
    stages.take("first")
    full[0] = True
    with pytest.raises(torch.cuda.OutOfMemoryError):
        stages.take("second")
    assert device.bytes == 0
    full[0] = False
    stages.take("second")
    assert device.bytes == size(second)


def test_devices_that_share_the_hosts_memory_are_never_crowded() -> None:
    assert not crowded("cpu", 2**40)
    assert not crowded("mps", 2**40)


def test_a_cuda_device_is_crowded_by_an_eighth(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        total_memory = 8 * 2**30

    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: Properties)
    assert crowded("cuda", 2_100_000_000)
    assert not crowded("cuda", 2**30)


def contents(folder: Path) -> tuple[bundles.BundleSpec, dict[str, dict[str, Tensor]]]:
    """A bundle's settings and weights, to be saved again with a change."""
    from dataclasses import fields

    from foleygen.weights.files import tensors
    from foleygen.weights.spec import BundleSpec

    found = bundles.load(folder)
    spec = BundleSpec(**{item.name: getattr(found, item.name) for item in fields(BundleSpec)})
    return spec, {part: tensors(found, part) for part in found.parts}
