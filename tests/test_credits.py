"""Every recording that a training learnt from is credited to its author, once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foleygen.errors import UsageError
from foleygen.training.data.credits import Recording, credits_of, markdown, read_manifest

HEADER = "file\tclass\tseconds\tsample_rate\tfold\tlicence\tauthor\tsource\trepository"
ROWS = (
    "dog.ogg\tdog\t5.00\t44100\ttrain\tCC0-1.0\tAda_L\thttp://sounds.example/ada/1\tpack/one@abc",
    "cat.ogg\tcat\t7.00\t44100\ttrain\tCC0-1.0\tbert\thttp://sounds.example/b(2)\tpack/one@abc",
    "hen.ogg\then\t9.00\t44100\ttest\tCC0-1.0\tnobody heard\thttp://sounds.example/3\tpack/one@abc",
    "kick.ogg\tdrum\t0.50\t44100\ttrain\tCC0-1.0\t?\tetc/README.md\tpack/two",
    "snare.ogg\tdrum\t0.50\t44100\ttrain\tCC0-1.0\tAda_L\tsnares [old]\tpack/two",
)
FIELD = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=12)


def written(folder: Path, rows: Sequence[str], header: str = HEADER) -> Path:
    path = folder / "manifest.tsv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_the_whole_text(tmp_path: Path) -> None:
    assert credits_of(written(tmp_path, ROWS)) == (
        "## Recordings\n\n"
        "The weights learnt from 4 recordings, 0.2 minutes in all (CC0-1.0). Thanks to those who made and gave them:\n"
        "\n### pack/one@abc (CC0-1.0)\n\n"
        "- Ada\\_L: <http://sounds.example/ada/1>\n"
        "- bert: <http://sounds.example/b(2)>\n"
        "\n### pack/two (CC0-1.0)\n\n"
        "- Ada\\_L: `snare.ogg` (snares \\[old\\])\n"
        "- author not known: `kick.ogg` (etc/README.md)\n"
    )


def test_only_the_fold_that_was_learnt_from(tmp_path: Path) -> None:
    manifest = written(tmp_path, ROWS)
    assert "hen.ogg" not in credits_of(manifest)
    assert [recording.author for recording in read_manifest(manifest, "test")] == ["nobody heard"]


def test_the_order_of_the_manifest_does_not_matter(tmp_path: Path) -> None:
    first = credits_of(written(tmp_path, ROWS))
    assert credits_of(written(tmp_path, ROWS[::-1])) == first


@given(st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=12))
def test_every_recording_is_named_once_behind_its_author(owed: list[tuple[str, str, str]]) -> None:
    recordings = [
        Recording(f"sound-{index:02d}.ogg", 1.0, "CC0-1.0", author.strip(), source.strip(), pack.strip())
        for index, (author, source, pack) in enumerate(owed)
    ]
    lines = [(line, expanded(line)) for line in markdown(recordings).splitlines()]
    for recording in recordings:
        (line,) = (line for line, files in lines if recording.file in files)
        assert sum(files.count(recording.file) for _, files in lines) == 1
        if recording.author.isalnum():
            assert line.startswith(f"- {recording.author}: ")


def test_a_page_stands_for_its_recordings() -> None:
    page = "https://sounds.example/s/7/"
    recordings = [Recording(f"{name}.ogg", 1.0, "CC0-1.0", "Ada", page, "pack") for name in ("a", "b")]
    assert f"- Ada: <{page}> (2 sounds)\n" in markdown(recordings)
    assert f"- Ada: <{page}>\n" in markdown(recordings[:1])


def expanded(line: str) -> list[str]:
    """The file names of a line, braces expanded as a shell would."""
    files: list[str] = []
    for quoted in re.findall(r"(?<!\\)`([^`]*)`", line):
        if match := re.fullmatch(r"(.*?)\{(.*)\}(.*)", quoted):
            files += [match[1] + middle + match[3] for middle in match[2].split(",")]
        else:
            files.append(quoted)
    return files


def test_a_manifest_without_a_column_is_refused(tmp_path: Path) -> None:
    manifest = written(tmp_path, [], HEADER.replace("author", "maker"))
    with pytest.raises(UsageError, match=r"manifest.tsv: has no column 'author'"):
        read_manifest(manifest)


@pytest.mark.parametrize(
    ("row", "fact"),
    [
        ("a.ogg\tx\tlong\t1\ttrain\tCC0-1.0\tada\t\tpack", "line 2 has seconds 'long'"),
        ("\tx\t1.0\t1\ttrain\tCC0-1.0\tada\t\tpack", "line 2 names no file"),
        ("a.ogg\tx\t1.0\t1\ttest\tCC0-1.0\tada\t\tpack", "has no recording of the fold 'train'"),
    ],
)
def test_what_a_manifest_may_get_wrong(tmp_path: Path, row: str, fact: str) -> None:
    with pytest.raises(UsageError, match=fact):
        read_manifest(written(tmp_path, [row]))


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_manifest(tmp_path / "manifest.tsv")
