"""CLAP as it lies on disk: the real classes at a small size, with random weights and an alphabet for a vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch


def save_clap(folder: Path) -> Path:
    """Write it to ``folder``."""
    transformers = pytest.importorskip("transformers")
    alphabet = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyz", "Ġ"]
    tokenizer = transformers.RobertaTokenizer(vocab={word: i for i, word in enumerate(alphabet)}, merges=[])
    text = {"vocab_size": len(alphabet), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 60}  # fmt: skip
    audio = {"depths": [1, 1, 1, 1], "hidden_size": 64, "patch_embeds_hidden_size": 8,
             "num_attention_heads": [1, 1, 1, 1]}  # fmt: skip
    torch.manual_seed(0)
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=512)
    transformers.ClapModel(config).save_pretrained(folder)
    transformers.ClapProcessor(transformers.ClapFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder
