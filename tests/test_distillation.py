"""Distilling a student: the teacher's runs, a training that resumes, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from test_cue_training import OBJECTIVE, write_bundle
from tiny_training import write_dataset

from foleygen.cli.app import run
from foleygen.engines.foley import Engine
from foleygen.errors import ExitCode, UsageError
from foleygen.models.diffusion import Condition
from foleygen.models.student import StudentConfig
from foleygen.sampling.noise import WindowKey
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.strict import plain
from foleygen.training import packing
from foleygen.training.cues import adapter
from foleygen.training.cues.recipe import CuesRecipe
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.distillation import runs, student
from foleygen.training.distillation.recipe import DistillRecipe, TeachingConfig
from foleygen.training.distillation.runs import PIECE
from foleygen.training.loop import LoopConfig
from foleygen.training.recipe import load
from foleygen.weights import bundle as bundles
from foleygen.weights.bundle import Bundle

TEACHING = TeachingConfig(runs=PIECE, steps=4, marks=(2, 4), guidance=(1.0, 3.0))


def recipe(steps: int = 4, **changes: object) -> DistillRecipe:
    loop = LoopConfig(steps=steps, batch_size=4, learning_rate=1e-2, log_every=2, save_every=2)
    made = DistillRecipe(
        kind="distill",
        loop=loop,
        student=StudentConfig(rank=2, hidden_size=4),
        teaching=TEACHING,
        evaluations=(0.5, 1.0),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[SceneDataset]:
    return [SceneDataset(write_dataset(tmp_path_factory.mktemp("data") / "seen"))]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, data: list[SceneDataset]) -> Bundle:
    """Random weights, with an adapter of cues that has hardly learnt anything."""
    root = tmp_path_factory.mktemp("bundles")
    small = write_bundle(root / "small", "aligned")
    loop = LoopConfig(steps=2, batch_size=4, learning_rate=1e-2, save_every=2)
    cues = CuesRecipe(kind="cues", loop=loop, objective=OBJECTIVE, hidden_size=16, blend_size=8)
    adapter.cues_loop(cues, data, small, root / "run", "cpu").run()
    return packing.pack_cues(root / "told", small, root / "run", "told")


@pytest.fixture(scope="module")
def made(bundle: Bundle, data: list[SceneDataset], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the teacher's runs."""
    folder = tmp_path_factory.mktemp("runs")
    student.make_runs(recipe(), data, bundle, folder, "cpu")
    return folder


def test_runs_are_those_of_the_sampler(bundle: Bundle, data: list[SceneDataset]) -> None:
    teacher = student.teacher_of(bundle, TEACHING, "cpu", "fp32")
    features = torch.randn(2, 32, 16, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(2)).half().float()
    config = SamplerConfig(4, 2.5, 1.0, teacher.untold.schedule, guidance_rescale=0.5)
    kept = runs.run(teacher.model, Condition(features), noise, config, (2, 4))
    assert kept.states.shape == (2, 3, 4, 16, 16)
    assert np.array_equal(kept.states[:, 0], noise.numpy().astype(np.float16))
    end = sample(teacher.model, Condition(features), noise, config).numpy()
    np.testing.assert_allclose(kept.states[:, -1], end, atol=2e-3 * np.abs(end).max())
    assert kept.guidance.tolist() == [2.5, 2.5]
    assert kept.rescale.tolist() == [0.5, 0.5]


def test_half_of_the_runs_are_led_as_usual(bundle: Bundle, made: Path) -> None:
    found = runs.load(made, student.source_of(bundle, TEACHING), TEACHING)
    assert len(found.states) == PIECE
    assert np.isfinite(found.states.astype(np.float32)).all()
    assert found.heard.shape == (PIECE, 8, 24)
    assert ((found.guidance >= 1) & (found.guidance <= 3)).all()
    assert np.isclose(found.guidance, 2.0).any()  # the bundle's, told something or not
    assert not np.isclose(found.guidance, 2.0).all()
    assert set(found.rescale.tolist()) == {0.0, np.float32(0.7)}  # untold, and told


def test_a_part_of_the_runs_is_the_same_whoever_makes_it(
    bundle: Bundle, data: list[SceneDataset], made: Path, tmp_path: Path
) -> None:
    student.make_runs(recipe(), data, bundle, tmp_path, "cpu", part=(2, 2))
    assert not list(tmp_path.glob("runs-*"))  # there is one piece, and it is the first one's
    with pytest.raises(UsageError, match="is not there"):
        student.distill_loop(recipe(), bundle, tmp_path, "cpu")
    student.make_runs(recipe(), data, bundle, tmp_path, "cpu", part=(1, 2))
    for name in ("states", "heard"):
        first, second = (np.load(folder / "runs-00000.npz")[name] for folder in (tmp_path, made))
        assert np.array_equal(first, second)


def test_runs_that_are_there_are_not_made_again(
    bundle: Bundle, data: list[SceneDataset], made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "run", lambda *arguments: pytest.fail("made again"))
    heard: list[tuple[int, int]] = []
    student.make_runs(recipe(), data, bundle, made, "cpu", on_run=lambda done, total: heard.append((done, total)))
    assert heard == [(PIECE, PIECE)]


def test_runs_of_another_teacher_are_refused(bundle: Bundle, made: Path) -> None:
    other = replace(recipe(), teaching=replace(TEACHING, told=0.25))
    with pytest.raises(UsageError, match="another transformer"):
        student.distill_loop(other, bundle, made, "cpu")


def test_a_student_comes_nearer_to_its_teacher_and_becomes_a_part_of_a_bundle(
    bundle: Bundle, made: Path, tmp_path: Path
) -> None:
    chosen = recipe(30, evaluations=(0.0, 1.0))
    loop = student.distill_loop(chosen, bundle, made, "cpu")
    ends: list[float] = []
    loop.run(lambda step, steps, means, rate: ends.append(means["end"]))
    assert np.mean(ends[-3:]) < 0.9 * ends[0]
    packed = packing.pack_student(tmp_path / "taught", bundle, made, "taught")
    assert packed.student is not None
    assert packed.student.times == ((999.0, 499.5),)
    assert packed.student.guidance == (1.0, 3.0)
    assert packed.parts["transformer"].sha256 == bundle.parts["transformer"].sha256
    engine = Engine.load(packed, "cpu", "fp32")
    features, keys = torch.randn(1, 32, 16), [WindowKey(0, "clip", 0, 1)]
    assert torch.equal(engine.latents(features, keys), engine.latents(features, keys, steps=2))
    on_request = packing.pack_student(tmp_path / "asked", bundle, made, "asked", usual=False)
    assert on_request.student_times(None) is None
    assert on_request.student_times(2) == (999.0, 499.5)


def test_a_training_that_was_stopped_goes_on(bundle: Bundle, data: list[SceneDataset], tmp_path: Path) -> None:
    states = []
    for name, stops in (("whole", (4,)), ("halves", (2, 4))):
        student.make_runs(recipe(), data, bundle, tmp_path / name, "cpu")
        for stop in stops:
            loop = student.distill_loop(recipe(stop), bundle, tmp_path / name, "cpu")
            loop.run()
        states.append(loop.model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_bundle_that_cannot_be_told_has_no_student_yet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be told"):
        student.teacher_of(write_bundle(tmp_path / "small", "aligned"), TEACHING, "cpu", "fp32")


def test_the_packaged_recipe_is_that_of_tiny() -> None:
    found = load("tiny-student", DistillRecipe)
    assert found.teaching.marks[-1] == found.teaching.steps == 12
    assert found.teaching.evaluated(4) == (0, 4, 7, 10)
    assert [found.teaching.evaluated(count) for count in (1, 2, 3)] == [(0,), (0, 7), (0, 4, 7)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"teaching": {"marks": (4, 2)}}, "marks are"),
        ({"teaching": {"marks": (2, 3)}}, "marks are"),
        ({"teaching": {"told": 1.5}}, "are shares"),
        ({"teaching": {"guidance": (0.0, 2.0)}}, "above 0"),
        ({"evaluations": (1.0,)}, "for 2 marks"),
        ({"evaluations": (1.0, 0.0)}, "the last above 0"),
        ({"mark_weight": -1.0}, "out of range"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes: dict[str, object], said: str) -> None:
    teaching = changes.pop("teaching", {})
    with pytest.raises(UsageError, match=said):
        recipe(2, teaching=replace(TEACHING, **teaching), **changes)  # type: ignore[arg-type]


def test_the_command_makes_a_shard_of_the_runs_or_trains(
    bundle: Bundle, data: list[SceneDataset], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "small.yaml"
    written.write_text(yaml.safe_dump(plain(recipe(2)), sort_keys=False))
    folder, made = str(tmp_path / "run"), str(tmp_path / "taught")
    arguments = [
        "train",
        "distill",
        "--data",
        str(data[0].folder),
        "--model",
        str(bundle.path),
        "--recipe",
        str(written),
    ]
    assert run([*arguments, "-o", folder, "--device", "cpu", "-q", "--shard", "1/2"]) == 0
    assert sorted(path.name for path in Path(folder).iterdir()) == ["examples.npz", "runs-00000.npz"]
    assert run([*arguments, "-o", folder, "--device", "cpu", "-q"]) == 0
    base = ["--base", str(bundle.path), "--name", "taught", "-o", made]
    assert run(["train", "bundle", "--student", folder, "--on-request", *base]) == 0
    assert capfd.readouterr().out.split() == [folder, f"{folder}/checkpoint.pt", made]
    student_spec = bundles.load(Path(made)).student
    assert student_spec is not None
    assert not student_spec.usual
    refused = ["train", "bundle", "--student", folder, "--mdsgen", folder, *base]
    assert run(refused) == ExitCode.USAGE
    assert "--student: was trained beside another transformer" in capfd.readouterr().err
