"""What evaluate cues compares and measures, on sounds whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foleygen.errors import UsageError
from foleygen.evaluation.cues.arms import ARMS, Arm, chosen_arms, cues_of, track_for
from foleygen.evaluation.cues.filmed import _mean
from foleygen.evaluation.cues.gallery import SCENES, Gallery
from foleygen.evaluation.cues.level import hit_levels, level_of
from foleygen.evaluation.cues.scenes import Heard, _strength, other_row, other_word
from foleygen.evaluation.generated import Generated
from foleygen.evaluation.spectrograms import CELL, DPI
from foleygen.features.cues import CueGrid, Words
from foleygen.training.data.dataset import ClipRecord

GRID = CueGrid(frames=128, frame_s=0.064)
WORDS = Words(("hammer", "door", "rain"), ("wood", "metal", "water"))


def clip(row: int, family: str = "hammer", material: str = "wood", times: tuple[float, ...] = (1.0, 2.0)) -> ClipRecord:
    strengths = [0.1 + 0.4 * number for number in range(len(times))]
    return ClipRecord(row, row, family, material, 25.0, list(times), strengths)


def test_arms_are_chosen_by_name_and_guidance() -> None:
    assert [arm.name for arm in chosen_arms()] == [arm.name for arm in ARMS]
    assert [arm.says for arm in chosen_arms(["cues"], [1.0, 1.5])] == ["cues, guidance 1", "cues, guidance 1.5"]
    with pytest.raises(UsageError, match="no such arm"):
        chosen_arms(["cue"])


def test_an_arm_tells_what_it_says() -> None:
    mine, wrong = clip(0), ("door", "metal")
    assert track_for(Arm("picture"), mine, wrong, GRID, WORDS) is None
    told = track_for(Arm("cues", "none", cues=True, words="right"), mine, wrong, GRID, WORDS)
    assert told is not None
    assert told.known.all()
    assert set(told.family.tolist()) == {1}
    assert not told.picture
    lied = track_for(Arm("words", words="wrong"), mine, wrong, GRID, WORDS)
    assert lied is not None
    assert not lied.known.any()
    assert set(lied.material.tolist()) == {2}


def test_a_clip_without_events_is_not_told_that_nothing_happens() -> None:
    rain = clip(0, "rain", "water", ())
    assert track_for(Arm("picture, cues", cues=True), rain, ("door", "wood"), GRID, WORDS) is None
    blind = track_for(Arm("cues", "none", cues=True), rain, ("door", "wood"), GRID, WORDS)
    assert blind is not None
    assert not blind.known.any()


def test_words_that_the_bundle_has_not_learnt_are_not_said() -> None:
    track = track_for(Arm("w", words="right"), clip(0, "dominoes", "ceramic"), ("door", "wood"), GRID, WORDS)
    assert track is None


def test_weak_events_are_no_cues() -> None:
    assert [cue.strength for cue in cues_of(clip(0))] == [0.5]


def test_another_picture_is_of_the_family_unless_words_say_which() -> None:
    clips = [clip(0), clip(1, "door", "metal"), clip(2), clip(3, "rain", "water")]
    assert other_row(clips, 0, same_family=True) == 2
    assert other_row(clips, 0, same_family=False) == 1
    assert other_row(clips, 3, same_family=True) == 0
    assert other_word(clips, 0) == 1
    assert other_word(clips, 3) == 0


def test_levels_go_beyond_full_scale() -> None:
    tone = np.sin(2 * np.pi * 997 * np.arange(48000) / 16000).astype(np.float32)
    quiet, loud = level_of(0.1 * tone, 16000), level_of(4 * tone, 16000)
    assert quiet.peak_db == pytest.approx(-20, abs=0.1)
    assert loud.peak_db == pytest.approx(12.04, abs=0.1)
    assert quiet.lufs is not None
    assert loud.lufs is not None
    assert loud.lufs - quiet.lufs == pytest.approx(32.04, abs=0.2)
    assert loud.delivered_lufs == pytest.approx((loud.lufs or 0) - loud.peak_db - 1)
    assert quiet.delivered_lufs == quiet.lufs
    silence = level_of(np.zeros(16000, np.float32), 16000)
    assert silence.lufs is None
    assert silence.delivered_lufs is None


def test_the_level_of_a_hit_is_the_power_after_it() -> None:
    mel = np.full((128, 512), 0.1, np.float32)
    mel[:, 63:69] = 0.5  # 1 s to 1.1 s
    first, second = hit_levels(mel, [1.0, 3.0], 62.5)
    assert first == pytest.approx(50, abs=1.5)
    assert second == pytest.approx(10, abs=0.1)


def test_strengths_need_hits_that_differ() -> None:
    assert _strength([]) is None


def test_filmed_means_have_a_spread() -> None:
    rows = np.array([[4, 0.9, 0.1, 1.0, 0.2, 1.0], [6, 0.7, 0.1, 0.8, 0.2, 0.5]])
    mean = _mean("cues", rows)
    assert (mean.clips, mean.cues) == (2, 10)
    assert mean.over_null_100ms == pytest.approx(0.7)
    assert mean.standard_error == pytest.approx(0.1)
    assert _mean("cues", rows[:1]).standard_error is None


def heard(row: int, level: float) -> Heard:
    mel, nothing = np.full((16, 64), level, np.float32), np.zeros(0)
    made = Generated(clip(row), mel, mel, np.zeros(0), np.array([1.0, 2.0]))
    return Heard(made, level_of(np.zeros(1600, np.float32), 16000), nothing, nothing)


def test_arms_are_drawn_side_by_side(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    gallery = Gallery(seconds=4.0)
    gallery.add("true sounds", [heard(row, 0.0) for row in range(12)])
    gallery.add("picture, cues", [heard(row, 1.0) for row in range(12)])
    gallery.draw(tmp_path / "arms.png")
    with Image.open(tmp_path / "arms.png") as picture:
        width, height = picture.size
        pixels = np.asarray(picture.convert("L"), np.float64)
    assert (width, height) == (round(2 * CELL[0] * DPI), round(SCENES * CELL[1] * DPI))
    left, right = pixels[:, width // 8 : width // 2 - width // 8], pixels[:, width // 2 + width // 8 : -width // 8]
    assert left.mean() + 100 < right.mean()
