"""What recordings say of themselves: names, folders, chunks, tags, manifests, and the sounds that these words name."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from foleygen.cues import markup
from foleygen.cues.words import Sound, recognise, table
from foleygen.errors import UsageError
from foleygen.library import listing, tags, ucs
from foleygen.library.listing import Listed
from foleygen.library.naming import said, spaced
from foleygen.library.tags import Tags
from foleygen.media.wav_chunks import chunk

NOTHING = Tags()


@pytest.mark.parametrize(
    ("text", "family", "material"),
    [
        ("Boots walking on gravel, slow", "footsteps", "stone"),
        ("Zoom H5 take three", None, None),
        ("wine glass put on a wooden table", "crockery", "wood"),
        ("drum drum knock", "drum", None),
        ("knock drum", "knock", None),
        ("steel", None, "metal"),
        ("", None, None),
    ],
)
def test_words_are_recognised_among_others(text: str, family: str | None, material: str | None) -> None:
    assert recognise(text).sound == Sound(family, material)


def test_words_that_name_nothing_are_told() -> None:
    assert recognise("Zoom footsteps on a squeaky floor 12").unknown == ("zoom", "squeaky", "12")


@pytest.mark.parametrize(
    ("stem", "catid", "fx_name", "credit"),
    [
        ("DOORWood_Slam Hard Bedroom_JD_HOUSE1", "DOORWood", "Slam Hard Bedroom", "JD, HOUSE1"),
        ("FEETHmn-BOOTS_Gravel Walk_JD_OUT_take 3_MKH", "FEETHmn", "BOOTS Gravel Walk", "JD, OUT"),
        ("GLASImpt_Clink", "GLASImpt", "Clink", None),
        ("RAIN_Roof", "RAIN", "Roof", None),
    ],
)
def test_names_of_the_universal_category_system(stem: str, catid: str, fx_name: str, credit: str | None) -> None:
    assert ucs.parsed(stem) == ucs.Name(catid, fx_name, credit)


@pytest.mark.parametrize("stem", ["footstep_01", "SM_57", "Glass_Clink", "DOORWood", "_", "GLASImpt"])
def test_other_names_are_none_of_it(stem: str) -> None:
    assert ucs.parsed(stem) is None


@pytest.mark.parametrize(
    ("catid", "family", "material"),
    [
        ("DOORWood", "door", "wood"),
        ("DOORKnck", "knock", None),
        ("DRWRMetl", "door", "metal"),
        ("FEETHmn", "footsteps", None),
        ("FEETHors", None, None),
        ("GLASImpt", None, "glass"),
        ("FOODGware", "crockery", "glass"),
        ("WATRDrip", "drip", "water"),
        ("RAINConc", "rain", None),
        ("VOXScrm", None, None),
        (None, None, None),
    ],
)
def test_what_categories_stand_for(catid: str | None, family: str | None, material: str | None) -> None:
    assert ucs.sound_of(catid) == Sound(family, material)


def test_every_category_stands_for_sounds_that_there_are() -> None:
    for sound in (*ucs._CATEGORIES.values(), *ucs._SUBCATEGORIES.values()):
        assert sound.family is None or sound.family in table().families
        assert sound.material is None or sound.material in table().materials
    assert set(ucs._MATERIALS.values()) <= set(table().materials)


def test_names_are_words() -> None:
    assert spaced("WoodDoor_Slam02-hardTAKE") == "Wood Door Slam 02 hard TAKE"
    assert spaced("Schließen ドア") == "Schließen ドア"


def test_what_is_nearest_to_the_sound_is_believed_first() -> None:
    folders = "Metal/Footsteps/"
    assert said(f"{folders}take 1.wav", NOTHING, None).family == "footsteps"
    assert said(f"{folders}take 1.wav", NOTHING, None).material == "metal"
    assert said(f"{folders}knock on wood.wav", NOTHING, None).family == "knock"
    assert said(f"{folders}knock on wood.wav", NOTHING, None).material == "wood"
    named = said(f"{folders}DOORGlas_knock.wav", NOTHING, None)
    assert (named.catid, named.family, named.material) == ("DOORGlas", "door", "glass")
    listed = Listed("glass bottle", None, "CC0-1.0", "somebody", "d")
    found = said(f"{folders}take 1.wav", Tags(licence="mine", author="me"), listed)
    assert (found.family, found.material, found.licence, found.source) == ("crockery", "glass", "CC0-1.0", "somebody")
    described = said("take 1.wav", Tags("a door slams", "DOORWood", "mine", "me"), None)
    assert (described.catid, described.family, described.material) == ("DOORWood", "door", "wood")
    assert (described.licence, described.source) == ("mine", "me")
    assert described.words == "DOORWood take 1 a door slams"


def test_a_name_of_any_bytes_becomes_words() -> None:
    found = said("glass/\udcff\n\x1b[2J clink.wav", NOTHING, None)
    assert found.words.isprintable()
    assert found.family == "crockery"
    found.words.encode("utf-8")


def wav(path: Path, *chunks: bytes, form: bytes = b"RIFF", announced: int | None = None) -> Path:
    """A wav of 100 samples with chunks after its samples."""
    samples = bytes(200)
    large = chunk(b"ds64", struct.pack("<QQQI", 0, len(samples), 100, 0)) if form != b"RIFF" else b""
    data = b"data" + struct.pack("<I", len(samples) if form == b"RIFF" else 0xFFFFFFFF) + samples
    body = b"WAVE" + large + chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 48000, 96000, 2, 16)) + data + b"".join(chunks)
    path.write_bytes(form + struct.pack("<I", len(body) if announced is None else announced) + body)
    return path


IXML = b"""<?xml version="1.0"?><BWFXML><NOTE>in the yard</NOTE><ASWG><catId>GLASImpt</catId>
<fxName>Bottle Clink</fxName></ASWG></BWFXML>"""


@pytest.mark.parametrize("form", [b"RIFF", b"RF64", b"BW64"])
def test_chunks_are_read_wherever_they_are(form: bytes, tmp_path: Path) -> None:
    bext = chunk(b"bext", b"Two bottles\r\non stone".ljust(602, b"\0"))
    path = wav(tmp_path / "a.wav", bext, chunk(b"iXML", IXML + b"\0\0"), form=form)
    found = tags.read(path, {"title": "clinks", "copyright": "CC BY", "artist": "me\x07"})
    assert found == Tags("Two bottles on stone Bottle Clink in the yard clinks", "GLASImpt", "CC BY", "me")


@pytest.mark.parametrize(
    "content",
    [
        b"no xml",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><BWFXML><NOTE>&a;</NOTE></BWFXML>",
        b"<BWFXML>" + b"<A>" * 300,
        b"",
        b"\xff\xfe\x00",
    ],
)
def test_what_is_broken_says_nothing(content: bytes, tmp_path: Path) -> None:
    assert tags.read(wav(tmp_path / "a.wav", chunk(b"iXML", content)), {}) == NOTHING
    with pytest.raises(ValueError):
        markup.tree(content)


def test_a_file_that_is_cut_off_says_what_it_has(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", chunk(b"bext", b"steps".ljust(602, b"\0")), b"LIST\xff\xff\xff\xffab")
    assert tags.read(path, {}).words == "steps"
    path.write_bytes(path.read_bytes()[:20])
    assert tags.read(path, {}) == NOTHING


@pytest.mark.parametrize("suffix", ["flac", "ogg", "wav"])
def test_tags_of_other_formats(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    with soundfile.SoundFile(path, "w", 48000, 1) as file:
        file.title, file.artist, file.copyright = "Door slam", "Somebody", "CC0"
        file.write(np.zeros(4800))
    with soundfile.SoundFile(path) as file:
        found = tags.read(path, file.copy_metadata())
    assert (found.words, found.author, found.licence) == ("Door slam", "Somebody", "CC0")


def test_a_manifest_is_read(tmp_path: Path) -> None:
    path = tmp_path / listing.NAME
    text = 'file\tclass\tLicence\tauthor\tsource\nb/a.wav\tglass "x"\tCC0\tme\thttp://there\nb.wav\t\t\n\nx\ty\tz\tz\tz\tz\n'
    path.write_text(text)
    found = listing.read(path)
    line = found["b/a.wav"]
    assert (line.words, line.licence, line.source) == ('glass "x"', "CC0", "me, http://there")
    assert (found["b.wav"].words, found["b.wav"].licence, found["b.wav"].source) == ("", None, None)
    path.write_text(text.replace("CC0", "CC BY"))
    assert listing.read(path)["b/a.wav"].digest != line.digest


@pytest.mark.parametrize("content", [b"", b"name\tclass\n", b"\xff\xfe\n"])
def test_a_manifest_that_is_none_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / listing.NAME).write_bytes(content)
    with pytest.raises(UsageError, match=r"manifest\.tsv"):
        listing.read(tmp_path / listing.NAME)
