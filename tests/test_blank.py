"""Models that are made without initial values."""

from __future__ import annotations

import subprocess
import sys

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


def test_loading_the_models_does_not_import_the_compiler() -> None:
    code = (
        "import sys; from foleygen.weights import bundle, store; from foleygen.pipeline import Engine;"
        "Engine.load(bundle.load(store.resolve('tiny')), 'cpu', 'fp32');"
        "sys.exit('torch._dynamo' in sys.modules or 'sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
