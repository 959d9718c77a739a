"""Windows of sound as tokens with their condition, in one file: what ``train specmaskgit`` learns from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from foleygen.atomic import publish
from foleygen.errors import UsageError
from foleygen.models.vqgan import VQGAN
from foleygen.strict import Reader
from foleygen.training import outputs, stored
from foleygen.training.ambience.windows import Windows
from foleygen.weights.tags import table

Conditioning = Literal["tags", "clap"]
FILE = "tokens.npz"


@dataclass(frozen=True)
class _Meta:
    """What the file says of itself, as JSON in the array ``meta``."""

    conditioning: Conditioning
    tags: tuple[str, ...]


@dataclass(frozen=True)
class TokenSet:
    """``tokens`` (windows, R, W), ``conditions`` (windows, C): tag weights in the order of ``tags``, or CLAP's; and the
    tokenizer's ``codebook`` (K, D)."""

    tokens: NDArray[np.int16]
    conditions: NDArray[np.float32]
    codebook: NDArray[np.float32]
    conditioning: Conditioning
    tags: tuple[str, ...]

    def save(self, folder: Path) -> None:
        """Write ``tokens.npz`` whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        meta = json.dumps({"conditioning": self.conditioning, "tags": self.tags})
        with publish(folder / FILE) as temporary, open(temporary, "wb") as handle:
            np.savez(
                handle,
                tokens=self.tokens,
                conditions=self.conditions,
                codebook=self.codebook,
                meta=np.array(meta),
            )

    @classmethod
    def load(cls, folder: Path) -> TokenSet:
        """Raises UsageError when there is none."""
        path, make = folder / FILE, outputs.OUTPUTS["tokens"].made
        if not path.exists():
            raise outputs.not_held(folder, "tokens", "holds no tokens")
        arrays = stored.arrays(path, ("tokens", "conditions", "codebook", "meta"), make)
        try:
            content = json.loads(str(arrays["meta"]))
        except ValueError as error:
            raise UsageError(f"{path}: what it says of itself is not JSON", make) from error
        meta = Reader(UsageError).section(_Meta, content, f"{path}: meta")
        return cls(arrays["tokens"], arrays["conditions"], arrays["codebook"], meta.conditioning, meta.tags)


def encode(
    windows: Windows,
    tokenizer: VQGAN,
    conditioning: Conditioning = "tags",
    tags: Sequence[str] | None = None,
    on_window: Callable[[int, int], None] | None = None,
) -> TokenSet:
    """The windows' tokens. ``tags`` is the order of the tags, else the table's, of those that occur.

    Raises UsageError when the windows were made for another tokenizer, or without a listener for "clap".
    """
    config, mel = tokenizer.config, windows.config.mel
    if (config.num_mels, config.num_frames) != (mel.num_mels, windows.config.frames):
        fact = f"{windows.folder}: has mels of {mel.num_mels} x {windows.config.frames}"
        raise UsageError(fact, f"the tokenizer wants {config.num_mels} x {config.num_frames}")
    if conditioning == "clap" and windows.heard is None:
        raise UsageError(f"{windows.folder}: was made without CLAP", "make it with foleygen train windows --clap")
    named = {tag for record in windows.records for tag in record.tags}
    order = tuple(tags) if tags is not None else tuple(tag for tag in table() if tag in named)
    device = next(tokenizer.parameters()).device
    tokens = np.zeros((len(windows), *config.grid), np.int16)
    for row in range(len(windows)):
        picture = torch.from_numpy(windows.mels[row].astype(np.float32))[None].to(device)
        tokens[row] = tokenizer.encode(picture)[0].cpu().numpy()
        if on_window is not None:
            on_window(row + 1, len(windows))
    codebook = tokenizer.quantiser.book().detach().cpu().numpy()
    if conditioning == "clap":
        assert windows.heard is not None
        return TokenSet(tokens, windows.heard, codebook, "clap", ())
    return TokenSet(tokens, windows.tag_weights(order), codebook, "tags", order)
