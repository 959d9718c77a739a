"""Models that are made without initial values."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from foleygen.models.blank import Blank, is_entered


class Small(nn.Module):
    """A layer, and a buffer that is computed when it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.register_buffer("window", torch.zeros(4).fill_(2), persistent=False)


def test_buffers_are_computed_and_parameters_are_left() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with Blank():
        assert is_entered()
        made = Small()
    assert not is_entered()
    assert torch.equal(torch.get_rng_state(), before)
    assert made.layer.weight.shape == (3, 3)
    assert made.window.tolist() == [2, 2, 2, 2]


def test_the_state_returns_after_an_error() -> None:
    try:
        with Blank():
            raise ValueError
    except ValueError:
        pass
    assert not is_entered()


def test_a_clip_is_made_without_what_is_slow_to_import(make_clip: Callable[[Path], Path], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    code = (
        "import sys; from pathlib import Path; from foleygen.batch.worker import Worker;"
        "from foleygen.batch.loading import load_bundle;"
        "from foleygen.batch import plan; from foleygen.batch.discover import discover;"
        "from foleygen.settings import Settings;"
        "settings = Settings(steps=1, cache=False); worker = Worker(settings, load_bundle(settings)); told = [];"
        f"worker.work(plan.plan(discover([{str(clip)!r}], output=None), settings), told.append);"
        "assert type(told[-1]).__name__ == 'ClipDone', told[-1];"
        "slow = {'torch._dynamo', 'sympy', 'scipy', 'diffusers', 'pandas', 'soxr'};"
        "sys.exit(str(slow & set(sys.modules)) if slow & set(sys.modules) else 0)"
    )
    _run(code)


def test_keeping_to_cues_is_judged_without_scipy() -> None:
    _run(
        "import sys; from foleygen.audio.obedience import judged;"
        "found = judged([1.0, 2.0], [1.01, 1.5], lambda time: True);"
        "assert (found.missed, found.extra) == ((2.0,), (1.5,)), found;"
        "sys.exit('scipy' in sys.modules)"
    )


def test_nothing_is_collected_while_the_models_are_loaded_nor_looked_at_afterwards() -> None:
    _run(
        "import gc, sys; from foleygen.batch.loading import load_bundle, load_engine;"
        "from foleygen.settings import Settings; bundle = load_bundle(Settings()); runs = [];"
        "gc.callbacks.append(lambda phase, info: runs.append(phase));"
        "engine = load_engine(Settings(), bundle);"
        "assert not runs, len(runs); assert gc.isenabled();"
        "assert 'torch' in sys.modules and gc.get_freeze_count() > 10**5, gc.get_freeze_count()"
    )


def _run(code: str) -> None:
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_folder_of_clips_is_planned_without_pyav(make_clip: Callable[[Path], Path], tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mov", "c.mkv"):
        make_clip(tmp_path / name)
    _run(
        "import sys; from foleygen.batch.plan import plan; from foleygen.batch.discover import discover;"
        "from foleygen.settings import Settings;"
        f"found = [item.output.suffix for item in plan(discover([{str(tmp_path)!r}], output=None), Settings())];"
        "assert found == ['.mp4', '.mov', '.mkv'], found;"
        "sys.exit(str({'av', 'numpy'} & set(sys.modules)) if {'av', 'numpy'} & set(sys.modules) else 0)"
    )
