"""audio.level: what is asked for, and the one gain that comes nearest to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from foleygen.audio.level import PRESETS, LoudnessTarget, gain_db, target
from foleygen.cli import config
from foleygen.errors import UsageError
from foleygen.facts import Loudness
from foleygen.settings import LOUDNESS_PRESETS

LEVELS = st.floats(-70, 10)


def test_presets_are_those_that_the_options_know() -> None:
    assert tuple(PRESETS) == LOUDNESS_PRESETS


@pytest.mark.parametrize(
    ("text", "true_peak", "expected"),
    [
        ("ebu", None, LoudnessTarget(-23, -1)),
        ("atsc", None, LoudnessTarget(-24, -2)),
        ("podcast", None, LoudnessTarget(-16, -2)),
        ("streaming", None, LoudnessTarget(-14, -2)),
        ("ebu", -3.0, LoudnessTarget(-23, -3)),
        ("-18.5", None, LoudnessTarget(-18.5, -1)),
        ("-18.5", 0.0, LoudnessTarget(-18.5, 0)),
        ("off", None, None),
        (None, -3.0, None),
    ],
)
def test_targets(text: str | None, true_peak: float | None, expected: LoudnessTarget | None) -> None:
    assert target(text, true_peak) == expected


@pytest.mark.parametrize("text", ["loud", "", "nan", "-inf"])
def test_another_word_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(UsageError, match=r"off, ebu, atsc, podcast, streaming, or LUFS"):
        target(text)


@given(integrated=LEVELS, peak=st.floats(-60, 6), lufs=st.floats(-40, -5), ceiling=st.floats(-20, 0))
def test_the_target_is_met_or_the_ceiling_is(integrated: float, peak: float, lufs: float, ceiling: float) -> None:
    found = Loudness(integrated, 0.0, peak)
    gain, note = gain_db(found, LoudnessTarget(lufs, ceiling))
    after = found.after(gain)
    assert after.true_peak_dbtp is not None
    assert after.integrated_lufs is not None
    assert after.true_peak_dbtp <= ceiling + 1e-9
    assert after.integrated_lufs <= lufs + 1e-9
    reaches = after.integrated_lufs == pytest.approx(lufs, abs=0.01)
    assert reaches or after.true_peak_dbtp == pytest.approx(ceiling, abs=0.0312)
    assert reaches == (note is None)


def test_the_ceiling_is_told() -> None:
    gain, note = gain_db(Loudness(-30, 5, -6), LoudnessTarget(-16, -2))
    assert gain == pytest.approx(3.97)
    assert note == "is at -26.0 LUFS instead of -16: more gain would lift its true peak above -2 dBTP"


def test_silence_and_short_sounds_are_told() -> None:
    ebu = LoudnessTarget(-23, -1)
    gain, note = gain_db(Loudness(None, None, None), ebu)
    assert (gain, note) == (0, "is silent, so its level was left as it is")
    gain, note = gain_db(Loudness(None, None, -10), ebu)
    assert gain == 0
    assert note is not None
    assert note.endswith("was left as it is")
    gain, note = gain_db(Loudness(None, None, 0.5), ebu)
    assert gain == pytest.approx(-1.53)
    assert note is not None
    assert "lowered by 1.5 dB" in note


@pytest.mark.parametrize(
    ("value", "expected"),
    [("ebu", "ebu"), ("EBU", "ebu"), ("-23", "-23"), (-18.5, "-18.5"), ("off", None), (False, None), (None, None)],
)
def test_what_the_option_takes(value: object, expected: str | None) -> None:
    assert config.convert("loudness", value, "--loudness") == expected


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("23", "did you mean -23?"),
        ("ebuu", "did you mean 'ebu'?"),
        ("xyz", "choose from atsc, ebu, off, podcast, streaming"),
        (900, "a number such as -23"),
        (True, "correct the value"),
    ],
)
def test_what_the_option_refuses(value: object, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        config.convert("loudness", value, "--loudness")
    assert "off, ebu, atsc, podcast, streaming, or LUFS from -70 to 0" in str(caught.value)
    assert remedy in caught.value.remedy


def test_a_yaml_file_may_turn_it_off(tmp_path: Path) -> None:
    (tmp_path / "foleygen.yaml").write_text("loudness: off\n")
    assert config.load({}, {}, tmp_path).loudness is None


@given(text=st.text(max_size=12))
def test_whatever_is_typed_is_a_target_or_a_usage_error(text: str) -> None:
    assume(text != "off")
    try:
        kept = config.convert("loudness", text, "--loudness")
    except UsageError:
        return
    assert isinstance(kept, str)
    assert target(kept) is not None
