"""What a procedural clip can show: families, materials, and what is kept out of training for good."""

from __future__ import annotations

from dataclasses import dataclass

VERSION = 1
"""Raised whenever the same seed would give another clip."""

TEST_SEEDS = range(1_000_000, 1_100_000)
"""Seeds that training never uses."""

HELD_OUT_FAMILY = "dominoes"
HELD_OUT_MATERIAL = "ceramic"


@dataclass(frozen=True)
class Acoustics:
    """How a body of one material answers a blow.

    ``pitch_hz`` is the lowest mode of a body 0.1 m long; modes scale with 1 / length (isotropic bodies of one
    shape). ``decay_s`` is the time to fall by 60 dB at 1 kHz, ``slope`` how much faster high modes die
    (exponent). ``noise`` is the share of the contact's own broadband burst, ``hardness_hz`` the corner of the
    contact's spectrum for a blow of full strength.
    """

    ratios: tuple[float, ...]
    pitch_hz: float
    decay_s: float
    slope: float
    noise: float
    hardness_hz: float


BAR = (1.0, 2.756, 5.404, 8.933, 13.34)
PLATE = (1.0, 1.59, 2.29, 2.83, 3.46, 4.15, 5.02, 6.11, 7.35)
SHELL = (1.0, 2.32, 4.25, 6.63, 9.38)
MEMBRANE = (1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.5)
BLOCK = (1.0, 1.42, 1.87, 2.55, 3.1, 3.9, 4.6)

ACOUSTICS: dict[str, Acoustics] = {
    "wood": Acoustics((*BAR, 1.9, 3.7), 620.0, 0.14, 0.7, 0.35, 2600.0),
    "metal": Acoustics(PLATE, 1050.0, 1.1, 0.35, 0.15, 6500.0),
    "glass": Acoustics(SHELL, 1750.0, 0.55, 0.45, 0.15, 7000.0),
    "ceramic": Acoustics((*SHELL, 1.6, 3.3), 1450.0, 0.24, 0.45, 0.25, 5200.0),
    "plastic": Acoustics(BLOCK, 480.0, 0.07, 0.5, 0.45, 2400.0),
    "stone": Acoustics(BLOCK, 1600.0, 0.06, 0.3, 0.7, 4200.0),
    "rubber": Acoustics((1.0, 1.7, 2.4), 170.0, 0.09, 0.9, 0.4, 700.0),
    "skin": Acoustics(MEMBRANE, 330.0, 0.32, 0.8, 0.25, 1700.0),
    "leather": Acoustics((1.0, 1.5, 2.2), 230.0, 0.05, 0.7, 1.0, 1300.0),
    "cloth": Acoustics((1.0, 1.6), 150.0, 0.035, 0.8, 1.3, 750.0),
    "paper": Acoustics((1.0, 1.9), 700.0, 0.03, 0.3, 1.6, 5200.0),
    "water": Acoustics((1.0,), 900.0, 0.08, 0.4, 0.8, 3000.0),
}

MATERIALS: tuple[str, ...] = tuple(ACOUSTICS)

SOLID = ("wood", "metal", "glass", "ceramic", "plastic", "stone", "rubber")

FAMILY_MATERIALS: dict[str, tuple[str, ...]] = {
    "bounce": (*SOLID, "leather"),
    "collide": SOLID,
    "hammer": ("wood", "metal", "stone", "plastic", "ceramic", "glass"),
    "drum": ("skin", "metal", "wood", "plastic"),
    "footsteps": ("wood", "stone", "metal", "leather", "cloth", "water"),
    "knock": ("wood", "metal", "glass", "plastic", "stone"),
    "door": ("wood", "metal", "plastic"),
    "typing": ("plastic", "metal"),
    "clap": ("leather", "wood", "metal"),
    "drip": ("water", "metal", "plastic"),
    "splash": ("water",),
    "clock": ("metal", "wood", "plastic"),
    "crockery": ("glass", "ceramic", "metal", "plastic"),
    "chop": ("wood", "plastic", "stone"),
    "saw": ("wood", "metal", "plastic"),
    "sand": ("wood", "stone", "paper"),
    "drop": (*SOLID, "leather", "cloth", "paper"),
    "engine": ("metal",),
    "rain": ("water",),
    "fire": ("wood",),
    "wind": ("cloth",),
    "waves": ("water",),
    "dominoes": ("wood", "plastic", "stone", "ceramic"),
}

FAMILIES: tuple[str, ...] = tuple(FAMILY_MATERIALS)
CONTINUOUS: tuple[str, ...] = ("engine", "rain", "fire", "wind", "waves")
TRAINING_FAMILIES: tuple[str, ...] = tuple(name for name in FAMILIES if name != HELD_OUT_FAMILY)

DRAW_WEIGHTS: dict[str, float] = {
    "bounce": 1.3, "collide": 1.2, "hammer": 1.5, "drum": 1.5, "footsteps": 1.3, "knock": 1.2, "chop": 1.3,
    "clap": 1.1, "drop": 1.2, "crockery": 1.1, "drip": 0.7, "clock": 0.6, "splash": 0.8, "typing": 0.8,
    "engine": 0.6, "rain": 0.6, "fire": 0.6, "wind": 0.5, "waves": 0.6,
}  # fmt: skip
"""How often a family is drawn relative to the others (1 where not listed): impacts with a visible sudden stop
are what carries over to filmed clips."""


def training_materials(family: str) -> tuple[str, ...]:
    """The materials of a family without the held-out one."""
    return tuple(name for name in FAMILY_MATERIALS[family] if name != HELD_OUT_MATERIAL)
