"""Isolation from the user's own settings, a bundle of random weights, and small clips."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.weights.spec import AutoencoderSpec, BundleSpec, EncoderSpec, MelSpec, SamplingSpec, VocoderSpec

# Before torch is imported: the models of the tests are so small that a second thread only waits.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

if TYPE_CHECKING:
    from foleygen.batch.events import Event
    from foleygen.engines.foley import Engine

RATE = Fraction(125, 4)
FRAMES = 32
SAMPLE_RATE = 16000
HOP = 256
WINDOW = 16384


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own; nothing of the user's configuration, cache or weights is seen or touched."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith("FOLEYGEN_") and name != "FOLEYGEN_SHARED":
            monkeypatch.delenv(name)
    for name in ("CONFIG", "CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("NO_COLOR", raising=False)
    return home


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The smallest bundle that runs, loaded anew for each module."""
    from bundles import load_engine, write_bundle

    folder = tmp_path_factory.mktemp("bundles") / "small"
    write_bundle(folder)
    return load_engine(folder)


@pytest.fixture(scope="session")
def random_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commercial bundle with small random models: 1.024 s windows at 16 kHz, two denoising steps."""
    folder = tmp_path_factory.mktemp("bundles") / "noise"
    save_random_bundle(folder, commercial=True)
    return folder


@pytest.fixture(scope="session")
def told_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``random_bundle``, and it can be told when and what, all but the sounds that are kept out of training."""
    folder = tmp_path_factory.mktemp("bundles") / "told"
    save_told_bundle(folder)
    return folder


def save_told_bundle(folder: Path) -> None:
    """Write a small bundle of random weights with an adapter of cues."""
    import torch

    from foleygen.models.cues import CueAdapter, CueAdapterConfig
    from foleygen.scenes import catalogue
    from foleygen.training.export import export_cues
    from foleygen.weights.bundle import Bundle
    from foleygen.weights.spec import CueSpec
    from foleygen.weights.store import load

    save_random_bundle(folder.with_name("untold"), commercial=True, conditioning="aligned")
    base = load(folder.with_name("untold"), Bundle)
    materials = tuple(name for name in catalogue.MATERIALS if name != catalogue.HELD_OUT_MATERIAL)
    families = catalogue.TRAINING_FAMILIES
    sizes = {"sub_steps": 4, "hidden_size": 16, "blend_size": 8}
    config = CueAdapterConfig(
        families=len(families), materials=len(materials), condition_size=24, columns=4, frames_per_column=4, **sizes
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapter = CueAdapter(config)
        for parameter in adapter.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    spec = CueSpec(families=families, materials=materials, guidance_scale=1.5, **sizes)
    export_cues(folder, base, spec, adapter.state_dict(), name="told", model_card="Random cues.\n")


def save_random_bundle(folder: Path, commercial: bool, seed: int = 0, conditioning: str = "reducer") -> None:
    """Write a bundle with the default classes of the tiny preset, at a size that runs in no time."""
    import torch

    from foleygen.models.motion import MotionEncoder, MotionEncoderConfig
    from foleygen.models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig
    from foleygen.models.transformer import MDSGen, TransformerConfig
    from foleygen.weights import bundle

    widths = {"pixel_widths": (4, 8, 8), "place_width": 8, "flow_width": 4}
    encoder = MotionEncoderConfig(frame_size=64, num_frames=FRAMES, feature_dim=16, **widths)
    autoencoder = PatchAutoencoderConfig(latent_channels=4, widths=(8, 8, 8), groups=2)
    transformer = TransformerConfig(
        latent_shape=(4, 16, WINDOW // HOP // 8),
        time_axis=2,
        hidden_size=24,
        depth=1,
        num_heads=2,
        decode_layers=1,
        feature_dim=16,
        num_features=FRAMES // 2,
        learn_sigma=False,
        conditioning=conditioning,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        models = {
            "encoder": MotionEncoder(encoder),
            "autoencoder": PatchAutoencoder(autoencoder),
            "transformer": MDSGen(transformer),
        }
        if conditioning == "aligned":  # which begins deaf to its conditions
            for parameter in models["transformer"].parameters():
                torch.nn.init.normal_(parameter, std=0.1)
    spec = BundleSpec(
        name=folder.name,
        licence="CC0-1.0" if commercial else "CC-BY-NC-4.0",
        commercial=commercial,
        sample_rate=SAMPLE_RATE,
        window_samples=WINDOW,
        mel=MelSpec(n_fft=1024, hop_length=HOP, num_mels=128, f_min=125, f_max=7600),
        encoder=EncoderSpec(
            kind="motion",
            frame_rate=RATE,
            frame_size=64,
            frame_rule="linear",
            num_frames=FRAMES,
            num_features=FRAMES // 2,
            feature_dim=16,
            options={"frame_size": 64, "num_frames": FRAMES, "feature_dim": 16, **widths},
        ),
        transformer=asdict(transformer),
        autoencoder=AutoencoderSpec(kind="patch", config=asdict(autoencoder)),
        vocoder=VocoderSpec(kind="griffin_lim", options={"iterations": 2}),
        sampling=SamplingSpec(
            prediction_type="v_prediction", num_inference_steps=2, guidance_scale=2.0, guidance_power=1.0
        ),
    )
    states = {name: model.state_dict() for name, model in models.items()}
    bundle.save(folder, spec, states, licence_text="Test weights.\n", model_card="Random numbers.\n")


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., Path]:
    """``make_clip(path, seconds=0.5, shade=0)``: a silent 64x48 H.264 clip; another shade is another picture."""
    from foleygen.media import movie

    def make(path: Path, seconds: float = 0.5, shade: int = 0) -> Path:
        count = max(1, round(seconds * 25))
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = (np.full((48, 64, 3), (shade + number * 5) % 256, np.uint8) for number in range(count))
        movie.write(path, frames, 25, (64, 48))
        return path

    return make


@pytest.fixture
def add_sound(told_bundle: Path) -> Callable[..., list[Event]]:
    """In this process: what was told."""
    from foleygen.batch import run
    from foleygen.batch.discover import Clip
    from foleygen.settings import Settings

    def ran(*clips: Path, **changes: Any) -> list[Event]:
        heard: list[Event] = []
        settings = Settings(model=str(told_bundle), device="cpu", cache=False, **changes)
        run.run([Clip(clip) for clip in clips], settings, heard.append)
        return heard

    return ran
