"""Words that the table of sounds does not have -> those of it that are nearest in meaning, as CLAP hears them.

How near is near enough is found out each time, on the words of the table: each is left out in turn and looked for among
the others. N phrases, D dimensions of unit vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foleygen.cues.words import Sound, phrases
from foleygen.errors import SetupError
from foleygen.models.clap import Clap, load_clap
from foleygen.weights import store
from foleygen.weights.published.presets import CLAP

RIGHT = 0.9
"""Of the words of the table that are as near as that to another one, this share means the same as it."""
PROMPT = "This is a sound of {}."

Vectors = NDArray[np.float32]


def nearest(text: str) -> str | None:
    """The known words nearest to ``text``; None if none are near, or CLAP or transformers is not installed.

    Raises BundleError for a CLAP that cannot be read.
    """
    folder = store.folder_of(CLAP)
    if not text.strip() or not folder.is_dir():
        return None
    try:
        clap = load_clap(folder)
    except SetupError:
        return None
    return nearest_by(clap, text)


def nearest_by(clap: Clap, text: str) -> str | None:
    """The same, by this CLAP."""
    known = phrases()
    vectors = clap.text([PROMPT.format(phrase) for phrase in (*known, text)]).numpy()
    least = threshold(vectors[:-1], list(known.values()))
    cosines = vectors[:-1] @ vectors[-1]
    best = int(cosines.argmax())
    if least is None or cosines[best] < least:
        return None
    family, material = list(known.values())[best]
    return " ".join(word for word in (material, family) if word is not None)


def threshold(vectors: Vectors, meanings: Sequence[Sound]) -> float | None:
    """The least cosine from which on RIGHT of the phrases (N, D) mean the same as their nearest one; None without any.

    Phrases that nothing else means are left out: they could not be found.
    """
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    neighbours = cosines.argmax(axis=1)
    able = [index for index, meaning in enumerate(meanings) if meanings.count(meaning) > 1]
    nearness = np.array([cosines[index, neighbours[index]] for index in able])
    right = np.array([meanings[index] == meanings[int(neighbours[index])] for index in able], dtype=np.float64)
    order = np.argsort(-nearness, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(shares >= RIGHT)
    return float(nearness[order][enough[-1]]) if len(enough) else None
