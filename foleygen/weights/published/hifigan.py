"""The published HiFi-GAN vocoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foleygen.errors import BundleError, SetupError
from foleygen.weights.published.checkpoint import _checked, _read_json, _weights_in, read_checkpoint, shapes_of


def convert_vocoder(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A ``vocoder/`` folder of AudioLDM: HiFiGANConfig's fields and the weights under their published names."""
    try:
        from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig
    except ImportError as error:
        raise SetupError("the vocoder needs the package transformers", "pip install 'foleygen[base]'") from error
    stored = _read_json(path / "config.json")
    if stored.get("normalize_before", True):
        fact = "asks for normalised input, which AudioLDM's vocoder does not"
        raise BundleError(f"{path / 'config.json'}: {fact}", "name the vocoder/ folder of AudioLDM")
    defaults = SpeechT5HifiGanConfig().to_dict()
    options = {name: stored.get(name, defaults[name]) for name in HIFIGAN_OPTIONS}
    expected = shapes_of(lambda: SpeechT5HifiGan(SpeechT5HifiGanConfig(**options, normalize_before=False)))
    file = _weights_in(path, ("model.safetensors", "pytorch_model.bin"))
    bands = options["model_in_dim"]
    # without normalisation these two are never read, and not every file has them
    state = {"mean": torch.zeros(bands), "scale": torch.ones(bands), **read_checkpoint(file)}
    weights = _checked(file, "HiFi-GAN", state, expected)
    return {ours: options[theirs] for theirs, ours in HIFIGAN_OPTIONS.items()}, weights


HIFIGAN_OPTIONS = {
    "model_in_dim": "num_mels",
    "sampling_rate": "sample_rate",
    "upsample_initial_channel": "upsample_initial_channel",
    "upsample_rates": "upsample_rates",
    "upsample_kernel_sizes": "upsample_kernel_sizes",
    "resblock_kernel_sizes": "resblock_kernel_sizes",
    "resblock_dilation_sizes": "resblock_dilation_sizes",
    "leaky_relu_slope": "leaky_relu_slope",
}
"""transformers' names of the vocoder's options, and those of HiFiGANConfig."""
