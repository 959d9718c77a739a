"""The page in a real browser: looked at, listened to, corrected, made again; from the disk and served."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import browser
import pytest
from browser import NARROW, complaints, opened, press, until
from finished import finish
from reviewing import STRANGE, folder_of, served
from test_review_server import finished_with

from foleygen.cli.app import run
from foleygen.media import timecode as smpte
from foleygen.record import sidecar

DELETE, ESCAPE, LEFT, RIGHT, UP, PAGE_DOWN = "\ue017", "\ue00c", "\ue012", "\ue014", "\ue013", "\ue00f"
CONTROL, SHIFT, ENTER = "\ue009", "\ue008", "\ue007"
BOXES = """const axis = document.getElementById('axis').getBoundingClientRect();
    return [...document.querySelectorAll('#lasting span')].map((one) => {
        const box = one.getBoundingClientRect(), words = one.querySelector('b').getBoundingClientRect();
        return { left: (box.left - axis.left) / axis.width, right: (box.right - axis.left) / axis.width,
            words: words.top, label: one.getAttribute('aria-label') };
    })"""
READY = "document.getElementById('video').readyState >= 2"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, random_bundle: Path) -> Path:
    folder = tmp_path_factory.mktemp("pages") / "clips"
    folder_of(folder, random_bundle)
    assert run(["review", str(folder), "-q"]) == 0
    return folder / "review.html"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for the tests that read a page from the disk; what it downloads lies in ``driver.downloads``."""
    downloads = tmp_path_factory.mktemp("downloads")
    with opened(downloads=str(downloads)) as made:
        made.downloads = downloads
        yield made


@pytest.fixture
def disk(driver: Any, page: Path) -> Any:
    """The page as it is opened first: nothing is remembered of it."""
    driver.get(page.as_uri())
    driver.execute_script("localStorage.clear()")
    driver.get(page.as_uri())
    complaints(driver)
    return driver


def row(driver: Any, name: str) -> Any:
    return next(one for one in driver.find_elements("css selector", ".row") if name in one.text)


def show(driver: Any, name: str = "door") -> None:
    """Open a clip and wait until it can be played."""
    row(driver, name).click()
    until(driver, READY)


def picture(driver: Any) -> int:
    """The number of the picture on the screen, at 25 a second."""
    return int(driver.execute_script("return Math.floor(document.getElementById('video').currentTime * 25 + 1e-6)"))


def cues(driver: Any) -> list[str]:
    return [one.get_attribute("aria-valuetext") for one in driver.find_elements("css selector", ".cue")]


def text(driver: Any, name: str) -> str:
    found: str = driver.find_element("id", name).text
    return found


def downloaded(driver: Any, name: str) -> Path:
    path: Path = driver.downloads / name
    for _ in range(600):
        if path.exists() and path.stat().st_size:
            return path
        time.sleep(0.05)
    raise AssertionError(f"{name} was not downloaded")


def chord(driver: Any, *keys: str) -> None:
    """Keys that are held together."""
    from selenium.webdriver.common.action_chains import ActionChains

    actions = ActionChains(driver)
    for key in keys[:-1]:
        actions.key_down(key)
    actions.send_keys(keys[-1])
    for key in keys[:-1]:
        actions.key_up(key)
    actions.perform()


# From the disk


def test_the_list_shows_every_clip(disk: Any) -> None:
    assert len(disk.find_elements("css selector", ".row")) == 4
    until(disk, "document.querySelectorAll('.poster img').length === 3")
    strange = row(disk, "onerror")
    assert STRANGE.replace(".mp4", ".foley.mp4") in strange.text
    assert not disk.find_elements("css selector", ".row img[src=x]")
    failed = row(disk, "broken")
    assert "holds no picture data; copy or export it again" in failed.text
    assert "4 clips" in text(disk, "counts")
    for name, shown in (("failed", 1), ("loud", 0), ("silent", 0), ("unseen", 4), ("warnings", 0)):
        button = disk.find_element("css selector", f"[data-filter={name}]")
        button.click()
        assert (name, len(disk.find_elements("css selector", ".row"))) == (name, shown)
        button.click()
    disk.find_element("id", "find").send_keys("step")
    assert len(disk.find_elements("css selector", ".row")) == 1
    assert not complaints(disk)


def test_a_clip_plays_and_its_takes_are_heard_with_it(disk: Any) -> None:
    show(disk)
    assert "1 of 4 reviewed" in text(disk, "counts")
    until(disk, "document.querySelector('#mel img') !== null")
    press(disk, " ")
    until(disk, "document.getElementById('video').currentTime > 0.2")
    assert text(disk, "play") == "Pause"
    press(disk, "2")
    assert disk.find_element("css selector", "[aria-checked=true]").text.startswith("Take 2")
    assert disk.execute_script("return document.getElementById('video').muted")
    press(disk, "k")
    until(disk, "document.getElementById('video').paused")
    press(disk, "a")
    assert disk.find_element("id", "ab").get_attribute("aria-pressed") == "true"
    press(disk, "a", "1")
    assert not disk.execute_script("return document.getElementById('video').muted")
    at = picture(disk)
    press(disk, RIGHT, RIGHT, LEFT)
    assert picture(disk) == at + 1
    press(disk, "l", "l")
    assert text(disk, "speed") == "2\u00d7"
    press(disk, "j")
    until(disk, "document.getElementById('play').textContent === 'Play'")
    assert not complaints(disk)


def test_cues_are_set_moved_worded_and_undone_by_keys(disk: Any) -> None:
    show(disk)
    press(disk, "m", *[RIGHT] * 5, "m")
    assert [cue.split(",")[0] for cue in cues(disk)] == ["01:00:00:00", "01:00:00:05"]
    press(disk, UP, UP)
    assert "strength 0.60" in cues(disk)[1]
    disk.find_elements("css selector", ".cue")[1].click()
    press(disk, RIGHT)
    assert cues(disk)[1].startswith("01:00:00:06")
    assert picture(disk) == 5
    press(disk, "w", "glass", ENTER)
    assert "glass" in cues(disk)[1]
    press(disk, DELETE)
    assert len(cues(disk)) == 1
    chord(disk, CONTROL, "z")
    assert "glass" in cues(disk)[1]
    chord(disk, CONTROL, SHIFT, "z")
    assert len(cues(disk)) == 1
    chord(disk, CONTROL, "z")
    press(disk, "s")
    table = downloaded(disk, "door.cues.csv").read_text()
    assert table.splitlines()[2] == '0.240000,"01:00:00:06",0.600,,"glass"'
    disk.refresh()
    show(disk)
    assert "glass" in cues(disk)[1]
    assert not complaints(disk)


def test_a_cue_is_dragged_from_picture_to_picture(disk: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    show(disk)
    press(disk, "m")
    handle = disk.find_element("css selector", ".cue")
    width = disk.execute_script("return document.getElementById('axis').clientWidth")
    ActionChains(disk).move_to_element(handle).click_and_hold().move_by_offset(
        round(width * 0.31), 0
    ).release().perform()
    seconds = float(cues(disk)[0].split(", ")[1].removesuffix(" s"))
    assert seconds == pytest.approx(0.62, abs=0.03)
    assert seconds * 25 == round(seconds * 25)
    chord(disk, CONTROL, "z")
    assert cues(disk)[0].startswith("01:00:00:00")


def test_what_goes_on_is_drawn_as_spans(driver: Any, random_bundle: Path, tmp_path: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=1, count=50)
    rows = "0.5..1.5,rain\n1.0..1.25,wind\n1.5..9,fire\n"
    made.output.with_name("shot.cues.csv").write_text(f"seconds,sound\n{rows}")
    assert run(["review", str(tmp_path), "-q"]) == 0
    complaints(driver)
    driver.get((tmp_path / "review.html").as_uri())
    show(driver, "shot")
    boxes = driver.execute_script(BOXES)
    assert [box["label"].split(" from ")[0] for box in boxes] == ["rain", "wind", "fire"]
    assert boxes[0]["label"].endswith("from 01:00:00:12 to 01:00:01:12, 0.500 s to 1.500 s")
    spans = [(0.25, 0.75), (0.5, 0.625), (0.75, 1.0)]
    for box, (begin, end) in zip(boxes, spans, strict=True):
        assert (box["left"], box["right"]) == (pytest.approx(begin, abs=0.005), pytest.approx(end, abs=0.005))
    assert boxes[1]["words"] < boxes[0]["words"] - 15  # in a lane above
    assert boxes[2]["words"] == pytest.approx(boxes[0]["words"])
    press(driver, "m")
    driver.find_element("css selector", ".cue").click()  # spans are in nobody's way
    press(driver, DELETE)
    driver.find_element("id", "save").click()
    table = downloaded(driver, "shot.cues.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:]] == [
        "0.500000..1.500000", "1.000000..1.250000", "1.500000..2.000000"
    ]  # fmt: skip
    assert "nothing is heard" not in text(driver, "said")
    show(driver, "shot")
    assert not complaints(driver)


def test_picks_are_downloaded(disk: Any) -> None:
    show(disk)
    press(disk, "3", "p")
    disk.find_element("id", "save-picks").click()
    picks = json.loads(downloaded(disk, "picks.json").read_text())
    assert picks == {"picks": [{"output": "door.foley.mp4", "take": 3}]}


def test_the_keyboard_alone_reaches_everything(disk: Any) -> None:
    disk.execute_script("document.querySelector('.row[tabindex=\"0\"]').focus()")
    press(disk, "\ue015", "\ue015", ENTER)  # down, down
    until(disk, READY)
    assert text(disk, "name") == "door.foley.mp4"
    press(disk, PAGE_DOWN)
    assert text(disk, "name") == "step 2.foley.mp4"
    press(disk, ESCAPE)
    assert not disk.find_element("id", "stage").is_displayed()
    assert "step 2" in disk.switch_to.active_element.text
    press(disk, "?")
    assert disk.find_element("id", "keys").is_displayed()
    press(disk, ESCAPE)
    unnamed = """return [...document.querySelectorAll('button, input, select')].filter((one) =>
        !(one.textContent.trim() || one.getAttribute('aria-label') || (one.labels && one.labels.length))).length"""
    assert disk.execute_script(unnamed) == 0


def test_a_failed_clip_tells_its_remedy(disk: Any) -> None:
    row(disk, "broken").click()
    assert "copy or export it again" in text(disk, "reason")
    assert not disk.find_element("id", "player").is_displayed()
    press(disk, " ", "m", "1")
    assert not complaints(disk)


def test_missing_media_is_told_and_the_takes_are_heard(driver: Any, page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(page.parent, folder)
    (folder / "door.foley.mp4").unlink()
    complaints(driver)
    driver.get((folder / "review.html").as_uri())
    row(driver, "door").click()
    until(driver, "!document.getElementById('unplayable').hidden")
    assert any("ERR_FILE_NOT_FOUND" in message for message in complaints(driver))
    press(driver, "2", " ")
    until(driver, "Number(document.getElementById('clock').textContent.split(/ +/)[1]) > 0.1")
    press(driver, "k")
    assert driver.find_element("css selector", "[aria-checked=true]").text.startswith("Take 2")


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_is_wider_than_the_screen(dark: bool, page: Path) -> None:
    with opened(NARROW, dark=dark) as small:
        small.get(page.as_uri())
        wide = "return document.documentElement.scrollWidth"
        assert small.execute_script(wide) == NARROW[0]
        show(small)
        press(small, "m")
        assert small.execute_script(wide) == NARROW[0]
        assert not small.find_element("id", "clips").is_displayed()
        small.find_element("id", "close").click()
        assert small.find_element("id", "clips").is_displayed()
        ground = small.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(19, 20, 22)") is dark


def test_of_five_hundred_clips_only_those_in_view_are_loaded(driver: Any, page: Path, tmp_path: Path) -> None:
    content = page.read_text(encoding="utf-8")
    before, _, rest = content.partition('id="data">')
    data, _, after = rest.partition("</script>")
    document = json.loads(data)
    one = document["clips"][2]
    block = after.partition(f'id="pictures-{one["id"]}">')[2].partition("</script>")[0]
    document["clips"] = [{**one, "id": f"{k:016x}", "name": f"clip {k}", "output": f"clip {k}"} for k in range(500)]
    for number, clip in enumerate(document["clips"]):
        clip |= {"rate": [30000, 1001], "first": number * 1799, "drop": number % 2 == 0}
    document["clips"][7] |= {"lufs": -9.0}
    document["clips"][8] |= {"lufs": None, "peak": None}
    blocks = [
        f'<script type="application/json" id="pictures-{one["id"]}">{block}</script>' for one in document["clips"]
    ]
    many = tmp_path / "many.html"
    data = json.dumps(document).replace("<", "\\u003c")
    many.write_text(f'{before}id="data">{data}</script>{"".join(blocks)}{after}', encoding="utf-8")
    driver.get(many.as_uri())
    assert len(driver.find_elements("css selector", ".row")) == 500
    until(driver, "document.querySelectorAll('.poster img').length > 3")
    assert driver.execute_script("return document.querySelectorAll('.poster img').length") < 60
    assert driver.execute_script("return document.querySelectorAll('video[src], audio[src]').length") == 0
    driver.execute_script("document.getElementById('clips').scrollTo(0, 1e6)")
    until(driver, "document.querySelector('#rows li:last-child .poster img') !== null")
    assert driver.execute_script("return document.querySelectorAll('.poster img').length") < 120
    for number in (0, 1, 2, 9, 10, 11, 120, 499):
        said = driver.execute_script("return document.querySelectorAll('.row')[arguments[0]].textContent", number)
        assert smpte.label(number * 1799, Fraction(30000, 1001), number % 2 == 0) in said
    for name, shown in (("loud", "clip 7"), ("silent", "clip 8")):
        driver.find_element("css selector", f"[data-filter={name}]").click()
        assert [one.text for one in driver.find_elements("css selector", ".row .title")] == [shown]
        driver.find_element("css selector", f"[data-filter={name}]").click()
    assert not complaints(driver)


# Served


@pytest.mark.slow
def test_a_cue_is_moved_and_the_clip_made_again(tmp_path: Path, told_bundle: Path) -> None:
    output = finished_with(tmp_path, told_bundle)
    before = output.read_bytes()
    with served(tmp_path, told_bundle) as server, opened() as driver:
        driver.get(server.address)
        show(driver, "shot")
        until(driver, "document.querySelector('#mel img') !== null")
        assert not driver.find_element("id", "save").is_enabled()
        press(driver, *[RIGHT] * 10, "m")
        press(driver, "r")
        until(driver, "document.getElementById('said').textContent.endsWith('is made again')")
        assert output.read_bytes() != before
        assert (tmp_path / "shot.cues.csv").read_text().splitlines()[1].startswith("0.400000,")
        until(driver, "!document.getElementById('video').paused || document.getElementById('video').currentTime > 0")
        press(driver, "k", "2", "p")
        until(driver, "document.getElementById('said').textContent === 'Take 2 is in the clip'")
        driver.refresh()
        show(driver, "shot")
        assert cues(driver)[0].startswith("00:00:00:10")
        assert not complaints(driver)
    record = sidecar.load(output)
    assert record.picked == 2
    assert record.own.cues is not None
    assert [cue.seconds for cue in record.own.cues.cues] == [0.4]


@pytest.mark.slow
def test_a_clip_without_cues_is_left_to_the_picture(tmp_path: Path, told_bundle: Path) -> None:
    output = finished_with(tmp_path, told_bundle)
    with served(tmp_path, told_bundle) as server, opened() as driver:
        driver.get(server.address)
        show(driver, "shot")
        output.write_bytes(output.read_bytes() + b"\0")
        driver.find_element("id", "render").click()
        until(driver, "/is made again|not made/.test(document.getElementById('said').textContent)")
        assert not complaints(driver)
    assert not (tmp_path / "shot.cues.csv").exists()
    assert sidecar.load(output).own.cues is None


def test_what_goes_on_is_saved_without_a_cue_and_is_no_silence(tmp_path: Path, random_bundle: Path) -> None:
    finish(tmp_path, random_bundle, name="shot.mp4", takes=1, count=50)
    path = tmp_path / "shot.cues.csv"
    path.write_text("seconds,sound\n0.5..1.5,rain\n")
    with served(tmp_path) as server, opened() as driver:
        driver.get(server.address)
        show(driver, "shot")
        for keys, count in ((("m", "s"), "1 cue"), ((DELETE, "s"), "0 cues")):
            press(driver, *keys)
            until(driver, f"document.getElementById('said').textContent === '{count} saved in shot.cues.csv'")
        assert [box["label"].split(" from ")[0] for box in driver.execute_script(BOXES)] == ["rain"]
        assert not complaints(driver)
    assert [line.split(",")[0] for line in path.read_text().splitlines()[1:]] == ["0.500000..1.500000"]


def test_two_pages_do_not_overwrite_each_other_unseen(tmp_path: Path, random_bundle: Path) -> None:
    folder_of(tmp_path, random_bundle)
    with served(tmp_path) as server, opened() as driver:
        driver.get(server.address)
        show(driver)
        other = server.clip("door.foley.mp4")
        theirs = b"seconds,sound\r\n1.0,wood\r\n"
        assert server.ask(f"cues/{other['id']}", "PUT", theirs, If_Match='"none"')[0] == 200
        saved = (tmp_path / "door.cues.csv").read_bytes()
        press(driver, "m", "s")
        until(driver, "document.getElementById('said').textContent.includes('changed by somebody else')")
        assert (tmp_path / "door.cues.csv").read_bytes() == saved
        assert len(cues(driver)) == 1


def test_without_a_browser_the_tests_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    with pytest.raises(pytest.skip.Exception, match="no Chromium"), opened():
        pass
