"""What a bundle may ask for: beyond these limits its settings are a mistake or a trap, and would take all memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from foleygen.errors import BundleError

if TYPE_CHECKING:
    from foleygen.weights.spec import BundleSpec

MAX_WIDTH = 2**16
"""Any whole number of a model's settings: channels, tokens, bands, sides of a picture."""
MAX_DEPTH = 1024
"""Layers of a model, iterations of a vocoder, steps of the sampler."""
MAX_RATE = 2**20
"""Samples or pictures per second."""
MIN_WINDOW_S, MAX_WINDOW_S = Fraction(1, 10), Fraction(600)
MAX_PICTURE_BYTES = 2**31
"""The pictures of one window."""

_DEPTHS = ("depth", "layers", "iterations", "steps")


def check(spec: BundleSpec, where: str) -> None:
    """Raises BundleError for the first setting of ``spec`` that no bundle has use for; ``where`` opens the message."""
    encoder = spec.encoder
    _within(f"{where}: sample_rate", spec.sample_rate, MAX_RATE)
    _within(f"{where}: encoder.frame_rate", encoder.frame_rate, MAX_RATE)
    _within(f"{where}: sampling.num_inference_steps", spec.sampling.num_inference_steps, MAX_DEPTH)
    window_s = Fraction(spec.window_samples, spec.sample_rate)
    if not MIN_WINDOW_S <= window_s <= MAX_WINDOW_S:
        fact = f"window_samples makes windows of {float(window_s):g} s"
        raise BundleError(f"{where}: {fact}", f"give {float(MIN_WINDOW_S):g} to {float(MAX_WINDOW_S):g} s")
    settings = {
        "mel": vars(spec.mel),
        "encoder": vars(encoder),
        "transformer": spec.transformer,
        "autoencoder": spec.autoencoder.config,
        "vocoder": spec.vocoder.options,
        "cues": {} if spec.cues is None else vars(spec.cues),
        "level": {} if spec.level is None else vars(spec.level),
        "student": {} if spec.student is None else vars(spec.student),
        "classifier": {} if spec.classifier is None else vars(spec.classifier),
    }
    check_numbers(settings, where)
    if encoder.num_frames * encoder.frame_size**2 * 3 > MAX_PICTURE_BYTES:
        raise BundleError(f"{where}: encoder has too large or too many pictures", "correct it or get another bundle")


def check_numbers(settings: Mapping[str, Any], where: str) -> None:
    """Raises BundleError for the first number in nested ``settings`` that no model has use for."""
    for path, value in _numbers(settings):
        depth = any(word in path for word in _DEPTHS)
        _within(f"{where}: {path}", value, MAX_DEPTH if depth else MAX_WIDTH)


def _within(where: str, value: float | Fraction, most: int) -> None:
    if not -most <= value <= most:  # so that NaN is refused too
        raise BundleError(f"{where} is beyond {most}, or no number", "correct it or get another bundle")


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in nested mappings and lists, with the keys that lead to them."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _numbers(entry, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _numbers(entry, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value
