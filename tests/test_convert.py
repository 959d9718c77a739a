"""Published containers to bundles, with stand-ins that have the published key lists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from standins import fill
from torch import Tensor

from foleygen.errors import BundleError
from foleygen.models.autoencoder import load_kl
from foleygen.models.cavp import CAVP
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.weights import bundle as bundles
from foleygen.weights.files import MANIFEST, tensors
from foleygen.weights.published import assembly as convert
from foleygen.weights.published.cavp import convert_cavp
from foleygen.weights.published.checkpoint import compare, read_checkpoint, shapes_of
from foleygen.weights.published.kl import STABLE_DIFFUSION, convert_kl
from foleygen.weights.published.mdsgen import convert_mdsgen

GOLDEN = Path(__file__).parent / "golden"
SMALL_VAE = {
    "_class_name": "AutoencoderKL",
    "in_channels": 1,
    "out_channels": 1,
    "latent_channels": 8,
    "block_out_channels": [32, 32, 64],
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "scaling_factor": 0.9392935633659363,
}
SMALL_VOCODER = {
    "model_type": "hifigan",
    "model_in_dim": 64,
    "sampling_rate": 16000,
    "upsample_initial_channel": 64,
    "upsample_rates": [5, 4, 2, 2, 2],
    "upsample_kernel_sizes": [16, 16, 8, 4, 4],
    "normalize_before": False,
}


def cavp_keys() -> dict[str, tuple[int, ...]]:
    return {entry["key"]: tuple(entry["shape"]) for entry in json.loads((GOLDEN / "cavp_keys.json").read_text())}


def mdsgen_keys(name: str) -> dict[str, tuple[int, ...]]:
    return {key: tuple(shape) for key, (shape, _) in json.loads((GOLDEN / f"{name}_keys.json").read_text()).items()}


def vae_keys() -> dict[str, tuple[int, ...]]:
    entries = json.loads((GOLDEN / "diff_foley_vae_keys.json").read_text())
    return {entry["key"]: tuple(entry["shape"]) for entry in entries}


def hollow(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Zeros of the right shapes that take no room in a pickle."""
    return {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}


def position_index(rows: int, columns: int) -> Tensor:
    """Pair by pair, as the published index is defined."""
    tokens = [(row, column) for row in range(rows) for column in range(columns)]
    entries = [[(a - c + rows - 1) * (2 * columns - 1) + (b - d + columns - 1) for c, d in tokens] for a, b in tokens]
    return torch.tensor(entries)


def mdsgen_standin(path: Path, name: str, grid: tuple[int, int], filled: bool = True) -> dict[str, Tensor]:
    """A flat state dict as published, index buffers included."""
    shapes = mdsgen_keys(name)
    indices = [key for key in shapes if key.endswith("relative_position_index")]
    floats = {key: shape for key, shape in shapes.items() if key not in indices}
    state = fill(floats) if filled else hollow(floats)
    index = position_index(*grid)
    torch.save({**state, **dict.fromkeys(indices, index)}, path)
    return state


def cavp_standin(path: Path) -> dict[str, Tensor]:
    """As saved by the training: under data parallelism, with an optimiser, with both towers."""
    keys = cavp_keys()
    wanted = {key: shape for key, shape in keys.items() if key.startswith("video_")}
    state = {**hollow(keys), **fill(wanted, "cavp")}
    state |= {key: torch.tensor(0) for key in keys if key.endswith("num_batches_tracked")}
    moments = {index: {"step": 7, "exp_avg": torch.zeros(3)} for index in range(4)}
    content = {
        "epoch": 66,
        "name": "cavp",
        "state_dict": {f"module.{key}": value for key, value in state.items()},
        "optimizer": {"state": moments, "param_groups": [{"lr": 8e-4, "betas": (0.9, 0.999)}]},
    }
    torch.save(content, path)
    return {key: state[key] for key in wanted}


def audioldm_standin(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """``vae/`` with the attention names of diffusers 0.15, ``vocoder/`` as a pickle without statistics."""
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    (folder / "vae").mkdir(parents=True)
    (folder / "vocoder").mkdir()
    (folder / "vae" / "config.json").write_text(json.dumps(SMALL_VAE))
    (folder / "vocoder" / "config.json").write_text(json.dumps(SMALL_VOCODER))
    geometry = {key: SMALL_VAE[key] for key in STABLE_DIFFUSION}
    vae = fill(
        {key: tuple(value.shape) for key, value in load_kl({**geometry, "time_first": True}).kl.state_dict().items()}
    )
    old_names = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    stored = {}
    for key, value in vae.items():
        for new, old in old_names.items():
            key = key.replace(new, old)
        stored[key] = value
    assert any(".query." in key for key in stored)
    save_file(stored, folder / "vae" / "diffusion_pytorch_model.safetensors")
    model = SpeechT5HifiGan(
        SpeechT5HifiGanConfig(**{key: SMALL_VOCODER[key] for key in SMALL_VOCODER if key != "model_type"})
    )
    vocoder = {key: value for key, value in model.state_dict().items() if key not in ("mean", "scale")}
    torch.save(vocoder, folder / "vocoder" / "pytorch_model.bin")
    return vae, vocoder


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(found[key], value) for key, value in expected.items())


def test_expected_keys_are_the_published_ones() -> None:
    keys = cavp_keys()
    assert shapes_of(CAVP) == {key: keys[key] for key in keys if key.startswith("video_")}
    assert len(shapes_of(CAVP)) == 320


@pytest.mark.parametrize(
    ("name", "grid", "hidden_size", "heads", "frequencies"),
    [
        ("release_T", "release", 192, 3, 204),
        ("release_B", "release", 768, 12, 204),
        ("paper_T", "paper", 192, 3, 256),
    ],
)
def test_transformer_geometry_is_read_off_the_shapes(
    tmp_path: Path, name: str, grid: str, hidden_size: int, heads: int, frequencies: int
) -> None:
    path = tmp_path / "mdsgen_audioldm.pt"
    mdsgen_standin(path, name, (102, 8) if grid == "release" else (8, 32), filled=False)
    config, weights = convert_mdsgen(path, grid)
    assert config["hidden_size"] == hidden_size
    assert config["depth"] == 12
    assert config["num_heads"] == heads
    assert config["frequency_embedding_size"] == frequencies
    with torch.device("meta"):
        model = MDSGen(TransformerConfig(**{**config, "latent_shape": tuple(config["latent_shape"])}))
    assert {key: value.shape for key, value in weights.items()} == {
        key: value.shape for key, value in model.state_dict().items()
    }


def test_position_indices_have_the_published_checksums() -> None:
    sums = {
        (102, 8): "5cabb1dddbb186e101116eed44b160b083f6dfe7",
        (8, 32): "71e45ff4c4b77b51c8ba8ef3e348224431c23b6a",
    }
    for grid, expected in sums.items():
        assert hashlib.sha1(position_index(*grid).numpy().tobytes()).hexdigest() == expected


def test_base_is_imported_whole(tmp_path: Path) -> None:
    cavp = cavp_standin(tmp_path / "cavp_epoch66.ckpt")
    transformer = mdsgen_standin(tmp_path / "mdsgen_audioldm.pt", "release_T", (102, 8))
    vae, vocoder = audioldm_standin(tmp_path / "audioldm")
    made = convert.import_base(
        tmp_path / "cavp_epoch66.ckpt", tmp_path / "mdsgen_audioldm.pt", tmp_path / "audioldm", tmp_path / "base"
    )
    loaded = bundles.load(tmp_path / "base")
    assert loaded == made
    assert not loaded.commercial
    assert "NON-COMMERCIAL" in (tmp_path / "base" / "LICENSE").read_text()
    assert (loaded.window_samples, loaded.sampling.num_inference_steps) == (130560, 50)
    assert loaded.autoencoder.latent_scale == 4.0
    assert same(tensors(loaded, "transformer"), transformer)
    assert same(tensors(loaded, "vocoder"), vocoder)
    assert same(tensors(loaded, "autoencoder"), vae)
    encoder = CAVP()
    encoder.load_state_dict(tensors(loaded, "encoder"), strict=True)
    assert same(encoder.state_dict(), cavp)
    load_kl(loaded.autoencoder.config, tensors(loaded, "autoencoder"), latent_scale=loaded.autoencoder.latent_scale)
    recorded = {source.file: source.sha256 for source in loaded.sources}
    content = (tmp_path / "mdsgen_audioldm.pt").read_bytes()
    assert recorded["mdsgen_audioldm.pt"] == hashlib.sha256(content).hexdigest()
    assert {"vae/config.json", "vocoder/pytorch_model.bin", "cavp_epoch66.ckpt"} <= recorded.keys()
    assert str(tmp_path) not in (tmp_path / "base" / MANIFEST).read_text()


def test_paper_geometry_is_imported_with_stable_diffusion(tmp_path: Path) -> None:
    cavp_standin(tmp_path / "cavp.ckpt")
    transformer = mdsgen_standin(tmp_path / "mine.pt", "paper_T", (8, 32))
    geometry = {**STABLE_DIFFUSION, "block_out_channels": [32, 32, 32, 32]}
    folder = tmp_path / "vae"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(geometry))
    state = load_kl({**geometry, "time_first": False}).kl.state_dict()
    save_file(state, folder / "diffusion_pytorch_model.safetensors")
    made = convert.import_paper(tmp_path / "cavp.ckpt", tmp_path / "mine.pt", folder, tmp_path / "paper")
    assert same(tensors(made, "transformer"), transformer)
    assert same(tensors(made, "autoencoder"), state)
    assert made.autoencoder.latent_scale == 0.18215
    assert made.autoencoder.channel == "G"
    assert made.window_samples == 131072
    assert made.vocoder.kind == "griffin_lim"
    assert "vocoder" not in made.parts


def test_diff_foley_checkpoint_gives_the_first_stage(tmp_path: Path) -> None:
    state = {f"first_stage_model.{key}": value for key, value in hollow(vae_keys()).items()}
    others = {"model.diffusion_model.out.2.bias": torch.zeros(4), "first_stage_model.loss.logvar": torch.zeros(())}
    torch.save({"state_dict": {**state, **others}, "global_step": 3}, tmp_path / "ldm_epoch240.ckpt")
    config, weights = convert_kl(tmp_path / "ldm_epoch240.ckpt")
    assert config["latent_channels"] == 4
    assert len(weights) == 248
    assert weights["encoder.mid_block.attentions.0.to_q.weight"].shape == (512, 512)


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
@pytest.mark.parametrize("wrapped", [True, False])
def test_cavp_with_any_wrapping(tmp_path: Path, prefix: str, wrapped: bool) -> None:
    keys = {key: shape for key, shape in cavp_keys().items() if key.startswith("video_")}
    state = hollow(keys)
    if prefix == "backbone.":
        named = {key.replace("video_encoder.", prefix): value for key, value in state.items()}
    else:
        named = {prefix + key: value for key, value in state.items()}
    torch.save({"state_dict": named} if wrapped else named, tmp_path / "cavp.pt")
    assert convert_cavp(tmp_path / "cavp.pt").keys() == keys.keys()


def test_every_difference_is_listed(tmp_path: Path) -> None:
    state = hollow({key: shape for key, shape in cavp_keys().items() if key.startswith("video_")})
    del state["video_project_head.bias"]
    del state["video_encoder.layer2.0.downsample.bn.running_mean"]
    state["video_encoder.layer9.weight"] = torch.zeros(1)
    state["video_project_head.weight"] = torch.zeros(512, 1024)
    torch.save(state, tmp_path / "cavp.pt")
    with pytest.raises(BundleError) as caught:
        convert_cavp(tmp_path / "cavp.pt")
    text = str(caught.value)
    assert "2 missing: video_encoder.layer2.0.downsample.bn.running_mean, video_project_head.bias" in text
    assert "1 unexpected: video_encoder.layer9.weight" in text
    assert "video_project_head.weight (512, 1024) instead of (512, 2048)" in text
    assert "cavp.pt" in text
    assert compare(hollow(shapes_of(CAVP)), shapes_of(CAVP)).ok


def test_wrong_grid_is_noticed(tmp_path: Path) -> None:
    mdsgen_standin(tmp_path / "a.pt", "paper_T", (8, 32), filled=False)
    with pytest.raises(BundleError, match="not that of the release grid"):
        convert_mdsgen(tmp_path / "a.pt", "release")
    mdsgen_standin(tmp_path / "b.pt", "paper_T", (32, 8), filled=False)
    with pytest.raises(BundleError, match="not that of the paper grid"):
        convert_mdsgen(tmp_path / "b.pt", "paper")


class Payload:
    """Code that runs when an unsuspecting program opens the pickle."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (Path.touch, (self.marker,))


def test_pickles_that_hold_code_are_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}, "callback": Payload(tmp_path / "ran")}, tmp_path / "evil.ckpt")
    with pytest.raises(BundleError, match="not loaded"):
        read_checkpoint(tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["cut.pt", "text.ckpt", "empty.bin", "text.safetensors"])
def test_damaged_files_are_explained(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "cut.pt":
        torch.save({"a": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:2000])
    else:
        path.write_bytes(b"" if name == "empty.bin" else b"<html>quota exceeded</html>")
    with pytest.raises(BundleError, match=name):
        read_checkpoint(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere\.pt: does not exist"):
        read_checkpoint(tmp_path / "nowhere.pt")
    torch.save({"epoch": 3}, tmp_path / "numbers.pt")
    with pytest.raises(BundleError, match="no named tensors"):
        read_checkpoint(tmp_path / "numbers.pt")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(BundleError, match="is not an MDSGen checkpoint"):
        convert_mdsgen(tmp_path / "other.pt", "release")
    with pytest.raises(BundleError, match=r"config\.json"):
        convert_kl(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(SMALL_VAE))
    with pytest.raises(BundleError, match="holds none of"):
        convert_kl(tmp_path)
