"""The training loops: same losses, same weights after a stop, same gradients in two processes."""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny_training
import torch
import two_processes
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from foleygen.cli import app
from foleygen.errors import RetryableError, UsageError
from foleygen.training import autoencoder, encoder, journal
from foleygen.training.autoencoder import vae_loop
from foleygen.training.cavp import PublishedTowers, cavp_loop
from foleygen.training.data.augment import augment
from foleygen.training.data.split import held_out
from foleygen.training.encoder import encoder_loop
from foleygen.training.judges.recipes import TowerRecipe
from foleygen.training.judges.sound_tower import tower_loop
from foleygen.training.loop import CHECKPOINT, CURVE, Loop, LoopConfig, TrainingError, load_checkpoint
from foleygen.training.mdsgen import Pairs, mdsgen_loop
from foleygen.training.objectives import DiffusionConfig
from foleygen.training.recipe import EncoderRecipe, Recipe, record, recorded

TINY_OBJECTIVE = DiffusionConfig(prediction_type="v_prediction", learned_sigma=False, snr_gamma=5.0)
STORED: dict[str, tuple[float, float]] = {
    "vae": (0.886085, 0.845468),
    "encoder": (11.2334, 9.15687),
    "cavp": (11.7152, 10.7098),
    "paper": (2.04425, 2.06968),
    "tiny": (0.932143, 0.411557),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.write_dataset(tmp_path_factory.mktemp("scenes") / "data")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.write_pairs(tmp_path_factory.mktemp("pairs"))


def make_loop(name: str, data: Path, pairs: Path, folder: Path, **changes: object) -> Loop:
    torch.set_num_threads(1)
    if name == "vae":
        return vae_loop(tiny_training.vae(**changes), [data], None, folder, "cpu")
    if name == "encoder":
        return encoder_loop(tiny_training.encoder(**changes), [data], folder, "cpu")
    if name == "cavp":
        return cavp_loop(tiny_training.cavp(**changes), [data], folder, "cpu")
    if name == "paper":
        recipe = tiny_training.mdsgen(optimiser="adan", ema_decay=0.9999, **changes)
    else:
        recipe = tiny_training.mdsgen(TINY_OBJECTIVE, aligned=True, **changes)
    return mdsgen_loop(recipe, pairs, None, folder, "cpu")


def curve(folder: Path) -> list[dict[str, str]]:
    with open(folder / CURVE, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("name", ["vae", "encoder", "cavp", "paper", "tiny"])
def test_two_steps_give_the_stored_losses(name: str, data: Path, pairs: Path, tmp_path: Path) -> None:
    make_loop(name, data, pairs, tmp_path).run()
    found = tuple(float(row["loss"]) for row in curve(tmp_path))
    assert found == pytest.approx(STORED[name], rel=1e-4)


class KilledError(Exception):
    """Ends a run in the middle, as a kill does."""


@pytest.mark.parametrize("name", ["vae", "encoder", "cavp", "paper", "tiny"])
def test_a_stopped_run_goes_on_bit_for_bit(name: str, data: Path, pairs: Path, tmp_path: Path) -> None:
    make_loop(name, data, pairs, tmp_path / "whole", steps=5).run()

    def stop(step: int, total: int, means: Mapping[str, float], rate: float) -> None:
        if step == 3:
            raise KilledError

    with pytest.raises(KilledError):
        make_loop(name, data, pairs, tmp_path / "stopped", steps=5).run(stop)
    again = make_loop(name, data, pairs, tmp_path / "stopped", steps=5)
    assert again.step == 2
    again.run()
    whole, stopped = (load_checkpoint(tmp_path / run / CHECKPOINT) for run in ("whole", "stopped"))
    for group in ("model", "average"):
        for key, value in whole[group].items():
            assert torch.equal(value, stopped[group][key]), key
    assert curve(tmp_path / "whole") == curve(tmp_path / "stopped")


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    def draw(generator: torch.Generator, count: int) -> tuple[Tensor, ...]:
        rows = torch.rand(count, 2, generator=generator)
        return (rows * (float("nan") if generator.initial_seed() == 3 * 7_919 else 1.0),)

    def loss(model: nn.Module, batch: tuple[Tensor, ...], generator: torch.Generator) -> dict[str, Tensor]:
        return {"loss": model(batch[0]).square().mean()}

    loop = Loop(nn.Linear(2, 1), loss, draw, tiny_training.loop(steps=6, seed=0), tmp_path)
    with pytest.raises(TrainingError, match="not finite at step 3") as caught:
        loop.run()
    assert "\n" not in str(caught.value)
    state = load_checkpoint(tmp_path / CHECKPOINT)
    assert state["step"] == 2
    assert all(torch.isfinite(value).all() for value in state["model"].values())


@pytest.mark.timeout(600)
def test_two_processes_give_the_gradients_of_one(data: Path, pairs: Path, tmp_path: Path) -> None:
    script = Path(two_processes.__file__)
    environment = {**os.environ, "PYTHONPATH": str(script.parents[1])}  # also where the package is not installed
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    arguments = [*launch, str(data), str(pairs), str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=500, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    both = torch.load(tmp_path / "gradients.pt", weights_only=True)
    alone = two_processes.gradients(data, pairs, tmp_path / "alone")
    assert both.keys() == alone.keys()
    for name, value in alone.items():
        assert torch.allclose(both[name], value, rtol=1e-3, atol=2e-6), name


def test_the_published_towers_learn_in_both() -> None:
    torch.manual_seed(0)
    model = PublishedTowers()
    found = model(torch.rand(2, 2, 4, 32, 32, 3), torch.rand(2, 2, 128, 64))
    assert found.video.shape == found.audio.shape == (2, 2, 512)
    torch.testing.assert_close(found.video.norm(dim=-1), torch.ones(2, 2))
    (found.video * found.audio).sum().backward()
    cavp = model.cavp
    for value in (cavp.video_encoder.conv1.conv.weight, cavp.spec_encoder.final_project.weight):
        assert value.grad is not None
        assert float(value.grad.abs().max()) > 0


@contextmanager
def room_for(count: int) -> Iterator[None]:
    """No file may grow beyond ``count`` bytes: what a full disk looks like from inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_sentence_and_keeps_the_checkpoint(data: Path, pairs: Path, tmp_path: Path) -> None:
    make_loop("tiny", data, pairs, tmp_path).run()
    before = (tmp_path / CHECKPOINT).read_bytes()
    loop = make_loop("tiny", data, pairs, tmp_path, steps=4)
    with room_for(20_000), pytest.raises(RetryableError, match="no space left") as caught:
        loop.run()
    assert "\n" not in str(caught.value)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".part")]


def test_a_run_of_another_recipe_is_not_continued(data: Path, pairs: Path, tmp_path: Path) -> None:
    make_loop("tiny", data, pairs, tmp_path).run()
    with pytest.raises(UsageError, match=r"loop\.learning_rate differs"):
        make_loop("tiny", data, pairs, tmp_path, learning_rate=2e-3)
    make_loop("tiny", data, pairs, tmp_path, steps=3).run()
    assert len(curve(tmp_path)) == 3


def test_pairs_of_another_geometry_are_refused(data: Path, pairs: Path, tmp_path: Path) -> None:
    code = app.run(["train", "mdsgen", "--data", str(pairs), "-o", str(tmp_path / "run"), "-q"])
    assert code == 2
    assert not (tmp_path / "run" / CHECKPOINT).exists()


def test_schedules_begin_and_end_where_they_should() -> None:
    cosine = LoopConfig(steps=100, learning_rate=1.0, schedule="cosine", warmup=10)
    assert cosine.rate(0) == pytest.approx(0.1)
    assert cosine.rate(99) < 1e-3
    decay = LoopConfig(steps=100, learning_rate=1.0, schedule="decay", hold=0.5, final_rate=0.1)
    assert decay.rate(50) == 1.0
    assert decay.rate(75) == pytest.approx(0.55)


def test_processes_need_equal_shares() -> None:
    from foleygen.training.parallel import check_batch

    with pytest.raises(UsageError, match="cannot be dealt evenly"):
        check_batch(5, 2)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), frames=st.integers(2, 9))
def test_augmentation_keeps_shape_and_range_and_is_seeded(seed: int, frames: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    clip = torch.randint(0, 256, (frames, 32, 32, 3), generator=generator, dtype=torch.uint8)
    first, again = (augment(clip, 31.25, torch.Generator().manual_seed(seed)) for _ in range(2))
    assert first.shape == clip.shape
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1
    assert torch.equal(first, again)


def test_augmentation_differs_between_seeds() -> None:
    clip = torch.randint(0, 256, (4, 32, 32, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    first, second = (augment(clip, 31.25, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert not torch.equal(first, second)


@given(times=st.lists(st.floats(0.0, 7.9), min_size=1, max_size=8))
def test_the_onset_target_peaks_at_the_events(times: list[float]) -> None:
    target = encoder.onset_target(times, 512, 62.5)
    for time in times:
        frame = min(511, round(time * 62.5))
        assert float(target[frame]) >= 0.88  # half a frame off the centre of the bump
    far = torch.tensor([min(abs(frame - time * 62.5) for time in times) > 4 for frame in range(512)])
    assert not (target[far] > 0.01).any()


def test_the_onset_target_of_silence_is_silent() -> None:
    assert not encoder.onset_target([], 64, 62.5).any()


def test_reconstruction_terms_see_what_they_are_for() -> None:
    mel = torch.rand(1, 16, 64, generator=torch.Generator().manual_seed(0))
    assert all(float(value) == 0 for value in autoencoder.reconstruction_loss(mel, mel).values())
    smeared = mel.mean(dim=1, keepdim=True).expand_as(mel)
    terms = autoencoder.reconstruction_loss(smeared, mel)
    assert terms["frequency"] > terms["level"]


def test_a_torn_last_line_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    journal.append(path, {"row": 0})
    with open(path, "ab") as handle:
        handle.write(b'{"row": 1, "fam')
    assert journal.read(path) == [{"row": 0}]
    journal.repair(path)
    journal.append(path, {"row": 2})
    assert journal.read(path) == [{"row": 0}, {"row": 2}]


def test_the_command_trains_and_goes_on(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import yaml

    from foleygen.strict import plain

    recipe: Recipe = tiny_training.vae()
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(plain(recipe)))
    arguments = {"--data": data, "--recipe": tmp_path / "small.yaml", "-o": tmp_path / "run"}
    command = ["train", "vae", *(str(word) for pair in arguments.items() for word in pair)]
    assert app.run(command) == 0
    out, _ = capfd.readouterr()
    assert out == f"{tmp_path / 'run' / CHECKPOINT}\n"
    assert app.run([*command, "--steps", "3"]) == 0
    _, err = capfd.readouterr()
    assert "goes on at step 2 of 3" in err
    assert (tmp_path / "run" / "loss.png").stat().st_size > 1000
    assert [row["step"] for row in curve(tmp_path / "run")] == ["1", "2", "3"]


WRONG = (
    (["train", "mdsgen"], "--data", "scenes", "train pairs"),
    (["train", "encoder"], "--data", "pairs", "the dataset that foleygen train pairs encoded"),
    (["train", "vae"], "--data", "shards", "train mdsgen"),
    (["train", "tokenizer"], "--data", "scenes", "train windows"),
    (["train", "specmaskgit"], "--data", "windows", "train tokens"),
    (["train", "mdsgen"], "--data", "run", "train pairs, or of clips of your own with foleygen train prepare"),
    (["train", "prepare"], "", "scenes", "train pairs"),
)


@pytest.mark.parametrize(("command", "option", "given", "step"), WRONG)
def test_the_output_of_another_command_is_told_what_comes_between(
    command: list[str], option: str, given: str, step: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = {"scenes": "dataset.json", "pairs": "pairs.npz", "shards": "shards.json", "windows": "windows.json"}
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / names.get(given, "recipe.yaml")).touch()
    words = [word for word in (option, str(tmp_path / "given")) if word]
    assert app.run([*command, *words, "-o", str(tmp_path / "out")]) in (2, 5)
    _, err = capfd.readouterr()
    assert step in err
    assert str(tmp_path / "given") in err


def test_a_run_of_another_model_is_named(tmp_path: Path) -> None:
    record(tiny_training.vae(), tmp_path)
    with pytest.raises(UsageError, match=r"train vae, not of train encoder") as caught:
        recorded(tmp_path, EncoderRecipe)
    assert "foleygen train encoder" in caught.value.remedy


@pytest.mark.parametrize("name", ["vae", "encoder", "cavp", "tiny"])
def test_what_is_held_out_is_validated_on_and_changes_no_step(
    name: str, data: Path, pairs: Path, tmp_path: Path
) -> None:
    loop = make_loop(name, data, pairs, tmp_path / "held", steps=4, validation=0.3)
    held = loop.held
    assert held is not None
    loop.run()
    alone = make_loop(name, data, pairs, tmp_path / "alone", steps=4, validation=0.3)
    alone.held = None
    alone.run()
    rows, plain_rows = curve(tmp_path / "held"), curve(tmp_path / "alone")
    assert [row.pop("validation") for row in rows] != []
    assert rows == plain_rows
    for key, value in loop.averaged().items():
        assert torch.equal(value, alone.averaged()[key]), key


def test_a_stopped_run_validates_as_one_that_was_not(data: Path, pairs: Path, tmp_path: Path) -> None:
    make_loop("tiny", data, pairs, tmp_path / "whole", steps=4, validation=0.3).run()

    def stop(step: int, total: int, means: Mapping[str, float], rate: float) -> None:
        if step == 3:
            raise KilledError

    with pytest.raises(KilledError):
        make_loop("tiny", data, pairs, tmp_path / "stopped", steps=4, validation=0.3).run(stop)
    make_loop("tiny", data, pairs, tmp_path / "stopped", steps=4, validation=0.3).run()
    assert curve(tmp_path / "whole") == curve(tmp_path / "stopped")
    assert [float(row["validation"]) > 0 for row in curve(tmp_path / "whole")] == [True] * 4
    with pytest.raises(UsageError, match=r"loop\.validation differs"):
        make_loop("tiny", data, pairs, tmp_path / "whole", steps=5)


def test_a_run_from_before_there_was_validation_goes_on(data: Path, pairs: Path, tmp_path: Path) -> None:
    make_loop("tiny", data, pairs, tmp_path).run()
    lines = (tmp_path / "recipe.yaml").read_text().splitlines(keepends=True)
    older = [line for line in lines if "validation" not in line]
    assert len(older) == len(lines) - 1
    (tmp_path / "recipe.yaml").write_text("".join(older))
    assert make_loop("tiny", data, pairs, tmp_path, steps=3).step == 2


def test_nothing_that_is_held_out_is_drawn(pairs: Path) -> None:
    found = Pairs.load(pairs)
    learnt, held = found.split(0.3)
    assert len(learnt.latents) + len(held.latents) == len(found.latents)
    assert {row.tobytes() for row in learnt.latents}.isdisjoint(row.tobytes() for row in held.latents)
    assert torch.equal(*(torch.from_numpy(found.split(0.3)[1].features) for _ in range(2)))


@given(count=st.integers(2, 300), share=st.floats(1e-6, 0.999))
def test_a_share_is_held_out_by_names_alone(count: int, share: float) -> None:
    names = [f"clip {number}" for number in range(count)]
    held = held_out(names, share)
    assert 0 < held.sum() < count
    assert abs(held.mean() - share) < 1 / count + 3 / count**0.5
    turned = held_out(names[::-1], share)
    assert (turned[::-1] == held).all()
    if 0.1 < share < 0.9 and count > 100:
        assert (held_out([*names, "another"], share)[:-1] == held).all()


def test_a_clip_is_held_out_with_all_its_windows() -> None:
    held = held_out(["a", "b", "a", "c", "b", "a"], 0.5)
    assert held[0] == held[2] == held[5]
    assert held[1] == held[4]
    with pytest.raises(UsageError, match="none to hold out"):
        held_out(["a", "a"], 0.5)


def test_a_training_that_cannot_hold_out_says_so(data: Path, tmp_path: Path) -> None:
    recipe = TowerRecipe(kind="tower", loop=tiny_training.loop(validation=0.2), crop=64)
    with pytest.raises(UsageError, match="training of tower holds no clips out"):
        tower_loop(recipe, [data], tmp_path, "cpu")
    assert not (tmp_path / "recipe.yaml").exists()
    with pytest.raises(UsageError, match=r"validation is 1"):
        LoopConfig(steps=1, validation=1.0)
