"""Trainings on several datasets: rows come from each in its share, whatever else decides a batch stays as it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_training
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from foleygen.cli import app
from foleygen.errors import UsageError
from foleygen.models.motion import MotionEncoder
from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.strict import plain
from foleygen.training import mdsgen
from foleygen.training.autoencoder import vae_loop
from foleygen.training.cavp import cavp_loop
from foleygen.training.data.dataset import DatasetConfig
from foleygen.training.data.mixture import mixed, open_alike, shares_of
from foleygen.training.data.sounds import sounds_of_scenes
from foleygen.training.encoder import encoder_loop
from foleygen.training.loop import CHECKPOINT, DrawBatch, Loop, load_checkpoint, step_generator
from foleygen.training.mdsgen import Pairs
from foleygen.training.recipe import EncoderRecipe, VocoderModel, VocoderRecipe, recorded
from foleygen.training.vocoder import vocoder_loop

TRAININGS = ("vae", "encoder", "cavp")


@pytest.fixture(scope="module")
def plain_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.write_dataset(tmp_path_factory.mktemp("train") / "train")


@pytest.fixture(scope="module")
def marked_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of another style, whose highest mel band is full throughout."""
    folder = tiny_training.write_dataset(tmp_path_factory.mktemp("clean") / "clean")
    rewrite(folder, count=2, style="clean")
    lines = (folder / "clips.jsonl").read_text().splitlines(keepends=True)
    (folder / "clips.jsonl").write_text("".join(lines[:2]))
    shape = (2, tiny_training.MELS, tiny_training.COLUMNS)
    np.memmap(folder / "mels.f2", np.float16, "r+", shape=shape)[:, -1] = 1
    return folder


def rewrite(folder: Path, **config: object) -> Path:
    meta = json.loads((folder / "dataset.json").read_text())
    meta["config"] |= config
    (folder / "dataset.json").write_text(json.dumps(meta))
    return folder


def make_loop(name: str, data: Sequence[Path], folder: Path, shares: Sequence[float] = (), **changes: object) -> Loop:
    torch.set_num_threads(1)
    if name == "vae":
        return vae_loop(replace(tiny_training.vae(**changes), shares=tuple(shares)), data, None, folder, "cpu")
    if name == "encoder":
        return encoder_loop(replace(tiny_training.encoder(**changes), shares=tuple(shares)), data, folder, "cpu")
    return cavp_loop(replace(tiny_training.cavp(**changes), shares=tuple(shares)), data, folder, "cpu")


def marks(name: str, loop: Loop, rows: int, steps: int) -> list[bool]:
    """Which of the rows of these steps come from the marked dataset."""
    batches = [loop.draw(step_generator(0, step), rows)[0 if name == "vae" else 1] for step in range(steps)]
    lowest = torch.cat([mels[..., -1, :].flatten(1).amin(1) for mels in batches])
    return (lowest > 0.9).tolist()


def labelled(source: int) -> DrawBatch:
    """Rows (source, a number that grows through the rows of this source)."""

    def draw(generator: torch.Generator, count: int) -> tuple[torch.Tensor, ...]:
        return torch.full((count,), source), torch.arange(count)

    return draw


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), weights=st.lists(st.floats(0.05, 20), min_size=2, max_size=4))
def test_rows_come_in_their_shares_at_places_of_chance(seed: int, weights: list[float]) -> None:
    draw, count = mixed([labelled(source) for source in range(len(weights))], weights), 4000
    sources, numbers = draw(torch.Generator().manual_seed(seed), count)
    for source, weight in enumerate(weights):
        share = weight / sum(weights)
        own = sources == source
        spread = (share * (1 - share) / count) ** 0.5
        assert float(own.double().mean()) == pytest.approx(share, abs=6 * spread)
        assert numbers[own].tolist() == list(range(int(own.sum())))
        early = int(own[: count // 2].sum())
        assert early == pytest.approx(float(own.sum()) / 2, abs=6 * (count * share * (1 - share) / 4) ** 0.5 + 1)
    again = draw(torch.Generator().manual_seed(seed), count)
    assert torch.equal(sources, again[0])
    assert torch.equal(numbers, again[1])


def test_shares_are_those_given_or_those_of_the_clips() -> None:
    assert shares_of((), [300, 100]) == (0.75, 0.25)
    assert shares_of((2, 1, 1), [5, 5, 5]) == (2, 1, 1)
    assert shares_of((), [7]) == shares_of((0.4,), [7]) == ()
    with pytest.raises(UsageError, match="shares for 2 datasets are given, and 3 datasets; give --share once"):
        shares_of((0.5, 0.5), [1, 1, 1])


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize(("shares", "wanted"), [((), 1 / 3), ((1.0, 4.0), 0.8)])
def test_every_training_draws_from_both(
    name: str, shares: tuple[float, ...], wanted: float, plain_set: Path, marked_set: Path, tmp_path: Path
) -> None:
    loop = make_loop(name, [plain_set, marked_set], tmp_path, shares)
    found = marks(name, loop, 8, 12)
    assert np.mean(found) == pytest.approx(wanted, abs=3 * (wanted * (1 - wanted) / 96) ** 0.5)
    kept = yaml.safe_load((tmp_path / "recipe.yaml").read_text())["shares"]
    assert kept == (list(shares) or [4 / 6, 2 / 6])


def test_recordings_count_as_many_clips_as_they_are(plain_set: Path, marked_set: Path, tmp_path: Path) -> None:
    """18 clips of white noise beside six clips of scenes, of which the marked are four times as likely."""
    seconds = tiny_training.COLUMNS / 62.5
    noise = 0.3 * np.random.default_rng(0).standard_normal(round(18.5 * seconds * 16000))
    soundfile.write(tmp_path / "noise.wav", noise, 16000)
    (tmp_path / "manifest.tsv").write_text("file\tclass\tfold\nnoise.wav\train\ttrain\n")
    recipe = replace(tiny_training.vae(), shares=(1, 4))
    loop = vae_loop(recipe, [plain_set, marked_set], tmp_path, tmp_path / "run", "cpu")
    mels = torch.cat([loop.draw(step_generator(0, step), 100)[0] for step in range(6)])
    quiet = mels[:, 64:127].mean((1, 2)) < 0.3  # scenes are silent between their events
    marked = mels[:, -1].amin(1) > 0.9
    for found, share in ((~quiet, 18 / 24), (marked, 6 / 24 * 0.8), (quiet & ~marked, 6 / 24 * 0.2)):
        assert float(found.double().mean()) == pytest.approx(share, abs=4 * (share * (1 - share) / 600) ** 0.5)


def test_a_stopped_run_goes_on_bit_for_bit(plain_set: Path, marked_set: Path, tmp_path: Path) -> None:
    data, shares = [plain_set, marked_set], (0.5, 0.5)
    make_loop("encoder", data, tmp_path / "whole", shares, steps=4).run()
    make_loop("encoder", data, tmp_path / "stopped", shares, steps=2).run()
    again = make_loop("encoder", data, tmp_path / "stopped", shares, steps=4)
    assert again.step == 2
    again.run()
    whole, stopped = (load_checkpoint(tmp_path / run / CHECKPOINT) for run in ("whole", "stopped"))
    assert all(torch.equal(value, stopped["model"][key]) for key, value in whole["model"].items())
    for changed, found in (((0.6, 0.4), data), ((), data), ((), data[:1])):
        with pytest.raises(UsageError, match=r"holds a run of another recipe \(shares differs\)"):
            make_loop("encoder", found, tmp_path / "stopped", changed, steps=4)


def test_scenes_of_every_dataset_are_composed_and_counted(tmp_path: Path) -> None:
    configs = [DatasetConfig(count=3, first_seed=5, num_frames=16), DatasetConfig(count=1, first_seed=9, num_frames=32)]
    heard: list[tuple[int, int]] = []
    sources = sounds_of_scenes(configs, 2, 16000, tmp_path, lambda done, total: heard.append((done, total)))
    assert [len(source) for source in sources] == [2, 1]
    assert [len(source[0]) for source in sources] == [8192, 16384]
    assert heard == [(1, 3), (2, 3), (3, 3)]
    again = sounds_of_scenes(configs, 2, 16000, tmp_path, lambda done, total: heard.append((done, total)))
    assert len(heard) == 3  # kept, not composed again
    assert all(np.array_equal(one, other) for one, other in zip(sources[1], again[1], strict=True))


def test_the_vocoder_hears_scenes_in_their_shares(plain_set: Path, marked_set: Path, tmp_path: Path) -> None:
    samples = round(tiny_training.FRAMES / tiny_training.RATE * 16000)
    tmp_path.joinpath("run").mkdir()
    np.save(tmp_path / "run" / "scenes-16000.npy", np.full((2, samples), 0.5, np.float16))
    np.save(tmp_path / "run" / "scenes-16000-2.npy", np.zeros((2, samples), np.float16))
    recipe = VocoderRecipe(
        kind="vocoder",
        loop=tiny_training.loop(),
        model=VocoderModel(hidden_size=8, depth=1),
        crop_frames=16,
        scenes=2,
        struck_share=0.0,
        shares=(1, 3),
        sizes=(256,),
    )
    loop = vocoder_loop(recipe, [plain_set, marked_set], None, tmp_path / "run", "cpu")
    sound, _ = loop.draw(step_generator(0, 0), 400)
    silent = 0.8 * 0.75 + 0.2 * 0.75**2  # a fifth of the crops are two sounds mixed
    assert float((sound.abs().amax(1) == 0).double().mean()) == pytest.approx(silent, abs=0.1)


def test_pairs_keep_the_order_of_the_datasets(plain_set: Path, marked_set: Path) -> None:
    torch.manual_seed(0)
    eyes, ears = MotionEncoder(tiny_training.MOTION).eval(), PatchAutoencoder(tiny_training.vae().model).eval()
    datasets = open_alike([plain_set, marked_set], pictures=True)
    counted: list[tuple[int, int]] = []
    both = mdsgen.pair(datasets, eyes, ears, 2, on_clip=lambda done, total: counted.append((done, total)))
    first, second = (mdsgen.pair([dataset], eyes, ears, 2) for dataset in datasets)
    assert counted == [(done, 6) for done in range(1, 7)]
    assert np.array_equal(both.features[:, :4], first.features)
    assert np.array_equal(both.features[0, 4:], second.features[0])
    assert not np.array_equal(both.features[1, 4:], second.features[1])  # no clip shares its camera with another
    raw = [part.latents * part.latent_std[:, None, None] + part.latent_mean[:, None, None] for part in (first, second)]
    found = both.latents * both.latent_std[:, None, None] + both.latent_mean[:, None, None]
    np.testing.assert_allclose(found, np.concatenate(raw), atol=5e-3 * float(np.abs(found).max()))


@pytest.mark.parametrize(
    ("name", "changes", "found"),
    [
        ("encoder", {"frame_size": 32}, "64 pictures of 32 pixels and mels of 128 x 128 for 2.048 s"),
        ("cavp", {"frame_rate": 25.0}, "64 pictures of 64 pixels and mels of 128 x 128 for 2.56 s"),
        ("vae", {"frame_rate": 25.0}, "mels of 128 x 128 for 2.56 s"),
    ],
)
def test_datasets_that_were_not_made_alike_are_one_sentence(
    name: str, changes: dict[str, object], found: str, plain_set: Path, tmp_path: Path
) -> None:
    other = rewrite(tiny_training.write_dataset(tmp_path / "other"), **changes)
    with pytest.raises(UsageError) as caught:
        make_loop(name, [plain_set, other], tmp_path / "run")
    said = str(caught.value)
    assert said.startswith(f"{other}: has {found}, {plain_set} ")
    assert "made alike" in said
    assert "\n" not in said
    assert not (tmp_path / "run").exists()


def test_a_vae_needs_no_pictures_of_any_dataset(plain_set: Path, tmp_path: Path) -> None:
    silent = rewrite(tiny_training.write_dataset(tmp_path / "silent"), pictures=False, frame_size=32)
    make_loop("vae", [plain_set, silent], tmp_path / "run")
    with pytest.raises(UsageError, match="was made without pictures"):
        make_loop("encoder", [plain_set, silent], tmp_path / "other")


def test_the_commands_take_several(
    plain_set: Path, marked_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(plain_set), "--data", str(marked_set)]
    for kind, small in (("encoder", tiny_training.encoder()), ("vae", tiny_training.vae())):
        (tmp_path / f"{kind}.yaml").write_text(yaml.safe_dump(plain(small)))
        command = ["train", kind, *data, "--recipe", str(tmp_path / f"{kind}.yaml"), "-o", str(tmp_path / kind), "-q"]
        assert app.run([*command, "--share", "0.7", "--share", "0.3"]) == 0
        assert app.run([*command, "--share", "0.7"]) == 2
        assert "give --share once for every --data" in capsys.readouterr().err
        assert app.run([*command, "--share", "0.7", "--share", "0"]) == 2
        capsys.readouterr()
    assert recorded(tmp_path / "encoder", EncoderRecipe).shares == (0.7, 0.3)
    trained = ["--encoder", str(tmp_path / "encoder"), "--vae", str(tmp_path / "vae")]
    assert app.run(["train", "pairs", *data, *trained, "-o", str(tmp_path / "pairs"), "-q"]) == 0
    assert Pairs.load(tmp_path / "pairs").features.shape[:2] == (2, 6)


def test_a_share_that_is_none_is_refused() -> None:
    for share in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="give every dataset a share above 0"):
            EncoderRecipe(kind="encoder", loop=tiny_training.loop(), shares=(0.5, share))
