"""The judge of sounds: that it learns names, goes on to the bit, and says whether words are obeyed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import judging
import numpy as np
import pytest
import torch
from libraries import Made, library
from numpy.typing import ArrayLike

from foleygen.cli import app
from foleygen.errors import BundleError, UsageError
from foleygen.evaluation.cues.arms import Arm, words_for
from foleygen.evaluation.cues.named import NamedShares, named, table
from foleygen.evaluation.naming import Namers, judges_of, share_named
from foleygen.features.cues import Words
from foleygen.models.sound_judge import SoundJudge, SoundJudgeConfig
from foleygen.scenes import TEST_SEEDS
from foleygen.strict import plain
from foleygen.training.data.dataset import ClipRecord, DatasetConfig, SceneDataset, make
from foleygen.training.judges.labelled import labelled
from foleygen.training.judges.recipes import JudgeRecipe, MelSpoiling
from foleygen.training.judges.sound_judge import judge_loop, make_draw, named_by, trained_judge
from foleygen.training.loop import CHECKPOINT, LoopConfig, load_checkpoint
from foleygen.training.recipe import load
from foleygen.training.spoiling import masked, recoloured, turned

SMALL = SoundJudgeConfig(widths=(8, 8, 8), hidden=16, heads=2)
NAMED = replace(SMALL, families=("door", "hammer"), materials=("metal", "wood", "water"))
SOUNDS = (("hammer", "metal"), ("drum", "wood"), ("hammer", "wood"), ("door", "metal"))
LEARNING = JudgeRecipe(
    kind="judge",
    loop=LoopConfig(steps=120, batch_size=16, learning_rate=1e-2, ema_decay=None, log_every=60, save_every=60),
    model=replace(SMALL, dropout=0.0),
    spoiling=MelSpoiling(gain=(0.0, 0.0), colour=0.0, bands=0, columns=0),
    smoothing=0.0,
)


def recipe(steps: int = 4) -> JudgeRecipe:
    loop = LoopConfig(steps=steps, batch_size=4, ema_decay=None, log_every=2, save_every=2)
    return JudgeRecipe(kind="judge", loop=loop, model=SMALL)


def write_sounds(folder: Path, count: int = 24) -> Path:
    """Sounds without pictures: a bright band for each family, a comb over all columns for wood."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    mels = np.memmap(folder / "mels.f2", np.float16, "w+", shape=(count, 128, 64))
    lines = []
    for row in range(count):
        family, material = SOUNDS[row % len(SOUNDS)]
        mels[row] = 0.2 * rng.random((128, 64))
        first = 40 * ("hammer", "drum", "door").index(family)
        mels[row, first : first + 30, :: 8 if material == "wood" else 1] += 0.6
        record = {"row": row, "seed": row, "family": family, "material": material, "source_rate": 25.0}
        lines.append(json.dumps(record) + "\n")
    config = {"count": count, "num_frames": 32, "frame_rate": 31.25, "pictures": False}
    (folder / "dataset.json").write_text(json.dumps({"config": config, "mel_shape": [128, 64], "scenes": 1}))
    (folder / "clips.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge that has seen the scenes of ``judging``, and knows their names."""
    folder = tmp_path_factory.mktemp("judge")
    judge_loop(recipe(2), [judging.write_scenes(folder / "data")], folder / "run", "cpu").run()
    return folder / "run"


class TestNetwork:
    @pytest.mark.parametrize("columns", [16, 64, 70, 512])
    def test_any_length_is_named(self, columns: int) -> None:
        heard = SoundJudge(NAMED).eval()(torch.rand(2, 128, columns))
        assert heard.families.shape == (2, 2)
        assert heard.materials.shape == (2, 3)
        assert heard.features.shape == (2, 3 * 16)

    def test_a_name_does_not_depend_on_the_batch(self) -> None:
        torch.manual_seed(0)
        judge, mels = SoundJudge(NAMED).eval(), torch.rand(5, 128, 64)
        together = judge.name(mels)
        assert together == {
            label: [judge.name(mel[None])[label][0] for mel in mels] for label in ("family", "material")
        }
        assert set(together["family"]) <= {"door", "hammer"}

    def test_the_packaged_recipe_is_of_1_4_million_parameters(self) -> None:
        config = load("sound-judge", JudgeRecipe).model
        assert not config.families
        judge = SoundJudge(replace(config, families=("door",) * 22, materials=("wood",) * 11))
        assert sum(value.numel() for value in judge.parameters()) == 1_411_493

    @pytest.mark.parametrize(
        ("change", "fact"),
        [({"num_mels": 40}, "40 mels"), ({"widths": (8,)}, "widths"), ({"dropout": 1.0}, "dropout is 1")],
    )
    def test_a_network_that_cannot_be_is_explained(self, change: dict[str, Any], fact: str) -> None:
        with pytest.raises(BundleError, match=fact):
            replace(NAMED, **change)

    def test_without_names_there_is_no_judge(self) -> None:
        with pytest.raises(BundleError, match="no names"):
            SoundJudge(SMALL)


class TestSpoiling:
    def test_level_and_colour_change_and_silence_stays(self) -> None:
        mels = torch.full((3, 128, 8), 0.5)
        mels[:, :, :4] = 0.0
        changed = recoloured(mels, (-0.1, 0.1), 0.05, torch.Generator().manual_seed(0))
        assert torch.equal(changed[:, :, :4], mels[:, :, :4])
        assert len({round(float(mel[:, 4:].mean()), 4) for mel in changed}) == 3
        same = recoloured(mels, (0.1, 0.1), 0.0, torch.Generator().manual_seed(0))
        torch.testing.assert_close(same[:, :, 4:], mels[:, :, 4:] + 0.1)

    def test_a_band_and_a_stretch_are_blanked(self) -> None:
        for seed in range(20):
            kept = masked(torch.ones(32, 64), 5, 9, torch.Generator().manual_seed(seed))
            assert (kept.amax(1) == 0).sum() < 5
            assert (kept.amax(0) == 0).sum() < 9
        assert torch.equal(masked(torch.ones(4, 4), 0, 0, torch.Generator()), torch.ones(4, 4))

    def test_a_window_that_is_turned_holds_the_same(self) -> None:
        mel = torch.arange(16.0)[None]
        places = {int(turned(mel, torch.Generator().manual_seed(seed))[0, 0]) for seed in range(20)}
        assert len(places) > 5
        assert torch.equal(turned(mel, torch.Generator().manual_seed(1)).sort().values, mel)

    @pytest.mark.parametrize("change", [{"gain": (0.1, -0.1)}, {"noise": -1.0}, {"turned": 1.5}])
    def test_what_cannot_be_is_explained(self, change: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="gains that ascend"):
            MelSpoiling(**change)


class TestTraining:
    def test_it_names_what_it_has_heard(self, tmp_path: Path) -> None:
        """Sounds alone are enough, from two datasets; the names are those of the data."""
        data = [write_sounds(tmp_path / "first"), write_sounds(tmp_path / "second", 12)]
        judge_loop(LEARNING, data, tmp_path / "run", "cpu").run()
        namers = judges_of(tmp_path / "run", 128)
        assert namers["family"].labels == ("door", "drum", "hammer")
        assert namers["material"].labels == ("metal", "wood")
        dataset = SceneDataset(data[0])
        mels: list[ArrayLike] = [dataset.mels[clip.row] for clip in dataset.clips]
        assert namers["family"].predict(mels) == [clip.family for clip in dataset.clips]
        assert namers["material"].predict(mels) == [clip.material for clip in dataset.clips]

    def test_a_run_that_was_stopped_goes_on_to_the_bit(self, tmp_path: Path) -> None:
        data = [write_sounds(tmp_path / "data")]
        judge_loop(recipe(), data, tmp_path / "whole", "cpu").run()
        judge_loop(recipe(2), data, tmp_path / "parts", "cpu").run()
        judge_loop(recipe(), data, tmp_path / "parts", "cpu").run()
        whole, parts = (load_checkpoint(tmp_path / name / CHECKPOINT) for name in ("whole", "parts"))
        assert whole["step"] == parts["step"] == 4
        assert whole["model"].keys() == parts["model"].keys()
        assert all(torch.equal(value, parts["model"][name]) for name, value in whole["model"].items())

    def test_a_draw_is_of_windows_with_their_labels(self, tmp_path: Path) -> None:
        dataset = SceneDataset(write_sounds(tmp_path / "data"))
        decided = named_by(LEARNING, [dataset])
        decided = replace(decided, spoiling=replace(decided.spoiling, noise=0.0, turned=0.0))
        draw = make_draw([dataset], decided)
        mels, labels = draw(torch.Generator().manual_seed(0), 8)
        windows = labelled([dataset], decided.model.families, decided.model.materials)
        for mel, label in zip(mels, labels.tolist(), strict=True):
            assert tuple(label) in {window.labels for window in windows if torch.equal(window.mel(), mel)}
        assert len({tuple(label) for label in labels.tolist()}) > 1
        again = draw(torch.Generator().manual_seed(0), 8)
        assert torch.equal(again[0], mels)

    def test_a_run_keeps_its_names(self, tmp_path: Path) -> None:
        judge_loop(recipe(2), [write_sounds(tmp_path / "data")], tmp_path / "run", "cpu").run()
        with pytest.raises(UsageError, match="another recipe"):
            judge_loop(recipe(), [judging.write_scenes(tmp_path / "other")], tmp_path / "run", "cpu")

    def test_data_that_cannot_teach_it_is_refused(self, tmp_path: Path) -> None:
        held_out = judging.write_scenes(tmp_path / "held-out", TEST_SEEDS.start)
        with pytest.raises(UsageError, match="kept for tests"):
            judge_loop(recipe(), [held_out], tmp_path / "run", "cpu")
        sounds = write_sounds(tmp_path / "data")
        with pytest.raises(UsageError, match="sounds of drum and wood, which has no name"):
            judge_loop(replace(recipe(), model=NAMED), [sounds], tmp_path / "run", "cpu")
        wide = replace(recipe(), model=replace(SMALL, num_mels=64))
        with pytest.raises(UsageError, match="mels of 128 bands"):
            judge_loop(wide, [sounds], tmp_path / "run", "cpu")
        assert not (tmp_path / "run").exists()

    def test_the_command_trains_and_goes_on(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        import yaml

        data, file = write_sounds(tmp_path / "data"), tmp_path / "mine.yaml"
        file.write_text(yaml.safe_dump(plain(recipe())))
        command = ["train", "judge", "--data", str(data), "--recipe", str(file), "-o", str(tmp_path / "run")]
        assert app.run([*command, "--steps", "2"]) == 0
        assert app.run(command) == 0
        assert "goes on at step 2 of 4" in capsys.readouterr().err
        assert trained_judge(tmp_path / "run").config.families == ("door", "drum", "hammer")
        assert app.run(["train", "judge", "--recipe", "sound-tower", *command[2:4], *command[6:]]) == 2
        assert "a recipe for tower; choose from sound-judge" in " ".join(capsys.readouterr().err.split())


class Parrot:
    """Always says the same."""

    def __init__(self, word: str, *labels: str) -> None:
        self.word, self.labels = word, labels

    def predict(self, mels: Any) -> list[str]:
        return [self.word for _ in mels]


PARROTS: Namers = {"family": Parrot("door", "door", "hammer"), "material": Parrot("wood", "wood", "metal")}
SAID = {"family": ["door"] * 4, "material": ["wood"] * 4}


def clip(family: str, material: str) -> ClipRecord:
    return ClipRecord(0, 0, family, material, 25.0, [0.5], [1.0])


class TestAsTold:
    def test_names_that_are_not_known_are_left_out(self) -> None:
        door = PARROTS["family"]
        assert share_named(door, ["door"] * 3, ["door", "hammer", "dominoes"]) == 0.5
        assert share_named(door, ["door"] * 2, ["dominoes", None]) is None

    def test_sounds_are_named_as_they_are_and_as_they_were_called(self) -> None:
        clips = [clip("door", "wood"), clip("hammer", "metal"), clip("dominoes", "ceramic"), clip("hammer", "wood")]
        told = [("hammer", "metal"), ("door", "wood"), ("door", "wood"), (None, "ceramic")]
        found = named(PARROTS, SAID, clips, told)
        assert found == NamedShares(4, pytest.approx(1 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3), 2 / 3)
        assert found is not None
        assert table({"cues": found}).splitlines()[-1].split() == ["cues", "4", "0.333", "0.667", "0.667", "0.667"]
        assert named({}, {}, clips, told) is None

    def test_right_words_are_the_scene_and_wrong_ones_another(self) -> None:
        words = Words(("hammer", "door"), ("wood", "metal"))
        mine, wrong = clip("hammer", "ceramic"), ("door", "metal")
        assert words_for(Arm("picture"), mine, wrong, words) == (None, None)
        assert words_for(Arm("w", words="right"), mine, wrong, words) == ("hammer", None)
        assert words_for(Arm("w", words="wrong"), mine, wrong, words) == wrong


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of knocks and drums, and of a family that no judge has heard."""
    folder = tmp_path_factory.mktemp("scenes") / "held-out"
    families = ("knock", "drum", "dominoes")
    make(folder, DatasetConfig(count=3, first_seed=TEST_SEEDS.start, families=families, num_frames=32))
    return folder


class TestCommands:
    def test_cues_say_what_is_named_in_every_arm(
        self, run: Path, held_out: Path, told_bundle: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arms = ("picture, cues", "cues, words", "cues, wrong words")
        command = ["evaluate", "cues", "--data", str(held_out), "--model", str(told_bundle), "--judge", str(run)]
        command += [word for arm in arms for word in ("--arm", arm)]
        assert app.run([*command, "--json"]) == 0
        true, unsaid, right, wrong = json.loads(capsys.readouterr().out)["cues"]["arms"]
        assert set(true["named"]) == {"clips", "family", "material", "family_as_told", "material_as_told"}
        assert true["named"]["family_as_told"] is None is unsaid["named"]["family_as_told"]
        assert right["named"]["family_as_told"] == right["named"]["family"]
        assert wrong["named"]["family_as_told"] is not None
        known = {"knock": 1, "drum": 1, "dominoes": 0}
        for arm in (true, unsaid, right, wrong):
            hits = sum(arm["families"][family]["named"] for family in known)
            assert arm["named"]["family"] == hits / 2, "the family that is not known is left out"
            assert arm["named"]["clips"] == 3
        assert app.run(command) == 0
        text = capsys.readouterr().out
        assert "named              clips" in text
        assert "family as told" in text

    def test_without_a_judge_nothing_is_named(
        self, held_out: Path, told_bundle: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["evaluate", "cues", "--data", str(held_out), "--model", str(told_bundle), "--arm", "picture"]
        assert app.run([*command, "--json"]) == 0
        assert [arm["named"] for arm in json.loads(capsys.readouterr().out)["cues"]["arms"]] == [None, None]

    def test_scenes_are_named_too(
        self, run: Path, held_out: Path, told_bundle: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["evaluate", "scenes", "--data", str(held_out), "--model", str(told_bundle), "--json"]
        assert app.run([*command, "--judge", str(run)]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["family named"]["clips"] == 2
        left_out = report["scope"]["left_out"]["family named"]
        assert left_out == "1 of 3 clips left out: a name that the judge has not learnt"

    def test_voices_are_named_too(
        self, run: Path, held_out: Path, told_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shelf = library(tmp_path / "library", Made("knock.wav", "knock", None, 300, (0.3, 0.5)))
        command = ["evaluate", "voices", str(shelf), "--data", str(held_out), "--model", str(told_bundle), "--json"]
        assert app.run([*command, "--judge", str(run)]) == 0
        report = json.loads(capsys.readouterr().out)["voices"]
        assert 0 <= report["true_family"] <= 1
        assert all(0 <= voice["family"] <= 1 for voice in report["voices"])

    @pytest.mark.parametrize("measure", [("scenes",), ("cues",), ("voices", "library")])
    def test_one_judge_at_a_time(
        self, measure: tuple[str, ...], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert app.run(["evaluate", *measure, "--judge", str(run), "--train-data", str(tmp_path)]) == 2
        assert "--train-data and --judge both say who names the sounds" in capsys.readouterr().err

    def test_a_folder_that_is_no_judge_is_explained(
        self, run: Path, held_out: Path, told_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["evaluate", "cues", "--data", str(held_out), "--model", str(told_bundle), "--judge"]
        assert app.run([*command, str(tmp_path)]) == 2
        assert f"{tmp_path}: holds no training run" in capsys.readouterr().err
        assert app.run([*command, str(held_out)]) == 2
        assert "holds no training run but a dataset of scenes" in capsys.readouterr().err
        with pytest.raises(UsageError, match="hears mels of 128 bands, the bundle's have 80"):
            judges_of(run, 80)
        clips = ["evaluate", "cues", str(tmp_path), "--judge", str(run)]
        assert app.run(clips) == 2
        assert "--judge and --attempts are for scenes, and clips are given" in capsys.readouterr().err
