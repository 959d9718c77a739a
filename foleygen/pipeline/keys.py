"""What the feature cache calls that which is known of a clip. No torch here: it is asked while that is imported."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from foleygen.features.cache import PREPROCESSING_VERSION, FeatureCache, feature_key
from foleygen.media.cuts import DETECTION_VERSION
from foleygen.media.probe import ClipInfo
from foleygen.weights.bundle import Bundle

_DIGIT = 2**16


def window_length_s(bundle: Bundle) -> Fraction:
    """Seconds of picture that a window's features are of."""
    return Fraction(bundle.encoder.num_frames) / bundle.encoder.frame_rate


def features_key(info: ClipInfo, start_s: Fraction, bundle: Bundle) -> str:
    """Of the features of the window that begins ``start_s`` seconds after the first picture."""
    return feature_key(info.content_id, start_s, window_length_s(bundle), bundle.encoder_hash, PREPROCESSING_VERSION)


def known_cuts(info: ClipInfo, bundle: Bundle, cache: FeatureCache | None) -> list[int] | None:
    """The first samples of a clip's new shots, if an earlier run has found them all."""
    digits = cache.get(_cuts_key(info, bundle)) if cache is not None else None
    if digits is None:
        return None
    return [int(high) * _DIGIT + int(low) for high, low in digits]


def remember_cuts(cuts: Sequence[int], info: ClipInfo, bundle: Bundle, cache: FeatureCache) -> None:
    """Keep them for the next run."""
    # The cache holds float32, whose whole numbers end at 2^24: in two digits.
    digits = np.divmod(np.array(cuts, np.int64), _DIGIT)
    cache.put(_cuts_key(info, bundle), np.stack(digits, axis=1).astype(np.float32))


def _cuts_key(info: ClipInfo, bundle: Bundle) -> str:
    found_on = f"cuts on {bundle.encoder.frame_size} pixels in samples of 1/{bundle.sample_rate} s"
    return feature_key(info.content_id, Fraction(0), info.duration, found_on, DETECTION_VERSION)
