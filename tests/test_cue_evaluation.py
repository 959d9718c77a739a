"""What evaluate cues compares and measures, on sounds whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foleygen.cues import measured
from foleygen.cues.measured import NOT, Family, Measured
from foleygen.engines.foley import Engine
from foleygen.errors import SetupError, UsageError
from foleygen.evaluation.cues.arms import (
    ARMS,
    Arm,
    chosen_arms,
    cues_of,
    other_row,
    other_word,
    seen_track,
    track_for,
)
from foleygen.evaluation.cues.families import TRUE, FamilyScore, by_family, table
from foleygen.evaluation.cues.families import measured as measured_of
from foleygen.evaluation.cues.filmed import _mean
from foleygen.evaluation.cues.gallery import SCENES, Gallery
from foleygen.evaluation.cues.level import hit_levels, level_of
from foleygen.evaluation.cues.scenes import Heard, _strength
from foleygen.evaluation.generated import Generated, sync_report
from foleygen.evaluation.probe import Probe
from foleygen.evaluation.spectrograms import CELL, DPI
from foleygen.features.cues import CueGrid, Words
from foleygen.pipeline import sight
from foleygen.pipeline.hits import Hit
from foleygen.training.data.dataset import ClipRecord
from foleygen.weights import store
from foleygen.weights.bundle import Bundle

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


# By family


def made(record: ClipRecord, onsets: list[float], level: float) -> Generated:
    mel = np.full((128, 512), level, np.float32)
    times = [time for time, strength in zip(record.times, record.strengths, strict=True) if strength >= 0.15]
    return Generated(record, mel, mel, np.array(onsets), np.array(times))


HEARD = [
    made(clip(0), [2.0, 3.0], 0.2),
    made(clip(1, "door", "metal", (1.0, 2.0, 3.0)), [2.0, 3.0], 0.8),
    made(clip(2, "rain", "water", ()), [], 0.2),
]


def test_each_family_has_its_score_and_those_without_events_have_none() -> None:
    judge = Probe.fit([np.full((128, 512), 0.2 + 0.6 * (n % 2)) for n in range(4)], ["hammer", "door"] * 2)
    found = by_family(HEARD, sync_report(HEARD, 8.192).families, judge.predict([one.mel for one in HEARD]))
    assert found == {
        "door": FamilyScore(1, 2, 1.0, 1, 1),
        "hammer": FamilyScore(1, 1, pytest.approx(2 / 3), 1, 1),
        "rain": FamilyScore(0, 0, None, 1, 0),
    }
    unjudged = by_family(HEARD, sync_report(HEARD, 8.192).families)
    assert unjudged["door"].named is None
    assert "named rightly" not in table({"cues": unjudged})
    lines = table({TRUE: found, "cues": found}).splitlines()
    assert lines[2].split() == ["door", "1", "2", "1.000", "1.000"]
    assert lines[-1].split() == ["rain", "1", "0.000", "0.000"]


def test_what_sounds_shows_is_what_was_measured(tmp_path: Path, told_bundle: Path) -> None:
    bundle = store.load(told_bundle, Bundle)
    found = by_family(HEARD, sync_report(HEARD, 8.192).families)
    path = tmp_path / "measured.yaml"
    measured.write(path, measured_of({TRUE: found, "cues": found}, "cues", bundle))
    again = measured.measured(path)
    assert (again.model, again.bundle, again.arm) == (bundle.name, bundle.hash, "cues")
    assert again.families["hammer"] == Family(1, 1, 0.667, 1)
    path.write_text("model: a\nbundle: b\narm: c\nfamilies: {door: {clips: x}}\n")
    measured.measured.cache_clear()
    with pytest.raises(SetupError, match=r"door: clips is 'x', not a whole number"):
        measured.measured(path)


@pytest.mark.parametrize(
    ("family", "says"),
    [
        (Family(2, 30, 1.0, 2), NOT),
        (Family(0, 0, None, 9), NOT),
        (Family(3, 30, 0.954, 3), "0.95 of 30 hits"),
        (Family(3, 30, 0.954, 4, 3, 1), "0.95 of 30 hits, named: 1 of 4 (true 3)"),
        (Family(0, 0, None, 3, 3, 2), "named: 2 of 3 (true 3)"),
    ],
)
def test_too_few_clips_say_nothing(family: Family, says: str) -> None:
    assert family.says == says


def test_the_table_in_the_package_is_of_known_families() -> None:
    from foleygen.cues.words import table as known

    found = measured.measured()
    assert isinstance(found, Measured)
    assert set(found.families) <= set(known().families)
    assert all(one.clips <= one.sounds and (one.followed is None) == (one.hits == 0) for one in found.families.values())


def test_seen_cues_are_those_of_add_sound(told_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine.load(store.load(told_bundle, Bundle), "cpu", "fp32")
    spec = engine.bundle.encoder
    frames = np.zeros((spec.num_frames, spec.frame_size, spec.frame_size, 3), np.uint8)
    features = np.zeros((spec.num_features, spec.feature_dim), np.float32)
    for confidence, known in ((0.9, True), (0.6, False)):
        monkeypatch.setattr(sight, "hits", lambda *_, sure=confidence: [Hit(0.5, sure)])
        track = seen_track(frames, features, engine)
        assert track is not None
        assert track.presence.max() == pytest.approx(1, abs=0.2)
        assert track.known.all() == known, "where no cue is sure the picture may add"
    monkeypatch.setattr(sight, "hits", lambda *_: [])
    assert seen_track(frames, features, engine) is None
