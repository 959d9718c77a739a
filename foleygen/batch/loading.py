"""What a run works with, loaded when it is needed: bundles, the library, the engine, the cache.

Everything heavy is imported here by the functions that need it.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

from foleygen.batch import cores
from foleygen.batch.collector import resting
from foleygen.settings import Settings

if TYPE_CHECKING:
    from foleygen.features.cache import FeatureCache
    from foleygen.pipeline import Engine
    from foleygen.pipeline.voices.shelf import Shelf
    from foleygen.weights.ambience import AmbienceBundle
    from foleygen.weights.bundle import Bundle

log = logging.getLogger(__name__)

GPU_BATCH = 8
"""Windows at once on a GPU by ``--batch-size auto``; one on the CPU, where more gains nothing."""


def load_bundle(settings: Settings) -> Bundle:
    """The bundle that ``settings.model`` names, verified.

    Raises UsageError where it is to be guided by a classifier that it does not have.
    """
    from foleygen.weights import store
    from foleygen.weights.bundle import Bundle

    found = store.load(settings.model, Bundle)
    found.classifier_scale(settings.classifier_guidance)
    return found


def load_ambience(settings: Settings) -> AmbienceBundle | None:
    """The second engine's bundle, verified; None where it has nothing to do. Raises UsageError for words that it does
    not know."""
    if not settings.composes:
        return None
    from foleygen.engines.words import understand
    from foleygen.weights import store
    from foleygen.weights.ambience import AmbienceBundle

    found = store.load(settings.ambience_model, AmbienceBundle)
    if settings.ambience is not None:
        log.warning("ambience: %s", understand(settings.ambience, found))
    return found


def load_library(settings: Settings) -> Shelf | None:
    """The library that plays the hits; None where the model does. Raises UsageError where it cannot be used.

    ``plan.check_voice`` comes before it.
    """
    if settings.voice == "model" or settings.library is None:
        return None
    from foleygen.pipeline.voices.shelf import opened

    return opened(settings.library, settings.library_index)


def load_engine(settings: Settings, bundle: Bundle) -> Engine:
    """The bundle on its device; all that makes sound is imported with it."""
    with resting():
        import torch

        from foleygen.pipeline import Engine

        import_module("foleygen.pipeline.rendering")

        count = cores.threads(settings.threads)
        if count is not None:
            torch.set_num_threads(count)
        return Engine.load(bundle, settings.device, settings.precision)


def feature_cache(settings: Settings) -> FeatureCache | None:
    """The user's feature cache, or None with ``--no-cache``."""
    if not settings.cache:
        return None
    from foleygen.features.cache import FeatureCache, default_root

    return FeatureCache(default_root())


def batch_size(settings: Settings, device: str) -> int:
    """Windows at once: as asked, else what suits the device."""
    return settings.batch_size or (1 if device.startswith("cpu") else GPU_BATCH)
