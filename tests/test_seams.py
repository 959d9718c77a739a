"""The measure of joints: what is planted is found, and what is like the rest ranks like the rest."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import SAMPLE_RATE, write_bundle
from click.testing import CliRunner
from clips import write_clip

from foleygen.audio.stitch import joint, plan_windows
from foleygen.cli.app import Invocation, cli
from foleygen.engines.foley import Engine
from foleygen.evaluation import long_clips, seams
from foleygen.evaluation.seams import LongClip, SeamReport, measure, pooled
from foleygen.settings import RenderSettings

TOTAL = 40 * SAMPLE_RATE
OVERLAP = SAMPLE_RATE


def clip_of(events: np.ndarray | None = None, cuts: tuple[int, ...] = ()) -> LongClip:
    """Windows of 8 s, as the tiny preset has them; nothing is generated from these features."""
    windows = plan_windows(TOTAL, 8 * SAMPLE_RATE, OVERLAP, cuts)
    return LongClip("clip", TOTAL, tuple(windows), torch.zeros(len(windows), 1, 1), events)


def rain(seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(TOTAL).astype(np.float32)


def joints_of(clip: LongClip) -> list[int]:
    return [joint(before, after) for before, after in pairwise(clip.windows)]


def score(samples: list[np.ndarray], clip: LongClip, engine: Engine) -> seams.SeamScore:
    return pooled([measure(each, clip, engine) for each in samples])


def test_even_rain_has_no_seams(engine):
    found = score([rain(seed) for seed in range(6)], clip_of(), engine)
    assert found.joints == 30
    assert found.dip_db == pytest.approx(0, abs=0.1)
    assert found.dip_null_db == pytest.approx(0, abs=0.1)
    assert 25 < found.dip_rank < 75
    assert 25 < found.rise_rank < 75
    assert found.sharp_above_95 < 0.3


def test_a_dip_of_three_decibels_is_found(engine):
    clip = clip_of()
    samples = rain()
    for place in joints_of(clip):
        samples[place - OVERLAP // 4 : place + OVERLAP // 4] *= 10 ** (-3 / 20)
    found = score([samples], clip, engine)
    assert found.dip_db == pytest.approx(-3, abs=0.2)
    assert found.dip_rank < 5


def test_a_sudden_step_is_found_where_it_is(engine):
    clip = clip_of()
    samples = rain()
    borders = [0, *joints_of(clip), TOTAL]
    for number, (begin, end) in enumerate(pairwise(borders)):
        samples[begin:end] *= 1 + number
    found = score([samples], clip, engine)
    assert found.sharp_above_95 > 0.9
    assert found.rise_above_95 > 0.9


def test_a_doubled_event_costs_precision_and_a_lost_one_recall(engine):
    clip = clip_of(np.array([place / SAMPLE_RATE for place in joints_of(clip_of())]))

    def clicks(times: list[float]) -> np.ndarray:
        samples = np.zeros(TOTAL, np.float32)
        for time in times:
            begin = round(time * SAMPLE_RATE)
            samples[begin : begin + 800] = rain()[:800] * 5
        return samples

    right = score([clicks(list(clip.events))], clip, engine)
    assert (right.precision, right.recall) == (1, 1)
    doubled = score([clicks([time + late for time in clip.events for late in (0, 0.3)])], clip, engine)
    assert (doubled.precision, doubled.recall) == (0.5, 1)
    lost = score([clicks(list(clip.events[:-1]))], clip, engine)
    assert (lost.precision, lost.recall) == (1, 0.8)
    assert lost.precision_away is None


def test_joints_on_shot_changes_are_counted_and_left_out(engine):
    clip = clip_of(cuts=(int(7.5 * SAMPLE_RATE),))
    samples = rain()
    samples[: clip.windows[1].start] *= 0.1
    found = score([samples], clip, engine)
    assert (found.on_cuts, found.joints) == (1, 4)
    assert found.sharp_above_95 < 0.9


def test_all_ways_begin_in_the_same_noise(engine, tmp_path):
    path = write_clip(tmp_path / "clip.mp4", count=75)
    settings = RenderSettings(overlap=0.25, seams="joint", cuts=False)
    (clip,) = long_clips.from_files([path], engine, settings, lambda path, error: None)
    tracks = seams.soundtracks(clip, engine, 0)
    assert {samples.shape for samples in tracks.values()} == {(3 * SAMPLE_RATE,)}
    middle = slice(clip.windows[0].end, clip.windows[2].start)
    np.testing.assert_array_equal(tracks["crossfade"][middle], tracks["hard"][middle])
    alone = slice(0, clip.windows[1].start - 4096)
    assert not np.array_equal(tracks["crossfade"][alone], tracks["joint"][alone])


@pytest.mark.parametrize("continuous", [False, True])
def test_long_scenes_come_back_and_begin_windows_on_their_cuts(engine, monkeypatch, continuous):
    monkeypatch.setattr(long_clips, "SHORTEST_S", 3.0)
    monkeypatch.setattr(long_clips, "LONGEST_S", 4.0)
    settings = RenderSettings(overlap=0.5, seams="joint")
    made = list(long_clips.from_scenes(engine, 2, settings, continuous))
    again = list(long_clips.from_scenes(engine, 2, settings, continuous))
    for clip, same in zip(made, again, strict=True):
        assert torch.equal(clip.features, same.features)
        assert 3 * SAMPLE_RATE <= clip.total <= 4.2 * SAMPLE_RATE
        assert clip.features.shape == (len(clip.windows), 16, 16)
        assert (clip.events is None) == continuous
        assert continuous or (clip.events <= clip.total / SAMPLE_RATE).all()
    assert not torch.equal(made[0].features[0], made[1].features[0])


def test_the_command_says_what_it_measured(tmp_path: Path):
    folder = tmp_path / "small"
    write_bundle(folder)
    (tmp_path / "films").mkdir()
    write_clip(tmp_path / "films" / "long.mp4", count=120)
    write_clip(tmp_path / "films" / "short.mp4", count=10)
    arguments = ["evaluate", "seams", str(tmp_path / "films"), "--count", "0", "--model", str(folder)]
    arguments += ["--overlap", "0.25", "--no-cuts"]
    result = CliRunner().invoke(cli, [*arguments, "--json"], obj=Invocation(), catch_exceptions=False)
    assert result.exit_code == 0
    scores = json.loads(result.stdout)["clips"]["scores"]
    assert list(scores) == ["crossfade", "joint", "hard"]
    assert all(score["clips"] == 1 and score["precision"] is None for score in scores.values())
    assert scores["joint"]["on_cuts"] == 0
    plain = CliRunner().invoke(cli, arguments, obj=Invocation(), catch_exceptions=False)
    assert "crossfade" in plain.stdout
    assert "sharp >95" in plain.stdout


def test_the_report_can_be_drawn(tmp_path, engine):
    pytest.importorskip("matplotlib")
    found = score([rain()], clip_of(), engine)
    seams.plot(SeamReport({"crossfade": found, "joint": found}), tmp_path / "seams.png")
    assert (tmp_path / "seams.png").read_bytes().startswith(b"\x89PNG")
