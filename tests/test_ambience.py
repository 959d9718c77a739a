"""The second engine on small random weights: bundles, words, beds, continuations, repaired joints."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ambience_bundles import MEL, TAGS, load_composer, write_ambience
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from foleygen.ambience import extend, repair
from foleygen.ambience.bed import bed
from foleygen.ambience.inpaint import Ask, ramp, spliced
from foleygen.ambience.outpaint import PREFIX, continued
from foleygen.audio import seams
from foleygen.audio.mel import MelSpectrogram
from foleygen.audio.runs import runs
from foleygen.engines.composer import Composer
from foleygen.engines.words import understand
from foleygen.errors import BundleError, UsageError
from foleygen.training.ambience.packing import VOCODER_WEIGHTS, Sources, pack_ambience
from foleygen.training.packing import Terms
from foleygen.weights import ambience, bundle, parts, store
from foleygen.weights.ambience import AmbienceBundle
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import MANIFEST, tensors

RATE = MEL.sample_rate


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    folder = tmp_path_factory.mktemp("bundles") / "noises"
    write_ambience(folder)
    return load_composer(folder)


def asked(composer: Composer, *key: object, words: str | None = None) -> Ask:
    condition = composer.condition(understand(words, composer.bundle)) if words else None
    return Ask(key, condition, composer.defaults, 1)


def test_a_bundle_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = write_ambience(tmp_path / "b")
    assert ambience.load(saved.path) == saved == store.load(saved.path)
    assert saved.tags == TAGS
    assert set(saved.parts) == set(ambience.PARTS)


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    saved = write_ambience(tmp_path / "b")
    file = saved.path / saved.parts["tokenizer"].file
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match="SHA-256"):
        ambience.load(saved.path)


def test_the_kinds_of_bundles_are_not_mistaken_for_each_other(tmp_path: Path, random_bundle: Path) -> None:
    saved = write_ambience(tmp_path / "b")
    with pytest.raises(BundleError, match="makes ambience; name a bundle that makes sound from pictures"):
        bundle.load(saved.path)
    with pytest.raises(BundleError, match="makes ambience"):
        store.load(str(saved.path), Bundle)
    assert store.load(str(saved.path), AmbienceBundle) == saved
    assert isinstance(store.load("tiny", Bundle, verify=False), Bundle)
    with pytest.raises(BundleError, match="makes sound from pictures; name a bundle that makes ambience"):
        ambience.load(random_bundle)


def test_settings_that_would_take_all_memory_are_refused(tmp_path: Path) -> None:
    saved = write_ambience(tmp_path / "b")
    manifest = saved.path / MANIFEST
    manifest.write_text(re.sub(r"codebook_size: \d+", "codebook_size: 99999999", manifest.read_text()))
    with pytest.raises(BundleError, match="codebook_size"):
        ambience.load(saved.path)


def test_parts_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    saved = write_ambience(tmp_path / "b")
    manifest = saved.path / MANIFEST
    manifest.write_text(manifest.read_text().replace("- clock\n", ""))
    with pytest.raises(BundleError, match="do not fit"):
        load_composer(saved.path)


def test_words_name_tags_or_are_refused_with_what_is_near(composer: Composer) -> None:
    assert understand("Rain, and a howling WIND", composer.bundle).tags == ("rain", "wind")
    for empty in ("", "  \n"):
        with pytest.raises(UsageError, match="prompt is empty"):
            understand(empty, composer.bundle)
    with pytest.raises(UsageError, match=r"did you mean 'rain'.*--list"):
        understand("rian", composer.bundle)
    # The table knows dogs, this bundle does not.
    with pytest.raises(UsageError, match="--list"):
        understand("a barking dog", composer.bundle)


@given(st.text(max_size=40))
@settings(deadline=None)
def test_any_prompt_is_understood_or_refused_in_one_sentence(composer: Composer, prompt: str) -> None:
    try:
        words = understand(prompt, composer.bundle)
    except UsageError as error:
        refusal = str(error)
    else:
        assert set(words.tags) <= set(TAGS)
        condition = composer.condition(words)
        assert condition is not None
        assert float(condition.sum()) == pytest.approx(1)
        return
    assert len(refusal.splitlines()) == 1


@pytest.mark.parametrize("total", [1, 5000, RATE * 12])
def test_a_bed_is_as_long_as_asked_and_comes_back(composer: Composer, total: int) -> None:
    ask = asked(composer, 3, words="rain")
    made = np.concatenate(list(bed(composer, ask, total)))
    assert made.shape == (total,)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    again = np.concatenate(list(bed(composer, asked(composer, 3, words="rain"), total)))
    assert np.array_equal(made, again)


def test_another_seed_or_other_words_are_another_bed(composer: Composer) -> None:
    def first(*key: object, words: str) -> np.ndarray:
        return next(bed(composer, asked(composer, *key, words=words), RATE))

    rain = first(0, words="rain")
    assert not np.array_equal(rain, first(1, words="rain"))
    assert not np.array_equal(rain, first(0, words="wind"))


def test_windows_go_on_where_the_one_before_ended(composer: Composer) -> None:
    """The second window's first columns are the first one's last: nothing jumps where they are faded."""
    chunks = continued(composer, asked(composer, 0))
    first, second = next(chunks)[0], next(chunks)[0]
    assert len(first) == (composer.columns - PREFIX // 2) * composer.column
    assert len(second) == (composer.columns - PREFIX) * composer.column
    steps = np.abs(np.diff(np.concatenate([first[-2000:], second[:2000]])))
    assert steps[1999] <= 3 * np.percentile(steps, 99)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (192000, 1)])
def test_an_extended_sound_goes_on_at_its_own_rate(composer: Composer, rate: int, channels: int) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((channels, 6 * rate)).astype(np.float32)
    end = extend.plan(composer, rate, samples.shape[1])
    heard = samples[:, end.begin :]
    made = np.concatenate(list(extend.extend(composer, heard, rate, end, 2 * rate, asked(composer, 0))), axis=1)
    assert made.shape == (channels, end.fade + 2 * rate)
    assert np.isfinite(made).all()
    assert made.any(axis=1).all()
    # The fade begins with what was there.
    assert np.abs(made[:, 0] - samples[:, -end.fade]).max() < 0.05


def test_a_silent_or_broken_channel_goes_on_in_silence(composer: Composer) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((3, 3 * RATE)).astype(np.float32)
    samples[1], samples[2] = 0, np.nan
    end = extend.plan(composer, RATE, samples.shape[1])
    made = list(extend.extend(composer, samples[:, end.begin :], RATE, end, RATE, asked(composer, 0)))
    found = np.concatenate(made, axis=1)
    assert found[0].any()
    assert not found[1:].any()


def test_too_short_a_sound_cannot_go_on(composer: Composer) -> None:
    with pytest.raises(UsageError, match=r"0\.50 s.*too little to go on from"):
        extend.plan(composer, 48000, 24000)


@given(st.integers(1, 500), st.integers(0, 500), st.integers(0, 500), st.data())
@settings(deadline=None)
def test_a_splice_hears_nothing_of_the_hole(length: int, before: int, after: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(length)
    outside = rng.uniform(-1, 1, (2, before + length + after)).astype(np.float32)
    inside = rng.uniform(-1, 1, outside.shape).astype(np.float32)
    fade = data.draw(st.integers(0, length // 3))
    first, last = before, before + length
    found = spliced(outside, inside, first, last, fade)
    torn = outside.copy()
    torn[:, first:last] = np.nan
    assert np.array_equal(found, spliced(torn, inside, first, last, fade))
    assert np.array_equal(found[:, fade : length - fade], inside[:, first + fade : last - fade])


@given(st.integers(1, 5000))
@settings(deadline=None)
def test_a_fade_has_constant_power(length: int) -> None:
    rising = ramp(length).astype(np.float64)
    assert np.allclose(rising**2 + rising[::-1] ** 2, 1, atol=1e-5)


@given(st.lists(st.booleans(), max_size=60))
@settings(deadline=None)
def test_runs_are_the_masked_stretches(mask: list[bool]) -> None:
    rebuilt = [False] * len(mask)
    for first, last in runs(mask):
        assert first < last
        rebuilt[first:last] = [True] * (last - first)
    assert rebuilt == mask


def jumping(rate: int = 16000) -> tuple[np.ndarray, int]:
    """14 s of noise that is suddenly louder in the middle, and where."""
    samples = 0.02 * np.random.default_rng(0).standard_normal(14 * rate).astype(np.float32)
    samples[7 * rate :] *= 10
    return samples, 7 * rate


def test_a_jump_stands_out_and_noise_does_not() -> None:
    samples, place = jumping()
    even = samples.copy()
    even[place:] /= 10

    def stands(sound: np.ndarray) -> float:
        listen = MelSpectrogram()
        mel = listen(torch.from_numpy(sound)[None])[0].numpy()
        return seams.prominence_db(sound, 16000, mel, listen.config.frame_rate, [(place / 16000, 0.25)])

    assert stands(samples) > 10
    assert stands(even) < 3


def test_a_joint_is_kept_or_becomes_less_prominent(composer: Composer) -> None:
    samples, place = jumping()
    joint = repair.plan(composer, 16000, len(samples), place, 4000)
    assert joint is not None
    stretch = samples[joint.begin : joint.end]
    better = repair.repaired(composer, stretch, 16000, joint, [], asked(composer, 0))
    if better is None:
        return
    column = composer.column / RATE * 16000
    first, last = round(joint.first * column), round((joint.first + repair.COLUMNS) * column)
    changed = np.abs(better - stretch)
    assert changed[: first - 200].max() < 1e-3
    assert changed[last + 200 :].max() < 1e-3
    assert changed[first:last].max() > 1e-3


def test_events_in_a_joint_are_never_covered(composer: Composer) -> None:
    samples, place = jumping()
    joint = repair.plan(composer, 16000, len(samples), place, 4000)
    assert joint is not None
    stretch = samples[joint.begin : joint.end]
    everywhere = np.arange(0, 11, 0.1)
    assert repair.repaired(composer, stretch, 16000, joint, list(everywhere), asked(composer, 0)) is None
    column = composer.column / RATE
    event = (joint.first + 2.5) * column
    mask = repair.columns_to_compose(composer, joint, [event])
    assert not mask[joint.first + 2]
    assert mask[joint.first : joint.first + repair.COLUMNS].sum() == repair.COLUMNS - 1


@given(st.integers(1, 60 * 16000), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_the_stretch_around_a_joint_lies_in_the_sound(composer: Composer, total: int, share: float) -> None:
    joint = repair.plan(composer, 16000, total, round(share * total), 8000)
    if joint is not None:
        assert joint.begin >= -1
        assert joint.end <= total + 1
        assert joint.columns <= composer.columns


def test_finished_parts_become_a_bundle(tmp_path: Path, composer: Composer) -> None:
    """What packing writes is what the parts hold, in half precision; another mel is refused."""
    source = composer.bundle
    mel = {"sample_rate": RATE, **{name: value for name, value in vars(source.mel).items() if name != "scaling"}}
    kinds = {
        "tokenizer": {"kind": "tokenizer", "mel": mel, "model": dict(source.tokenizer)},
        "transformer": {
            "kind": "specmaskgit",
            "conditioning": source.conditioning,
            "tags": list(source.tags),
            "model": dict(source.transformer),
            "sampling": vars(source.decoding),
        },
    }
    for name, config in kinds.items():
        parts.save(tmp_path / name, config, tensors(source, name))
    vocoder = tmp_path / "vocoder"
    vocoder.mkdir()
    save_file(tensors(source, "vocoder"), vocoder / VOCODER_WEIGHTS)
    told = {"vocoder": {"kind": "vocos", "options": dict(source.vocoder.options)}, "mel": mel}
    (vocoder / "config.yaml").write_text(yaml.safe_dump(told))
    sources = Sources(tmp_path / "tokenizer", tmp_path / "transformer", vocoder)
    terms = Terms("mine", "CC0-1.0", True, "Free.\n")
    packed = pack_ambience(tmp_path / "mine", sources, terms, credits="\nThanks.\n")
    assert (packed.tags, packed.decoding, packed.mel) == (source.tags, source.decoding, source.mel)
    assert (packed.path / "LICENSE").read_text() == "Free.\n"
    assert (packed.path / "README.md").read_text().endswith("Thanks.\n")
    for part in ambience.PARTS:
        stored, true = tensors(packed, part), tensors(source, part)
        assert stored.keys() == true.keys()
        assert all(value.dtype == torch.float16 for value in stored.values())
    assert load_composer(packed.path).columns == composer.columns
    (vocoder / "config.yaml").write_text(yaml.safe_dump({**told, "mel": {**mel, "f_max": 20000.0}}))
    with pytest.raises(BundleError, match="its mel is not the tokenizer's"):
        pack_ambience(tmp_path / "other", sources, terms)
    with pytest.raises(UsageError):
        pack_ambience(tmp_path / "other", Sources(tmp_path, tmp_path, vocoder), terms)
