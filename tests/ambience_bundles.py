"""Ambience bundles of the embedded geometry with random weights: a window takes some tenths of a second."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from foleygen.audio.mel import MelConfig
from foleygen.audio.vocos import VocosVocoder
from foleygen.engines.composer import Composer
from foleygen.models.specmaskgit import SpecMaskGIT, SpecMaskGITConfig
from foleygen.models.vqgan import VQGAN, VQGANConfig
from foleygen.weights import ambience
from foleygen.weights.ambience import AmbienceBundle, AmbienceSpec, DecodingSpec
from foleygen.weights.spec import MelSpec, VocoderSpec

TAGS = ("rain", "wind", "fire", "clock")
MEL = MelConfig(44100, 2048, 512, 128, 0.0, 22050.0)
TOKENIZER = VQGANConfig(codebook_size=32, code_dim=4, widths=(8, 8, 8))
TRANSFORMER = SpecMaskGITConfig(
    grid=(8, 53), hidden_size=16, depth=1, num_heads=2, condition_dim=len(TAGS), codebook_size=32
)
VOCODER = {"hidden_size": 8, "depth": 1, "expansion": 1, "corrections": 1}


def write_ambience(folder: Path, seed: int = 0, name: str = "noises") -> AmbienceBundle:
    """A bundle that knows TAGS and decodes in two steps."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tokenizer, transformer = VQGAN(TOKENIZER), SpecMaskGIT(TRANSFORMER)
        vocoder = VocosVocoder(MEL, **VOCODER)
    spec = AmbienceSpec(
        name=name,
        licence="CC0-1.0",
        commercial=True,
        sample_rate=MEL.sample_rate,
        mel=MelSpec(n_fft=MEL.n_fft, hop_length=MEL.hop_length, num_mels=MEL.num_mels, f_min=0.0, f_max=MEL.f_max),
        tokenizer=asdict(TOKENIZER),
        transformer=asdict(TRANSFORMER),
        conditioning="tags",
        tags=TAGS,
        vocoder=VocoderSpec(kind="vocos", options=VOCODER),
        decoding=DecodingSpec(steps=2, schedule="cosine", temperature=4.5, guidance_scale=2.0, guidance="constant"),
    )
    states = {
        "tokenizer": tokenizer.state_dict(),
        "transformer": transformer.state_dict(),
        "vocoder": vocoder.network.state_dict(),
    }
    return ambience.save(folder, spec, states, licence_text="Test weights.\n", model_card="Random numbers.\n")


def load_composer(folder: Path) -> Composer:
    return Composer.load(ambience.load(folder), "cpu")
