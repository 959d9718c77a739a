"""The picture of the page in docs/review.md, from sample clips: ``PYTHONPATH=tests python tests/screenshot.py``.

Needs Chromium with its driver. Takes a minute or two: three clips get three takes each.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from browser import opened, press, until
from PIL import Image

from foleygen.cli.app import run

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "review.png"
RIGHT, UP, ENTER = "\ue014", "\ue013", "\ue007"


def main() -> None:
    """Make clips, a page of them, and its picture."""
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        folder = Path("finished")
        run(["demo", str(folder)])
        (folder / "torn.mp4").write_bytes(b"no clip")
        run(["add-sound", str(folder), "--takes", "3", "-q", "--no-cache"])
        run(["review", str(folder), "-q"])
        taken(Path(place, folder, "review.html"))


def taken(page: Path) -> None:
    """Open the second clip, give it cues, and take the picture."""
    with opened((1280, 960)) as driver:
        driver.get(page.as_uri())
        until(driver, "document.querySelectorAll('.poster img').length >= 2")
        driver.find_elements("css selector", ".row")[1].click()
        until(driver, "document.querySelector('#mel img') && document.getElementById('video').readyState >= 2")
        driver.find_element("id", "heard").click()
        until(driver, "document.querySelectorAll('.cue').length > 0")
        press(driver, *[RIGHT] * 30)
        driver.execute_script("document.querySelector('.cue').focus()")
        press(driver, UP, UP, UP, "w", "wood", ENTER)
        driver.execute_script("document.getElementById('said').textContent = ''")
        PICTURE.parent.mkdir(exist_ok=True)
        driver.save_screenshot(str(PICTURE))
    with Image.open(PICTURE) as whole:
        whole.convert("RGB").quantize(256).save(PICTURE, optimize=True)
    print(PICTURE, PICTURE.stat().st_size, file=sys.stderr)


if __name__ == "__main__":
    main()
