"""Words that no table has, understood by what is nearest in meaning: with vectors whose answers are known, and with the
real classes at random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from foleygen.batch.telling import understood
from foleygen.cli.app import run
from foleygen.cues.words import Sound, has_unknown, phrases, understand
from foleygen.engines import meaning
from foleygen.engines.meaning import PROMPT, nearest, nearest_by, threshold
from foleygen.errors import ExitCode
from foleygen.models.clap import Clap, load_clap
from foleygen.settings import Settings

GLASS, DOOR, RAIN = Sound(None, "glass"), Sound("door", None), Sound("rain", None)
MakeClip = Callable[..., Path]


class Meanings:
    """Stands for a CLAP that has understood the table: what means the same lies in one direction, a little apart."""

    def __init__(self, **others: Sound) -> None:
        self._others = others

    def text(self, prompts: Sequence[str]) -> Tensor:
        known, places = phrases(), list(dict.fromkeys(phrases().values()))
        vectors = []
        for number, prompt in enumerate(prompts):
            word = prompt.removeprefix(PROMPT.split("{")[0]).removesuffix(".")
            vector = 0.3 * torch.randn(512, generator=torch.Generator().manual_seed(number)) / 512**0.5
            found = known.get(word, self._others.get(word))
            vector[places.index(found) if found is not None else 500] += 1
            vectors.append(vector)
        return torch.nn.functional.normalize(torch.stack(vectors), dim=-1)


def by(fake: Meanings, text: str) -> str | None:
    return nearest_by(fake, text)  # type: ignore[arg-type]


def test_what_means_the_same_is_found_and_what_means_nothing_known_is_not() -> None:
    fake = Meanings(tumbler=GLASS, portal=DOOR, teacup=Sound("crockery", "ceramic"))
    assert by(fake, "tumbler") == "glass"
    assert by(fake, "portal") == "door"
    assert by(fake, "teacup") == "ceramic crockery"
    assert by(fake, "theremin") is None
    for found in ("glass", "door", "ceramic crockery"):
        understand(found)


def test_the_threshold_is_where_nine_of_ten_are_right() -> None:
    angles = np.deg2rad([0, 1, 90, 93, 180, 187, 191])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    right = [GLASS, GLASS, DOOR, DOOR, RAIN, RAIN, RAIN]
    least = threshold(vectors, right)
    assert least == pytest.approx(np.cos(np.deg2rad(7)), abs=1e-4)
    wrong = [GLASS, GLASS, DOOR, DOOR, RAIN, GLASS, RAIN]
    assert threshold(vectors, wrong) == pytest.approx(np.cos(np.deg2rad(3)), abs=1e-4)
    assert threshold(vectors, [GLASS, DOOR, GLASS, DOOR, GLASS, DOOR, GLASS]) is None
    assert threshold(vectors[:2], [GLASS, DOOR]) is None, "what nothing else means cannot be looked for"


@pytest.mark.parametrize(
    ("text", "is_foreign"),
    [("glass bottle", False), ("door hammer", False), ("the of", False), ("glass tumbler", True)],
)
def test_only_words_of_no_table_are_looked_for(text: str, is_foreign: bool) -> None:
    assert has_unknown(text) == is_foreign


def test_settings_get_words_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "nearest", lambda text: {"tumbler": "glass"}.get(text))
    settings, said = understood(Settings(sound="tumbler"))
    assert (settings.sound, said) == ("glass", "--sound 'tumbler': understood as glass, nearest in meaning")
    for sound in ("theremin", "glass bottle", "sounds.yaml", None):
        assert understood(Settings(sound=sound)) == (Settings(sound=sound), None)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with CLAP in it: the real classes at a small size, with random weights."""
    from clap_files import save_clap

    folder = tmp_path_factory.mktemp("data")
    save_clap(folder / "models" / "clap")
    return folder


def test_the_real_classes_answer_alike_each_time(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLEYGEN_DATA_DIR", str(data))
    clap = load_clap(data / "models" / "clap")
    assert isinstance(clap, Clap)
    assert nearest("tumbler") == nearest_by(clap, "tumbler")
    assert nearest(" ") is None
    monkeypatch.setattr(meaning, "RIGHT", 0.0)
    found = nearest("tumbler")
    assert found is not None, "where anything is near enough there is always an answer"
    understand(found)
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    assert nearest("tumbler") is None
    monkeypatch.setenv("FOLEYGEN_DATA_DIR", str(data / "empty"))
    assert nearest("tumbler") is None


def test_a_run_says_how_it_has_understood(
    tmp_path: Path,
    make_clip: MakeClip,
    told_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(meaning, "nearest", lambda text: {"tumbler": "glass"}.get(text))
    make_clip(tmp_path / "a.mp4")
    assert run(["add-sound", "a.mp4", "--model", str(told_bundle), "--sound", "tumbler", "-n"]) == ExitCode.OK
    assert "--sound 'tumbler': understood as glass, nearest in meaning\n" in capfd.readouterr().err
    assert run(["preview", "a.mp4", "--model", str(told_bundle), "--sound", "tumbler"]) == ExitCode.OK
    assert "--sound 'tumbler': understood as glass, nearest in meaning\n" in capfd.readouterr().err
    assert run(["sounds", "tumbler", "--json"]) == ExitCode.OK
    out, err = capfd.readouterr()
    assert '"material": "glass"' in out
    assert err == "'tumbler': understood as glass, nearest in meaning\n"
    assert run(["add-sound", "a.mp4", "--model", str(told_bundle), "--sound", "theremin", "-n"]) == ExitCode.USAGE
    assert "the word 'theremin' is not known" in capfd.readouterr().err
