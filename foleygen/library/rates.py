"""Sounds that are whole in memory, at another rate. Arrays are (..., S): time is the last axis."""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly


def changed(samples: NDArray[np.float32], rate_in: int, rate_out: int) -> NDArray[np.float32]:
    """``samples`` at ``rate_in`` Hz as they are at ``rate_out`` Hz: the same where these are one."""
    if rate_in == rate_out:
        return samples
    common = gcd(rate_in, rate_out)
    return np.asarray(resample_poly(samples, rate_out // common, rate_in // common, axis=-1), np.float32)
