"""The paper's headline: the samplers side by side, with small models in their place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from bundles import write_bundle
from diff_foley_files import write_small

from foleygen.cli.app import run
from foleygen.engines.foley import Engine
from foleygen.errors import ExitCode
from foleygen.evaluation import headline
from foleygen.evaluation.headline import HeadlineConfig, measure, parameters_of, random_model
from foleygen.models.diff_foley import DiffFoleyConfig
from foleygen.models.transformer import TransformerConfig

SMALL: Mapping[str, headline.Geometry] = {
    "Diff-Foley": DiffFoleyConfig(model_channels=32, context_dim=32),
    "MDSGen": TransformerConfig(
        latent_shape=(4, 16, 64), time_axis=2, hidden_size=32, depth=2, num_heads=2, decode_layers=1
    ),
}


def test_the_published_geometries_have_the_published_parameters() -> None:
    assert list(headline.PUBLISHED) == ["Diff-Foley", "MDSGen-T", "MDSGen-S", "MDSGen-B"]
    tiny = random_model(headline.PUBLISHED["MDSGen-T"], HeadlineConfig())
    assert parameters_of(tiny) == 8_399_057
    assert all(value.any() for value in tiny.parameters())


def test_each_is_timed_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    sizes = {None: 10, SMALL["Diff-Foley"]: 80, SMALL["MDSGen"]: 20}
    monkeypatch.setattr(headline, "_peak_elsewhere", lambda config, geometry: sizes[geometry])
    config = HeadlineConfig(steps=2, rounds=1, geometries=SMALL)
    report = measure(config, lambda done, total: seen.append((done, total)))
    assert seen == [(done, config.pieces) for done in range(1, config.pieces + 1)]
    unet, mdsgen = report.rows
    assert (unet.parameters_ratio, unet.seconds_ratio, unet.memory_ratio) == (1, 1, 1)
    assert mdsgen.parameters_ratio == unet.parameters / mdsgen.parameters > 10
    assert mdsgen.seconds_ratio == unet.seconds / mdsgen.seconds > 1
    assert mdsgen.cpu_ratio == unet.cpu_s / mdsgen.cpu_s > 1
    assert report.imports_bytes == 10
    assert mdsgen.memory_ratio == 4
    assert report.classifier_parameters == 11_450_753
    assert report.classifier_s > 0


def test_memory_is_that_of_a_process_of_its_own() -> None:
    config = HeadlineConfig(geometries=SMALL)
    peak = headline._peak_elsewhere(config, SMALL["MDSGen"])
    assert 100_000_000 < peak < 2_000_000_000


def test_the_command_prints_it_beside_the_papers_claim(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = headline.HeadlineRow("Diff-Foley", 859_520_964, 50.0, 90.0, 4_000_000_000, 1.0, 1.0, 1.0, 1.0)
    small = headline.HeadlineRow("MDSGen-T", 8_399_057, 1.25, 2.0, 500_000_000, 102.3, 40.0, 45.0, 8.0)
    asked: list[HeadlineConfig] = []

    def measured(config: HeadlineConfig, on_turn: Any) -> headline.HeadlineReport:
        asked.append(config)
        return headline.HeadlineReport((row, small), 400_000_000, 11_450_753, 2.0)

    monkeypatch.setattr(headline, "measure", measured)
    command = ["bench", "--headline", "--rounds", "2", "--device", "cpu"]
    assert run([*command, "--json"]) == ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][1]["seconds_ratio"] == 40.0
    assert found["paper"] == {"parameters": 172, "seconds": 36, "memory_percent": 371}
    assert run([*command, "--steps", "4", "--precision", "bf16"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "172x fewer parameters, 36x faster, 371 % less memory" in out
    assert "102.3" in out
    assert "adds 2.00 s a window, 4.0% of Diff-Foley's" in out
    assert [(config.steps, config.rounds, config.precision) for config in asked] == [(25, 2, "fp32"), (4, 2, "bf16")]


def test_one_thing_is_timed_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--headline", "--batch", "clips"]) == ExitCode.USAGE
    assert "two things to time" in capsys.readouterr().err


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def measured(config: HeadlineConfig, on_turn: Any) -> headline.HeadlineReport:
        raise MemoryError

    monkeypatch.setattr(headline, "measure", measured)
    assert run(["bench", "--headline", "--device", "cpu"]) == ExitCode.TRY_AGAIN
    assert "memory ran out" in capsys.readouterr().err


def test_what_an_engines_classifier_costs(tmp_path: Path) -> None:
    led = Engine.load(write_small(tmp_path / "led"), "cpu", "fp32")
    seconds = headline.classifier_seconds(led)
    assert seconds is not None
    assert 0 < seconds < 60
    assert headline.classifier_seconds(led, scale=0.0) is None
    assert headline.classifier_seconds(Engine.load(write_bundle(tmp_path / "plain"), "cpu", "fp32")) is None


def test_bench_says_what_the_classifier_costs(
    tmp_path: Path, make_clip: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    write_small(tmp_path / "led")
    words = ["bench", str(make_clip(tmp_path / "a.mp4")), "--model", str(tmp_path / "led"), "--device", "cpu"]
    assert run(words) == ExitCode.OK
    assert "guidance by the classifier: 0." in capsys.readouterr().out
