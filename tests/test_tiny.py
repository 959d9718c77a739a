"""The bundle in the package: whole, small, free to use, offline, and on the picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from foleygen import scenes
from foleygen.audio.mel import MelSpectrogram
from foleygen.audio.onsets import detect
from foleygen.engines.foley import Engine
from foleygen.evaluation.sync import score
from foleygen.media import movie, own_sound
from foleygen.media.probe import probe
from foleygen.sampling.noise import WindowKey
from foleygen.weights import bundle, store

LARGEST = 26_000_000
SECONDS = 8.192


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(bundle.load(store.resolve("tiny")), "cpu", "fp32")


def test_the_embedded_bundle_is_whole_small_and_free() -> None:
    tiny = bundle.load(store.resolve("tiny"), verify=True)
    assert tiny.commercial
    assert tiny.licence == "Apache-2.0"
    assert sum(part.bytes for part in tiny.parts.values()) <= LARGEST
    assert tiny.window_samples == 131072
    card = (tiny.path / "README.md").read_text(encoding="utf-8")
    assert "CC0" in card
    assert "null" in card


def test_sound_falls_on_the_picture_of_unseen_scenes(engine: Engine) -> None:
    found, true, families = [], [], []
    for family in ("hammer", "drum", "bounce", "chop"):
        for number in range(2):
            scene = scenes.compose(scenes.TEST_SEEDS.start + 500 + number, family=family, style="clean")
            frames = torch.from_numpy(scene.resampled_frames(31.25, 256, 64))[None]
            keys = [WindowKey(0, f"{family}/{number}", 0, 1)]
            with torch.inference_mode():
                features = engine.encode(frames)
            sound = engine.sounds(engine.mels(engine.latents(features, keys), features), keys)
            found.append(detect(MelSpectrogram()(sound)[0].numpy(), 62.5))
            true.append(np.array([event.time_s for event in scene.events]))
            families.append(family)
    report = score(found, true, families, SECONDS)
    assert report.score.f1_100ms is not None
    assert report.other_clip is not None
    assert report.other_clip.f1_100ms is not None
    assert report.score.f1_100ms >= report.other_clip.f1_100ms + 0.25


def test_one_command_makes_sound_without_network_or_settings(tmp_path: Path) -> None:
    scene = scenes.compose(scenes.TEST_SEEDS.start + 7, family="hammer", style="clean", duration_s=4.0)
    clip = tmp_path / "shot.mp4"
    movie.write(clip, scene.frames(np.arange(100) / 25, 320, 180), 25, (320, 180))
    environment = {**os.environ, "FOLEYGEN_CACHE_DIR": str(tmp_path / "cache"), "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "foleygen", "add-sound", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    output = tmp_path / "shot.foley.mp4"
    assert done.stdout.decode().split() == [str(output)]
    info = probe(output)
    assert info.content_id == probe(clip).content_id
    samples = own_sound.read(info, 48000)
    assert abs(samples).max() > 0.02
    sidecar = json.loads((tmp_path / "shot.foley.json").read_text(encoding="utf-8"))
    assert sidecar["model"] == "tiny"
    assert sidecar["commercial"] is True


@pytest.mark.skipif("FOLEYGEN_SHARED" not in os.environ, reason="needs the larger collection of clips")
def test_every_odd_file_ends_in_sound_or_in_one_sentence(tmp_path: Path) -> None:
    media = Path(os.environ["FOLEYGEN_SHARED"]) / "media"
    environment = {**os.environ, "FOLEYGEN_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "foleygen", "add-sound", str(media), "-o", str(tmp_path / "out"), "--json"],
        capture_output=True,
        env=environment,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.decode().splitlines()]
    finished = [event for event in events if event["event"] == "clip_done"]
    failed = [event for event in events if event["event"] == "clip_error"]
    assert done.returncode == 3
    assert len(finished) >= 40
    assert all("\n" not in event["message"] and event["remedy"] for event in failed)
    assert "Traceback" not in done.stderr.decode()
