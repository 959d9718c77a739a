"""``add-sound --seams repair`` from end to end: what is written differs from a crossfade around the joints alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import pytest
import soundfile
import torch
from ambience_bundles import MEL, write_ambience
from bundles import write_bundle

from foleygen.ambience.repair import COLUMNS, EVENT_S
from foleygen.audio import onsets
from foleygen.batch.discover import Clip
from foleygen.batch.run import run
from foleygen.engines.foley import Engine
from foleygen.settings import Settings

LATENT_COLUMNS = 40
"""Windows of 5.12 s: the second engine wants 1.7 s on both sides of a joint."""
OVERLAP_S, SECONDS = 1.024, 13.2
COLUMN_S = 16 * MEL.hop_length / MEL.sample_rate
SLACK_S = 0.01
"""Two resamplers reach this far."""
EVENT_AFTER_S = 0.25
"""After each joint there is an event."""


@dataclass(frozen=True)
class Rendered:
    """A take as it was written, (S,) at ``rate``, and its sidecar."""

    samples: np.ndarray
    rate: int
    told: dict[str, Any]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, make_clip: Callable[..., Path]) -> dict[str, Rendered]:
    """A clip of three windows, with a click in each joint, by way of joining."""
    folder = tmp_path_factory.mktemp("repair")
    write_ambience(folder / "beds")
    sounds = Engine.sounds

    def clicking(engine: Engine, mels: torch.Tensor, keys: Any) -> torch.Tensor:
        samples = 0.1 * sounds(engine, mels, keys)
        place = round(OVERLAP_S / 2 * engine.bundle.sample_rate)
        for row, key in zip(samples, keys, strict=True):
            if key.start:
                row[place : place + 160] = torch.linspace(-0.5, 0.5, 160)
        return samples

    def planted(mel: Any, frame_rate: float, begins: bool = False) -> np.ndarray:
        # Random weights make an onset in every column, which leaves nothing to repair.
        return np.array([OVERLAP_S / 2 + EVENT_AFTER_S])

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        pictures = LATENT_COLUMNS * 4
        geometry = {"latent_shape": (4, 16, LATENT_COLUMNS), "num_features": pictures // 2}
        patch.setattr(bundles, "ENCODER", replace(bundles.ENCODER, num_frames=pictures))
        patch.setattr(bundles, "TRANSFORMER", replace(bundles.TRANSFORMER, **geometry))
        patch.setattr(Engine, "sounds", clicking)
        patch.setattr(onsets, "detect", planted)
        write_bundle(folder / "engine")
        for seams in ("crossfade", "repair"):
            clip = make_clip(folder / seams / "a.mp4", seconds=SECONDS)
            settings = Settings(
                model=str(folder / "engine"),
                ambience_model=str(folder / "beds"),
                seams=seams,
                stems=True,
                overlap=OVERLAP_S,
                cuts=False,
                cache=False,
            )
            report = run([Clip(clip)], settings, lambda event: None)
            assert len(report.done) == 1
            samples, rate = soundfile.read(clip.with_name("a.foley.t01.wav"))
            found[seams] = Rendered(samples, rate, json.loads(clip.with_name("a.foley.json").read_text()))
    return found


def joints(told: dict[str, Any]) -> list[float]:
    """Middles of the overlaps, s."""
    windows = told["windows"]
    return [(before["start_s"] + before["seconds"] + after["start_s"]) / 2 for before, after in pairwise(windows)]


def test_repaired_samples_lie_around_the_joints_and_are_counted(rendered: dict[str, Rendered]) -> None:
    plain, repaired = rendered["crossfade"], rendered["repair"]
    assert len(plain.told["windows"]) == 3
    times = np.arange(len(plain.samples)) / plain.rate
    changed = np.abs(plain.samples - repaired.samples) > 1e-3
    reach = COLUMNS / 2 * COLUMN_S + SLACK_S
    near = [np.abs(times - joint) <= reach for joint in joints(plain.told)]
    assert plain.told["repaired_joints"] == 0
    assert repaired.told["repaired_joints"] == sum(bool(changed[where].any()) for where in near) > 0
    assert not changed[~np.logical_or.reduce(near)].any()


def test_no_column_in_which_an_event_begins_is_written_over(rendered: dict[str, Rendered]) -> None:
    plain, repaired = rendered["crossfade"], rendered["repair"]
    change = np.abs(plain.samples - repaired.samples)
    for joint in joints(plain.told):
        event = joint + EVENT_AFTER_S
        assert any(abs(event - onset) < 1e-3 for onset in plain.told["takes"][0]["onsets_s"])
        kept = slice(round((event - EVENT_S) * plain.rate), round((event + EVENT_S) * plain.rate))
        assert change[kept].max() < 1e-3
