"""The shipped weights make the sound that they made: both ways to join windows, two takes, and a bed under them.

What is stored is a fingerprint and not a checksum of the samples: the level in seven octaves of every quarter of a
second, in steps of 0.1 dB. Processors round sums in different orders, so the last bits of a sound differ from machine
to machine; its levels do not, by more than TOLERANCE_DB. Another seed, take or way of work differs by far more.

``python tests/test_same_sound.py`` writes the fingerprints anew, for a change that is meant to change the sound.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from clips import write_clip
from numpy.typing import NDArray

from foleygen import scenes
from foleygen.engines.composer import Composer
from foleygen.engines.foley import Engine
from foleygen.facts import SAMPLE_RATE
from foleygen.media import wav
from foleygen.media.probe import probe
from foleygen.pipeline import Job, render
from foleygen.settings import RenderSettings, Seams
from foleygen.weights import store
from foleygen.weights.ambience import AmbienceBundle
from foleygen.weights.bundle import Bundle

STORED = Path(__file__).parent / "golden" / "same_sound.json"
SECONDS = 9
"""A little more than one window, so that there is a joint."""
RATE = 25
EDGES_HZ = (0, 125, 250, 500, 1000, 2000, 4000, 8000)
BLOCK = SAMPLE_RATE // 4
FLOOR_DB = -70.0
"""Below it rounding decides."""
TOLERANCE_DB = 0.5
RUNS: dict[Seams, RenderSettings] = {
    "joint": RenderSettings(seed=7, takes=2, steps=8, overlap=4.0, seams="joint", cuts=False, ambience="fire"),
    "crossfade": RenderSettings(seed=7, takes=2, steps=8, overlap=4.0, seams="crossfade", cuts=False),
}


def drawn(folder: Path) -> Path:
    """A clip of a computed scene, in a codec that loses nothing."""
    scene = scenes.compose(scenes.TEST_SEEDS.start, family="rain", duration_s=SECONDS, style="clean")
    frames = scene.frames(np.arange(SECONDS * RATE) / RATE, 64, 64)
    lossless = {"codec": "ffv1", "b_frames": 0}
    return write_clip(folder / "rain.mkv", SECONDS * RATE, RATE, frames=frames, size=(64, 64), **lossless)


def levels(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """(blocks, octaves) in dB, no lower than FLOOR_DB."""
    blocks = samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.float64)
    power = np.abs(np.fft.rfft(blocks)) ** 2 / BLOCK**2 * 2
    edges = np.searchsorted(np.fft.rfftfreq(BLOCK, 1 / SAMPLE_RATE), EDGES_HZ)
    bands = np.stack([power[:, low:high].sum(1) for low, high in pairwise(edges)], 1)
    return np.maximum(10 * np.log10(bands + 1e-20), FLOOR_DB)


def fingerprints(folder: Path) -> dict[str, list[list[float]]]:
    """The levels of every wav that the runs leave, by run and file."""
    engine = Engine.load(store.load("tiny", Bundle), "cpu", "fp32")
    composer = Composer.load(store.load("ambience", AmbienceBundle), "cpu")
    # what the noise depends on is not left to the encoder of the day
    info = replace(probe(drawn(folder)), content_id="rain, drawn")
    found = {}
    for name, settings in RUNS.items():
        output = folder / name / "rain.foley.mkv"
        output.parent.mkdir()
        (outcome,) = render([Job(info, output)], engine, settings, None, lambda progress: None, composer)
        assert outcome.error is None, outcome.error
        for path in sorted(output.parent.glob("*.wav")):
            samples, rate = wav.read(path)
            assert (len(samples), rate) == (SECONDS * SAMPLE_RATE, SAMPLE_RATE)
            found[f"{name}/{path.name}"] = np.round(levels(samples), 1).tolist()
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[float]]]:
    return fingerprints(tmp_path_factory.mktemp("sounds"))


def test_the_sound_is_the_sound_that_it_was(made: dict[str, list[list[float]]]) -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert made.keys() == stored.keys()
    for name, expected in stored.items():
        np.testing.assert_allclose(made[name], expected, atol=TOLERANCE_DB, rtol=0, err_msg=name)


def test_a_fingerprint_tells_sounds_apart(made: dict[str, list[list[float]]]) -> None:
    """Two takes, or two ways to join, are no nearer than ten times what is allowed; so another sound is seen."""
    takes = [np.array(made[f"{seams}/rain.foley.t0{take}.wav"]) for seams in RUNS for take in (1, 2)]
    for index, one in enumerate(takes):
        for other in takes[:index]:
            assert np.abs(one - other).max() > 10 * TOLERANCE_DB


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in fingerprints(Path(name)).items()]
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    sys.stdout.write(f"{STORED}\n")
