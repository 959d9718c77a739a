"""Words for sounds: what is understood, and what is said of the rest."""

from __future__ import annotations

import pytest

from foleygen.cues import words
from foleygen.cues.words import Sound, understand
from foleygen.errors import ExitCode, UsageError
from foleygen.scenes import catalogue


def test_the_table_is_that_of_the_scenes() -> None:
    known = words.table()
    assert tuple(known.families) == catalogue.FAMILIES
    assert tuple(known.materials) == catalogue.MATERIALS
    for name, family in known.families.items():
        assert set(family.materials) == set(catalogue.FAMILY_MATERIALS[name]), name
    for name, thing in known.things.items():
        assert thing.material in known.families[thing.family].materials, name


def test_no_word_means_two_things() -> None:
    known = words.table()
    every = [
        (name, *entry.words) for part in (known.families, known.materials, known.things) for name, entry in part.items()
    ]
    spoken = [words._spoken(phrase) for phrases in every for phrase in phrases]
    twice = {phrase for phrase in spoken if spoken.count(phrase) > 1}
    assert not twice


@pytest.mark.parametrize("name", [*catalogue.FAMILIES, *catalogue.MATERIALS])
def test_every_name_is_understood_as_itself(name: str) -> None:
    assert name in understand(name)


@pytest.mark.parametrize(
    ("text", "family", "material"),
    [
        ("Footsteps", "footsteps", None),
        ("footstep", "footsteps", None),
        ("walking on gravel", "footsteps", "stone"),
        ("glass", None, "glass"),
        ("glass bottle", "crockery", "glass"),
        ("a plastic bottle", "crockery", "plastic"),
        ("knock on the door", "knock", None),
        ("knocks on a wooden door", None, None),
        ("metal door", "door", "metal"),
        ("Bottle drops", "drop", "glass"),
        ("coins", "drop", "metal"),
        ("dishes", "crockery", None),
        ("hammering/metal", "hammer", "metal"),
    ],
)
def test_plain_words(text: str, family: str | None, material: str | None) -> None:
    if family is material is None:
        with pytest.raises(UsageError, match=r"names 2 sounds \(knock, door\); give each of them its own cue"):
            understand(text)
    else:
        assert understand(text) == Sound(family, material)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("footstepps", "the word 'footstepps' is not known; did you mean 'footstep'"),
        ("hamer on metal", "the word 'hamer' is not known; did you mean 'hammer'"),
        ("Marker 1", "the word 'marker' is not known"),
        ("zither", "the word 'zither' is not known; choose from bounce, .* or see 'foleygen sounds'"),  # leather is far
        ("xylograph", "the word 'xylograph' is not known; choose from bounce, .* water, or see 'foleygen sounds'"),
        ("", "has no word that names a sound"),
        ("on the floor", "has no word that names a sound"),
        ("door and rain", "names 2 sounds"),
        ("glass metal", "names 2 materials"),
        ("glass rain", "rain was never heard with glass; choose from water"),
        ("\x1b[31m", r"the sound '\\x1b\[31m'"),
    ],
)
def test_nothing_is_guessed(text: str, fact: str) -> None:
    with pytest.raises(UsageError, match=fact) as caught:
        understand(text)
    assert caught.value.exit_code == ExitCode.USAGE
    assert not words.is_known(text)


def test_what_a_model_has_not_learnt_is_refused() -> None:
    learnt = {"door", "wood"}
    assert understand("wooden door", learnt) == Sound("door", "wood")
    with pytest.raises(UsageError, match="the model has not learnt metal; choose from door, wood, or see"):
        understand("metal door", learnt)


@pytest.mark.parametrize(
    ("text", "catid"),
    [
        ("footsteps", "FOLYFeet"),
        ("clap", "FOLYHand"),
        ("knock", "FOLYHand"),
        ("cloth", "FOLYClth"),
        ("door", "FOLYProp"),
        ("glass bottle", "FOLYProp"),
        ("rain", "FOLYMisc"),
        ("glass", "FOLYMisc"),
    ],
)
def test_categories_for_file_names(text: str, catid: str) -> None:
    assert understand(text).catid == catid
    assert {family.catid for family in words.table().families.values()} <= {
        "FOLYFeet", "FOLYHand", "FOLYClth", "FOLYProp", "FOLYMisc"
    }  # fmt: skip
