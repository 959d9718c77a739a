"""``foleygen review``: what is known of a folder, as a page that lies beside it."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import write_clip
from finished import finish
from reviewing import STRANGE, folder_of

from foleygen.cli.app import run
from foleygen.errors import ClipError, ExitCode, NoClipsError, UsageError
from foleygen.media import jpeg
from foleygen.media.glance import SIDE, glance
from foleygen.media.probe import probe
from foleygen.record import sidecar, takes
from foleygen.review import folder as folders
from foleygen.review import page, pictures, sheet
from foleygen.review.clip import Facts
from foleygen.review.seen import Seen
from foleygen.review.spectrogram import BANDS, COLUMNS, drawn

Ran = tuple[int, str, str]
HEAD = b"seconds,timecode,strength,confidence,sound\r\n"


@pytest.fixture
def foleygen(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def call(*arguments: str | Path) -> Ran:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return call


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory, random_bundle: Path) -> Path:
    """A folder that no test changes."""
    folder = tmp_path_factory.mktemp("reviewed")
    folder_of(folder, random_bundle)
    return folder


def known(folder: Path) -> dict[str, Facts]:
    """All clips of a folder, by name."""
    found = [folders.facts_of(output, folder) for output in folders.outputs(folder)]
    return {facts.name: facts for facts in found if facts is not None}


class Elements(HTMLParser):
    """The elements of a page and the text of its scripts, as a browser parses them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.texts: dict[str, str] = {}
        self._id: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self._id = dict(attrs).get("id") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._id is not None:
            self.texts[self._id] = self.texts.get(self._id, "") + data


# What is known


def test_a_folder_is_told_from_its_sidecars_and_error_records(reviewed: Path) -> None:
    clips = known(reviewed)
    assert list(clips) == [
        STRANGE.replace(".mp4", ".foley.mp4"),
        "broken.foley.mp4",
        "door.foley.mp4",
        "step 2.foley.mp4",
    ]
    door, step = clips["door.foley.mp4"], clips["step 2.foley.mp4"]
    assert (door.state, door.seconds, door.rate, door.first, door.drop) == ("done", 2.0, (25, 1), 90000, False)
    assert (door.picked, [take.file for take in door.takes], door.own) == (1, [True] * 3, "door.mp4")
    assert (door.width, door.height, door.model, door.licence, door.commercial) == (64, 48, "noise", "CC0-1.0", True)
    assert door.lufs is not None
    assert door.takes[2].lufs is not None
    assert door.lufs > door.takes[2].lufs
    assert (step.folder, step.path, step.own) == ("more", "more/step%202.foley.mp4", "")
    broken = clips["broken.foley.mp4"]
    assert (broken.state, broken.reason) == ("failed", "broken.mp4: holds no picture data")
    assert (broken.remedy, broken.takes) == ("copy or export it again", ())


def test_levels_are_those_of_the_finished_clip(tmp_path: Path, random_bundle: Path) -> None:
    from foleygen.settings import Settings

    finish(tmp_path, random_bundle, name="loud.mp4", takes=1, settings=Settings(loudness="-30"))
    (clip,) = known(tmp_path).values()
    assert clip.lufs == pytest.approx(-30, abs=0.1)


def gone(output: Path, source: Path) -> None:
    output.unlink()


def changed(output: Path, source: Path) -> None:
    output.write_bytes(output.read_bytes() + b"\0")


def moved(output: Path, source: Path) -> None:
    source.unlink()


def cued(output: Path, source: Path) -> None:
    output.with_name("shot.cues.csv").write_bytes(HEAD + b"0.5,,,,\r\n")


def cued_wrongly(output: Path, source: Path) -> None:
    output.with_name("shot.cues.csv").write_bytes(HEAD + b"99,,,,\r\n")


def of_another_version(output: Path, source: Path) -> None:
    path = sidecar.path_for(output)
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        (gone, "the finished clip is not there"),
        (changed, "the finished clip was changed since it was made"),
        (moved, "its source is not where it was"),
        (cued, "its cues are newer than its sound"),
        (cued_wrongly, "shot.cues.csv: its time lies outside of shot.mp4"),
        (of_another_version, "its sidecar is of another version"),
    ],
)
def test_what_is_stale_says_why(
    do: Callable[[Path, Path], None], reason: str, tmp_path: Path, random_bundle: Path
) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=1)
    assert known(tmp_path)["shot.foley.mp4"].state == "done"
    do(made.output, made.source)
    clip = known(tmp_path)["shot.foley.mp4"]
    assert clip.state == "stale"
    assert reason in clip.reason
    assert clip.remedy


def test_a_clip_that_failed_when_it_was_made_again_can_still_be_seen(tmp_path: Path, random_bundle: Path) -> None:
    from foleygen.record import failures

    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=1)
    failures.write(made.source, made.output, ClipError("shot.mp4: no more", "try again"))
    clip = known(tmp_path)["shot.foley.mp4"]
    assert (clip.state, clip.reason, len(clip.takes)) == ("failed", "shot.mp4: no more", 1)


def test_a_folder_without_clips_is_one_sentence(tmp_path: Path, foleygen: Callable[..., Ran]) -> None:
    (tmp_path / "other.json").write_text("[]")
    (tmp_path / "odd.foley.error.json").write_text('{"output": "../elsewhere.mp4"}')
    with pytest.raises(NoClipsError, match="holds no sidecar"):
        folders.outputs(tmp_path)
    code, out, err = foleygen("review", tmp_path)
    assert (code, out) == (ExitCode.NO_CLIPS, "")
    assert len(err.splitlines()) == 1
    assert "foleygen add-sound" in err
    assert foleygen("review", tmp_path / "none")[0] == ExitCode.USAGE
    with pytest.raises(UsageError, match="is no folder"):
        folders.outputs(tmp_path / "other.json")


# The page


def test_names_are_text_and_never_markup(reviewed: Path) -> None:
    clips = list(known(reviewed).values())
    text = page.text(page.Page(reviewed), clips)
    found = Elements(text)
    assert "img" not in found.names
    assert json.loads(found.texts["data"])["clips"][0]["name"] == STRANGE.replace(".mp4", ".foley.mp4")
    assert not re.search(r"[<>&]", found.texts["data"])
    assert "<title>Review: " in text


def test_the_page_asks_nobody_for_anything(reviewed: Path) -> None:
    text = page.text(page.Page(reviewed), list(known(reviewed).values()))
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", text)
    assert not re.findall(r"https?://", text)
    assert "default-src &#x27;none&#x27;" in text
    for kind, element in (("script-src", page.script()), ("style-src", page._asset("page.css"))):
        assert f"{kind} {page._hash(element)}" in page.policy()
        assert element in text


def test_the_scripts_put_no_text_on_the_page_as_markup() -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", page.script())


def test_review_writes_the_page_beside_the_clips(
    tmp_path: Path, random_bundle: Path, foleygen: Callable[..., Ran]
) -> None:
    folder_of(tmp_path, random_bundle)
    code, out, err = foleygen("review", tmp_path)
    assert (code, out) == (0, f"{tmp_path / 'review.html'}\n")
    assert err == "4 clips on the page, 1 of them failed\n"
    found = Elements((tmp_path / "review.html").read_text(encoding="utf-8"))
    door = known(tmp_path)["door.foley.mp4"]
    block = json.loads(found.texts[f"pictures-{door.id}"])
    assert [sound["number"] for sound in block["heard"]["sounds"]] == [1, 2, 3]
    assert block["seen"]["poster"]
    assert sum(name.startswith("pictures-") for name in found.texts) == 3
    code, _, err = foleygen("review", tmp_path, "--no-pictures", "-q")
    assert (code, err) == (0, "")
    assert "pictures-" not in "".join(Elements((tmp_path / "review.html").read_text(encoding="utf-8")).texts)


def test_a_folder_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, random_bundle: Path, foleygen: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(tmp_path, random_bundle, name="shot.mp4", takes=1)

    def refuse(*paths: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refuse)
    code, _, err = foleygen("review", tmp_path, "-q", "--no-pictures")
    assert code == ExitCode.ALL_FAILED
    assert err.splitlines() == [
        f"error: {tmp_path / 'review.html'}: the folder cannot be written (Permission denied); "
        "give its clips another folder, or review it with --serve"
    ]


@pytest.mark.parametrize("make", [lambda path: path.write_text("<p>mine</p>"), Path.mkdir, os.mkfifo])
def test_a_stranger_in_place_of_the_page_stays(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "review.html"
    make(path)
    before = path.lstat()
    with pytest.raises(UsageError, match=r"review\.html: exists and was not made by foleygen"):
        page.write(path, page.text(page.Page(tmp_path), []))
    assert path.lstat() == before


def test_a_port_without_a_server_is_refused(tmp_path: Path, foleygen: Callable[..., Ran]) -> None:
    code, _, err = foleygen("review", tmp_path, "--port", "8000")
    assert (code, err) == (ExitCode.USAGE, "error: --port: nothing listens without --serve; add --serve\n")


def test_an_earlier_page_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "review.html"
    for title in ("a", "b"):
        page.write(path, page.text(page.Page(tmp_path / title), []))
    assert "<title>Review: b</title>" in path.read_text(encoding="utf-8")


def test_five_hundred_clips_have_a_page_of_bounded_size(reviewed: Path) -> None:
    clip = known(reviewed)["door.foley.mp4"]
    noisy = np.random.default_rng(0).random((BANDS, COLUMNS, 3)) * 255
    one = pictures.Sound(1, pictures._text(jpeg.encode(noisy.astype(np.uint8))), pictures._text(bytes(COLUMNS)))
    poster = pictures._text(jpeg.encode((np.random.default_rng(1).random((SIDE, SIDE, 3)) * 255).astype(np.uint8)))
    each = pictures.Pictures(poster, pictures._text(bytes(COLUMNS)), (one,) * pictures.MOST_TAKES)
    ids = [f"{number:016x}" for number in range(500)]
    text = page.text(page.Page(reviewed), [clip] * 500, ((name, each) for name in ids))
    assert len(text) < 500 * 300_000
    usual = page.text(page.Page(reviewed), [clip] * 500)
    assert len(usual) < 500 * 4_000 + 100_000


def test_words_for_completion_are_understood() -> None:
    from foleygen.cues import words

    assert len(page.words()) > 50
    assert all(words.is_known(word) for word in page.words())


# What is drawn


def test_motion_is_where_the_picture_moves(tmp_path: Path) -> None:
    def still_then_flash() -> Iterator[Any]:
        for number in range(50):
            yield np.full((48, 64, 3), 200 if number == 25 else 20, np.uint8)

    found = glance(probe(write_clip(tmp_path / "flash.mp4", 50, 25, frames=still_then_flash())), 20)
    assert found.poster.shape == (SIDE, SIDE, 3)
    assert np.argsort(found.motion)[-1] == 10
    assert max(found.motion) > 0.5
    assert sum(value > 0.1 for value in found.motion) == 1


@pytest.mark.parametrize("seconds", [0.3, 4.0, 40.0])
def test_a_sound_is_drawn_where_it_is(seconds: float) -> None:
    rate = 48000
    total = round(seconds * rate)
    sound = np.zeros(total, np.float32)
    begin, end = total // 2, total * 3 // 4
    sound[begin:end] = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(end - begin) / rate)
    found = drawn(np.array_split(sound, 7), rate, total)
    outline = np.array(found.outline)
    heard = np.flatnonzero(outline > 100) / COLUMNS
    assert heard.min() == pytest.approx(0.5, abs=0.01)
    assert heard.max() == pytest.approx(0.75, abs=0.01)
    assert outline.max() == pytest.approx(128, abs=1)
    bright = found.picture.astype(int).sum(axis=2)
    assert bright.shape[0] == BANDS
    column = bright[:, round(bright.shape[1] * 0.62)]
    assert 0.3 < np.argmax(column) / BANDS < 0.75
    assert bright[:, round(bright.shape[1] * 0.2)].max() < 100


def test_takes_are_drawn_from_wavs_else_from_the_clip(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=2)
    found = pictures.of(takes.find(made.output))
    assert [sound.number for sound in found.sounds] == [1, 2]
    for path in tmp_path.glob("*.wav"):
        path.unlink()
    again = pictures.of(takes.find(made.output))
    assert [sound.number for sound in again.sounds] == [1]
    made.output.write_bytes(b"no clip")
    assert pictures.of(takes.find(made.output)) == pictures.NOTHING


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e308])
def test_whatever_length_a_sidecar_tells_is_drawn(seconds: float, tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=2)
    path = sidecar.path_for(made.output)
    path.write_text(json.dumps({**json.loads(path.read_text()), "duration_s": seconds}))
    (clip,) = known(tmp_path).values()
    assert clip.seconds == seconds
    assert len(pictures.of(takes.find(made.output)).sounds) == 2
    assert page.text(page.Page(tmp_path), [clip])


def test_a_jpeg_is_one(tmp_path: Path) -> None:
    import av

    picture = np.zeros((48, 63, 3), np.uint8)
    picture[:, :32] = (200, 30, 30)
    path = tmp_path / "small.jpg"
    path.write_bytes(jpeg.encode(picture))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert frame.shape == (48, 63, 3)
    assert abs(frame[10, 5].astype(int) - (200, 30, 30)).max() < 12


# Cues


def test_cues_are_saved_as_the_table_that_add_sound_reads(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=1)
    record = sidecar.load(made.output)
    assert sheet.sheet_of(made.output, record, made.source) == sheet.Sheet(file="shot.cues.csv")
    content = HEAD + b'0.5..1.5,"01:00:00:12..01:00:01:12",,,\r\n1.000000,"01:00:01:00",0.800,,"glass"\r\n'
    path = sheet.save(made.output, record, made.source, content)
    assert path == tmp_path / "shot.cues.csv"
    found = sheet.sheet_of(made.output, record, made.source)
    assert found.rows == (sheet.Row(1.0, 0.8, None, "glass", ""),)
    assert found.known == ((0.5, 1.5),)
    assert found.is_newer
    assert len(found.tag) == 32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + b"1.0,,,,trumpet\r\n", "'trumpet' is not known"),
        (HEAD + b"7.0,,,,\r\n", "outside of shot.mp4"),
        (HEAD + b"1.0,,2,,\r\n", "strength"),
        (b"\xff\xfe\xfd", "shot.cues.csv: "),
    ],
)
def test_wrong_cues_are_not_saved(content: bytes, message: str, tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=1)
    with pytest.raises((UsageError, ClipError), match=re.escape(message)) as error:
        sheet.save(made.output, sidecar.load(made.output), made.source, content)
    assert not list(tmp_path.glob("*.csv"))
    assert str(error.value).startswith(("shot.cues.csv", "the sound"))


def test_what_goes_on_stays_when_cues_are_saved(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=1)
    record = sidecar.load(made.output)
    path = sheet.save(made.output, record, made.source, HEAD + b"0.5..1.5,,,,rain\r\n0.2,,,,door\r\n")
    found = sheet.sheet_of(made.output, record, made.source)
    assert (found.lasting, found.known, len(found.rows)) == (((0.5, 1.5, "rain"),), None, 1)
    # As the page writes what it was given.
    assert b'0.500000..1.500000,"01:00:00:12..01:00:01:12",,,"rain"' in path.read_bytes()
    assert sheet.save(made.output, record, made.source, path.read_bytes()).read_bytes() == path.read_bytes()


def test_cues_of_another_program_are_not_doubled(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=1)
    (tmp_path / "shot.cues.txt").write_text("0.500000\t0.500000\tknock\n")
    record = sidecar.load(made.output)
    assert sheet.sheet_of(made.output, record, made.source).rows[0].seconds == 0.5
    with pytest.raises(ClipError, match=r"shot\.cues\.txt holds the cues"):
        sheet.save(made.output, record, made.source, HEAD)


def test_the_clock_of_a_clip_is_that_of_its_sidecar(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mov", takes=1, rate=Fraction(30000, 1001), start="01:00:00;00")
    clock = sheet.clock_of(sidecar.load(made.output), made.source)
    assert (clock.rate, clock.drop_frame, clock.label(1.0)) == (Fraction(30000, 1001), True, "01:00:00;29")


def test_what_was_seen_is_remembered(tmp_path: Path) -> None:
    Seen(tmp_path).note("a")
    Seen(tmp_path).note("b")
    assert json.loads((tmp_path / "review.json").read_text()) == {"schema": 1, "seen": ["a", "b"]}
    (tmp_path / "review.json").write_text("[")
    Seen(tmp_path).note("c")
    assert json.loads((tmp_path / "review.json").read_text())["seen"] == ["c"]


# A farm


def test_a_report_is_a_page_of_all_shards_failures_first(
    tmp_path: Path, random_bundle: Path, foleygen: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    from foleygen.batch import summary
    from foleygen.batch.events import ClipFailed, Report
    from foleygen.batch.shard import Shard

    made = finish(tmp_path / "out" / "day 1", random_bundle, name="door.mp4", takes=1)
    monkeypatch.chdir(tmp_path)
    one = Report(total=2, done=[Path("out/day 1/door.foley.mp4")], skipped=[Path("elsewhere/out/gone.foley.mp4")])
    error = ClipError("<i>bad</i>.mp4: holds no picture data", "export it again")
    two = Report(total=1, failed=[ClipFailed(Path("bad.mp4"), Path("out/bad.foley.mp4"), error)])
    for number, report in ((1, one), (2, two)):
        summary.write(tmp_path / "out", summary.of_report(report, Shard(number, 3), "hash"))
    code, out, err = foleygen("report", tmp_path / "out", "--html")
    assert code == ExitCode.TRY_AGAIN
    assert "missing" in out
    assert f"page: {tmp_path / 'out' / 'report.html'}" in err
    found = Elements((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    data = json.loads(found.texts["data"])
    told = [(clip["output"], clip["state"], clip["shard"]) for clip in data["clips"]]
    assert told == [("bad.foley.mp4", "failed", 2), ("gone.foley.mp4", "stale", 1), ("day 1/door.foley.mp4", "done", 1)]
    assert data["clips"][2]["path"] == "day%201/door.foley.mp4"
    assert [row[0] for row in data["shards"]] == ["1", "2", "3", "all"]
    assert "i" not in found.names
    assert made.output.exists()
