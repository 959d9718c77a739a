"""``train prepare``: clips with sound become windows of features and latents, and bad clips do not stop it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from foleygen.cli import app
from foleygen.errors import ClipError, RetryableError, UsageError
from foleygen.media import movie, own_sound, probe
from foleygen.models.motion import MotionEncoder, MotionEncoderConfig
from foleygen.models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.training.data import prepare
from foleygen.training.data.prepare import Encoders, Shards
from foleygen.training.export import Trained, export
from foleygen.training.mdsgen import Pairs, mdsgen_loop
from foleygen.training.packing import pack_transformer
from foleygen.training.recipe import MdsgenRecipe, load, with_loop
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import tensors
from foleygen.weights.spec import SamplingSpec, VocoderSpec

RATE = 16000
WINDOW_S = 8.192
ENCODER = MotionEncoderConfig(feature_dim=16, pixel_widths=(4, 8, 8), place_width=4, flow_width=4, num_bands=4)
AUTOENCODER = PatchAutoencoderConfig(widths=(4, 8, 8), encoder_depths=(1, 1, 1), decoder_depths=(1, 1, 1), groups=4)
TRANSFORMER = TransformerConfig(
    latent_shape=(4, 16, 64),
    time_axis=2,
    hidden_size=32,
    depth=2,
    num_heads=2,
    decode_layers=1,
    feature_dim=16,
    num_features=128,
    conditioning="aligned",
    learn_sigma=False,
)


def make_bundle(folder: Path, seed: int = 0) -> Bundle:
    torch.manual_seed(seed)
    trained = Trained(
        encoder_config=ENCODER,
        encoder=MotionEncoder(ENCODER).state_dict(),
        autoencoder_config=AUTOENCODER,
        autoencoder=PatchAutoencoder(AUTOENCODER).state_dict(),
        transformer_config=TRANSFORMER,
        transformer=MDSGen(TRANSFORMER).state_dict(),
        pairs=Pairs(
            np.zeros((1, 1, 128, 16), np.float16),
            np.zeros((1, 4, 16, 64), np.float16),
            np.array([0.1, -0.2, 0.0, 0.3], np.float32),
            np.array([0.5, 1.0, 2.0, 1.5], np.float32),
        ),
    )
    sampling = SamplingSpec(
        prediction_type="v_prediction", num_inference_steps=4, guidance_scale=1.5, guidance_power=0.01
    )
    words = {"name": "small", "licence": "CC0-1.0", "licence_text": "CC0-1.0\n", "model_card": "# small\n"}
    vocoder = VocoderSpec(kind="griffin_lim")
    return export(folder, trained, sampling, vocoder, commercial=True, **words)  # type: ignore[arg-type]


def make_clip(path: Path, seconds: float, loudness: float = 0.5, with_sound: bool = True, click_s: float = 0.5) -> Path:
    """Noise in the picture; a click in the sound every second, the first at ``click_s``."""
    rng = np.random.default_rng(len(path.name))
    pictures = rng.integers(0, 256, (round(seconds * 10), 48, 64, 3)).astype(np.uint8)
    samples = np.zeros(round(seconds * RATE), np.float32)
    for start in np.arange(click_s, seconds - 0.1, 1.0):
        first = int(start * RATE)
        samples[first : first + 800] = loudness * np.sin(np.arange(800) * 0.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    movie.write(path, iter(pictures), 10, (64, 48), samples if with_sound else None, RATE if with_sound else None)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.set_num_threads(1)
    return make_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture(scope="module")
def encoders(bundle: Bundle) -> Encoders:
    return Encoders.load(bundle, "cpu")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films") / "clips"
    make_clip(folder / "a.mp4", 3.0)
    make_clip(folder / "sub" / "long.mp4", 13.0)
    make_clip(folder / "mute.mp4", 1.0, with_sound=False)
    make_clip(folder / "silent.mp4", 1.0, loudness=0.0)
    (folder / "broken.mp4").write_bytes(b"this is no clip" * 40)
    return folder


def all_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.mp4"))


def test_windows_of_good_clips_and_reasons_for_bad_ones(clips: Path, encoders: Encoders, tmp_path: Path) -> None:
    results = {result.clip.name: result for result in prepare.prepare(all_of(clips), tmp_path, encoders)}
    assert {name: result.windows for name, result in results.items() if result.error is None} == {
        "a.mp4": 1,
        "long.mp4": 2,
    }
    errors = {name: str(result.error) for name, result in results.items() if result.error is not None}
    assert "has no sound" in errors["mute.mp4"]
    assert "silent" in errors["silent.mp4"]
    assert errors.keys() == {"mute.mp4", "silent.mp4", "broken.mp4"}
    shards = Shards(tmp_path)
    assert len(shards) == 3
    latents, features = shards.window(2)
    assert latents.shape == (4, 16, 64)
    assert features.shape == (128, 16)
    assert np.isfinite(latents).all()


def test_latents_are_standardised_as_the_bundle_says(clips: Path, encoders: Encoders, tmp_path: Path) -> None:
    list(prepare.prepare([clips / "a.mp4"], tmp_path, encoders))
    info = probe.probe(clips / "a.mp4")
    samples = np.zeros(131072, np.float32)
    own = own_sound.read(info, RATE)
    samples[: len(own)] = own
    with torch.inference_mode():
        raw = encoders.autoencoder.encode(encoders.mel(torch.from_numpy(samples)[None]))[0].numpy()
    mean, std = (np.asarray(values)[:, None, None] for values in (Shards(tmp_path).meta.latent_mean,
                                                                  Shards(tmp_path).meta.latent_std))  # fmt: skip
    np.testing.assert_allclose(Shards(tmp_path).window(0)[0], (raw - mean) / std, atol=2e-3, rtol=2e-3)


def test_done_clips_are_skipped_and_changed_ones_redone(encoders: Encoders, tmp_path: Path) -> None:
    clip, folder = make_clip(tmp_path / "clips" / "a.mp4", 1.0), tmp_path / "shards"
    list(prepare.prepare([clip], folder, encoders))
    before = Shards(folder).window(0)[0].copy()
    (again,) = prepare.prepare([clip], folder, encoders)
    assert again.skipped
    make_clip(clip, 1.0, click_s=0.1)
    os.utime(clip, ns=(1, 1))
    (changed,) = prepare.prepare([clip], folder, encoders)
    assert not changed.skipped
    assert len(Shards(folder)) == 1
    assert not np.array_equal(Shards(folder).window(0)[0], before)


def test_a_killed_run_leaves_nothing_that_counts(clips: Path, encoders: Encoders, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    paths = [clips / "a.mp4", clips / "sub" / "long.mp4"]
    for folder in (whole, killed):
        list(prepare.prepare(paths[: 2 if folder == whole else 1], folder, encoders))
    (part,) = killed.glob("shard-*")
    for name in ("features.f2", "latents.f2", "clips.jsonl"):
        with open(part / name, "ab") as handle:
            handle.write(b"half of a window")
    list(prepare.prepare(paths, killed, encoders))
    for index in range(3):
        for ours, theirs in zip(Shards(killed).window(index), Shards(whole).window(index), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_memory_that_runs_out_stops_it_and_keeps_what_is_done(clips: Path, encoders: Encoders, tmp_path: Path) -> None:
    paths = [clips / "a.mp4", clips / "sub" / "long.mp4"]
    list(prepare.prepare(paths[:1], tmp_path, encoders))

    def full(frames: torch.Tensor) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(RetryableError, match=r"long.mp4: memory ran out"):
        list(prepare.prepare(paths, tmp_path, replace(encoders, encoder=full)))
    assert len(Shards(tmp_path)) == 1
    assert [done.skipped for done in prepare.prepare(paths, tmp_path, encoders)] == [True, False]


def test_shards_divide_the_clips(clips: Path, encoders: Encoders, tmp_path: Path) -> None:
    paths = all_of(clips)
    seen = [result.clip for index in (1, 2) for result in prepare.prepare(paths, tmp_path, encoders, (index, 2))]
    assert sorted(seen) == paths
    assert len(Shards(tmp_path)) == 3
    with pytest.raises(UsageError, match="shard 3/2"):
        list(prepare.prepare(paths, tmp_path, encoders, (3, 2)))


def test_shards_of_another_bundle_are_not_mixed(clips: Path, encoders: Encoders, tmp_path: Path) -> None:
    list(prepare.prepare([clips / "a.mp4"], tmp_path / "shards", encoders))
    other = Encoders.load(make_bundle(tmp_path / "other", seed=1), "cpu")
    with pytest.raises(UsageError, match="another bundle"):
        list(prepare.prepare([clips / "a.mp4"], tmp_path / "shards", other))


def test_the_command_reports_bad_clips(
    clips: Path, bundle: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "prepare", str(clips), "-o", str(tmp_path / "shards"), "--model", str(bundle.path)]
    assert app.run(command) == 3
    out, err = capfd.readouterr()
    assert out == f"{tmp_path / 'shards'}\n"
    assert err.count("error: ") == 3
    assert app.run([*command, "-q"]) == 3
    assert capfd.readouterr().err == ""


def test_a_folder_without_sound_is_one_sentence(
    bundle: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_clip(tmp_path / "mute" / "a.mp4", 1.0, with_sound=False)
    arguments = [str(tmp_path / "mute"), "-q", "-o", str(tmp_path / "shards"), "--model", str(bundle.path)]
    assert app.run(["train", "prepare", *arguments]) == 5
    err = capfd.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "has no sound" in err
    assert app.run(["train", "mdsgen", "--data", str(tmp_path / "shards"), "-o", str(tmp_path / "run")]) == 2


def test_fine_tuning_begins_with_the_bundle_and_ends_in_one(
    clips: Path, bundle: Bundle, encoders: Encoders, tmp_path: Path
) -> None:
    list(prepare.prepare([clips / "a.mp4", clips / "sub" / "long.mp4"], tmp_path / "shards", encoders))
    recipe = with_loop(load("tiny-mdsgen", MdsgenRecipe), steps=1, batch_size=2, warmup=0, ema_decay=0.5)
    loop = mdsgen_loop(recipe, tmp_path / "shards", bundle, tmp_path / "run", "cpu")
    start = tensors(bundle, "transformer")
    state = loop.model.state_dict()
    assert not any(name.startswith("sideblocks") for name in start)
    for name, value in start.items():
        torch.testing.assert_close(state[name].half(), value, msg=lambda text, name=name: f"{name}: {text}")
    loop.run()
    made = pack_transformer(tmp_path / "made", bundle, tmp_path / "run", "mine")
    assert made.name == "mine"
    assert made.encoder_hash == bundle.encoder_hash
    assert made.parts["transformer"].sha256 != bundle.parts["transformer"].sha256
    assert json.loads((tmp_path / "shards" / prepare.META).read_text())["bundle"] == "small"


def test_fine_tuning_wants_the_encoder_that_prepared(clips: Path, encoders: Encoders, tmp_path: Path) -> None:
    list(prepare.prepare([clips / "a.mp4"], tmp_path / "shards", encoders))
    other = make_bundle(tmp_path / "other", seed=1)
    recipe = load("tiny-mdsgen", MdsgenRecipe)
    with pytest.raises(UsageError, match="its encoder is not the one"):
        mdsgen_loop(recipe, tmp_path / "shards", other, tmp_path / "run", "cpu")


def test_a_clips_sound_is_in_step_with_its_picture(tmp_path: Path) -> None:
    info = probe.probe(make_clip(tmp_path / "a.mp4", 3.0))
    samples = own_sound.read(info, RATE)
    assert len(samples) == round(info.duration * RATE)
    first = int(np.flatnonzero(np.abs(samples) > 0.2)[0])
    assert abs(first / RATE - 0.5) < 0.005


def test_sound_at_another_rate_keeps_its_times(tmp_path: Path) -> None:
    info = probe.probe(make_clip(tmp_path / "a.mp4", 2.0))
    samples = own_sound.read(info, 48000)
    assert len(samples) == round(info.duration * Fraction(48000))
    assert abs(int(np.flatnonzero(np.abs(samples) > 0.2)[0]) / 48000 - 0.5) < 0.005


def test_a_clip_without_sound_says_so(tmp_path: Path) -> None:
    info = probe.probe(make_clip(tmp_path / "a.mp4", 1.0, with_sound=False))
    with pytest.raises(ClipError, match="has no sound"):
        own_sound.read(info, RATE)
