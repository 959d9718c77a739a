"""One function per family: it builds the scene on a ``Stage``."""

from __future__ import annotations

from collections.abc import Callable

from foleygen.scenes.families import bodies, hands, tools, walking, water, weather
from foleygen.scenes.stage import Stage

BUILDERS: dict[str, Callable[[Stage], None]] = {
    "bounce": bodies.bounce,
    "collide": bodies.collide,
    "drop": bodies.drop,
    "dominoes": bodies.dominoes,
    "hammer": tools.hammer,
    "drum": tools.drum,
    "chop": tools.chop,
    "saw": tools.saw,
    "sand": tools.sand,
    "knock": hands.knock,
    "door": hands.door,
    "typing": hands.typing,
    "clap": hands.clap,
    "crockery": hands.crockery,
    "footsteps": walking.footsteps,
    "clock": walking.clock,
    "drip": water.drip,
    "splash": water.splash,
    "waves": water.waves,
    "rain": water.rain,
    "engine": weather.engine,
    "fire": weather.fire,
    "wind": weather.wind,
}
