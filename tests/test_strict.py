"""Text, YAML and JSON that people hand in: what is refused, and in how many words."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foleygen.errors import SetupError, UsageError
from foleygen.strict import (
    MOST_BYTES,
    Reader,
    did_you_mean,
    file_text,
    json_document,
    shortened,
    shown,
    yaml_document,
)

READERS: list[Callable[..., object]] = [file_text, yaml_document, json_document]
LONGEST = 300


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[int, ...] = ()


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "part.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_text_is_said(reader: Callable[..., object], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"none: does not exist; make one"):
        reader(tmp_path / "none", SetupError, "make one")
    with pytest.raises(SetupError, match=r"is a folder, not a file; make one"):
        reader(tmp_path, SetupError, "make one")
    with pytest.raises(SetupError, match=r"part.yaml: is not UTF-8 text"):
        reader(written(tmp_path, b"a: \xff\n"), SetupError)
    with pytest.raises(SetupError, match=r"part.yaml: has more than 1 MiB"):
        reader(written(tmp_path, b"#" * (MOST_BYTES + 1)), SetupError)
    with pytest.raises(SetupError, match=r"cannot be read \(its name cannot be one\)"):
        reader(Path("a\0b"), SetupError)


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_not_waited_for(reader: Callable[..., object], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is not a regular file"):
        reader(tmp_path / "pipe", UsageError)


def test_the_mark_that_some_editors_begin_with_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffname: rain\n")
    assert file_text(path, UsageError) == "name: rain\n"
    assert yaml_document(path, UsageError) == {"name": "rain"}


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("a: &a [1]\nb: *a\n", "line 2 (aliases are not taken)"),
        ("a: 1\nb: 2\na: 3\n", "line 3 (the key 'a' stands twice)"),
        ("a: {b: 1, 'b': 2}\n", "line 1 (the key 'b' stands twice)"),
        ("<<: {a: 1}\nb: 2\n", "line 1 (keys are not merged with <<)"),
        ("a: [\n", "line 2 ("),
        ("a: !!python/object/apply:os.system [ls]\n", "line 1 ("),
        ("a: 1" + "0" * 5000 + "\n", "("),
        ("[" * 5000, "("),
        ("a: \x01\n", "("),
        ("- " + "x" * 1000 + ": [" * 3 + "\n", "("),
    ],
)
def test_yaml_that_is_refused_is_one_short_sentence(text: str, fact: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        yaml_document(written(tmp_path, text), UsageError)
    message = raised.value.message
    assert message.startswith(f"{tmp_path / 'part.yaml'}: is not valid YAML")
    assert fact in message
    assert len(message) - len(str(tmp_path)) < LONGEST
    assert "\n" not in message


def test_an_anchor_that_nobody_uses_is_nothing(tmp_path: Path) -> None:
    assert yaml_document(written(tmp_path, "a: &a 1\nb: [{a: 1}, {a: 2}]\n"), UsageError) == {
        "a": 1, "b": [{"a": 1}, {"a": 2}]
    }  # fmt: skip


@pytest.mark.parametrize("content", ["{", "", "\n", "[" * 100_000, "{'a': 1}"])
def test_json_that_is_refused_is_one_short_sentence(content: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"part.yaml: is (empty|not valid JSON)") as raised:
        json_document(written(tmp_path, content), UsageError)
    assert len(raised.value.message) - len(str(tmp_path)) < LONGEST


@pytest.mark.parametrize(
    "content",
    [
        {"name": "x" * 10_000, "sizes": 3},
        {"name": 10**5000},
        {"name": [10**5000]},
        {"name": "x", "n" * 10_000: 1},
        {"name": "x", 10**5000: 1},
        {"name": "x", "sizes": [1, "y" * 10_000]},
    ],
)
def test_values_in_messages_are_cut_short(content: dict[object, object]) -> None:
    with pytest.raises(UsageError) as raised:
        Reader(UsageError).section(Part, content, "part.yaml")
    assert len(str(raised.value)) < LONGEST


@given(st.text(max_size=300))
def test_shortened_is_one_line_and_keeps_what_is_short(text: str) -> None:
    line = shortened(text, 80)
    assert len(line) <= 80
    assert len(line.splitlines()) <= 1
    if len(" ".join(text.split())) <= 80:
        assert line == " ".join(text.split())


def test_a_long_word_is_not_compared_for_minutes() -> None:
    assert did_you_mean("seed" + "d" * 10**6, ["seed", "steps"])
    assert shown("a" * 10**6).endswith("...")
