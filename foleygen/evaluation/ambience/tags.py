"""Does ambience sound like its tag? A classifier that learnt the tags names what was composed.

Mels are normalised, (M, T) in [0, 1], and are those of the finished samples, after the vocoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foleygen.engines.words import Words
from foleygen.errors import UsageError
from foleygen.evaluation.ambience.sounds import Told
from foleygen.evaluation.report import Cell, text_table
from foleygen.models.tagger import Tagger, TaggerConfig, load_tagger
from foleygen.sampling.noise import generator
from foleygen.sampling.parallel_decode import DecodeConfig
from foleygen.training import runs
from foleygen.training.ambience.recipes import TaggerRecipe
from foleygen.training.ambience.windows import Studio, WindowsConfig
from foleygen.training.recipe import recorded
from foleygen.weights import parts

if TYPE_CHECKING:
    from foleygen.engines.composer import Composer

Labelled = tuple[str, Tensor]
"""A tag, and the mel (M, T) of a sound that should have it."""


@dataclass(frozen=True)
class Listener:
    """A tagger, and what its outputs are called."""

    tagger: Tagger
    tags: tuple[str, ...]

    @torch.inference_mode()
    def guesses(self, mel: Tensor) -> list[str]:
        """The tags of a mel (M, T), the likeliest first."""
        order = self.tagger(mel.cpu()[None])[0].argsort(descending=True).tolist()
        return [self.tags[index] for index in order]


@dataclass(frozen=True)
class NamingScore:
    """Share of sounds whose tag is the listener's first guess, and among its first three."""

    sounds: int
    named: float
    named_in_three: float


@dataclass(frozen=True)
class TagReport:
    """``composed`` sounds, and as their ceiling true ones that nobody learnt from, plain and after tokenizer and
    vocoder; ``chance`` is one in the number of tags. ``by_tag`` counts the composed ones that are named."""

    clips_per_tag: int
    chance: float
    scores: Mapping[str, NamingScore]
    by_tag: Mapping[str, int]
    heard_as: Mapping[str, Sequence[str]]

    def table(self) -> str:
        """The report as text, a row per kind of sound."""
        rows: list[list[Cell]] = [
            [name, score.sounds, score.named, score.named_in_three] for name, score in self.scores.items()
        ]
        never = ", ".join(tag for tag, count in self.by_tag.items() if not count) or "none"
        said = f"chance: {self.chance:.3f}; never named: {never}"
        return f"{text_table(['', 'sounds', 'named', 'in three'], rows)}\n{said}"


def evaluate(
    composer: Composer,
    listener: Listener,
    per_tag: int,
    held_out: Sequence[Labelled],
    seed: int = 0,
    decoding: DecodeConfig | None = None,
    told: Told | None = None,
) -> TagReport:
    """Compose ``per_tag`` windows of every tag and have them named."""
    tags = composer.bundle.tags
    made: list[Labelled] = []
    for tag in tags:
        for number in range(per_tag):
            made.append((tag, composed(composer, tag, (seed, number), decoding)))
            if told is not None:
                told(len(made), len(tags) * per_tag)
    rebuilt = [(tag, composer.hear(composer.sound(_rebuilt(composer, mel[None])))[0]) for tag, mel in held_out]
    first = [(tag, listener.guesses(mel)[0]) for tag, mel in made]
    return TagReport(
        clips_per_tag=per_tag,
        chance=1 / len(tags),
        scores={
            "composed": named(listener, made),
            "held-out sounds": named(listener, held_out),
            "held-out, tokenizer and vocoder": named(listener, rebuilt),
        },
        by_tag={tag: first.count((tag, tag)) for tag in tags},
        heard_as={tag: [guess for asked, guess in first if asked == tag] for tag in tags},
    )


def named(listener: Listener, sounds: Sequence[Labelled]) -> NamingScore:
    """How often the listener agrees with the tags."""
    guesses = [(tag, listener.guesses(mel)[:3]) for tag, mel in sounds]
    count = max(1, len(guesses))
    return NamingScore(
        sounds=len(guesses),
        named=sum(tag == found[0] for tag, found in guesses) / count,
        named_in_three=sum(tag in found for tag, found in guesses) / count,
    )


def composed(composer: Composer, tag: str, key: tuple[object, ...], decoding: DecodeConfig | None = None) -> Tensor:
    """Mel (M, T) of a window of a tag as it sounds."""
    tokens = torch.zeros(1, *composer.grid, dtype=torch.long, device=composer.device)
    random = [generator("tag", tag, *key)]
    condition = composer.condition(Words(tag, (tag,)))
    found = composer.compose(tokens, torch.ones_like(tokens, dtype=torch.bool), random, condition, decoding)
    return composer.hear(composer.sound(composer.decode(found)))[0]


def true_sounds(composer: Composer, tags: Sequence[str], count: int, recordings: Path | None) -> Iterator[Labelled]:
    """Up to ``count`` windows of the recordings of the fold test, and of scenes from the seeds kept for tests."""
    config = WindowsConfig(
        count=count,
        fold="test",
        recordings=str(recordings) if recordings is not None else None,
        mel=composer.mel_config,
        frames=composer.columns * composer.column // composer.mel_config.hop_length,
    )
    studio = Studio(config)
    for row in range(count):
        samples, record = studio.window(row)
        if record.tags[0] in tags:
            yield record.tags[0], composer.hear(samples[None])[0]


def open_listener(folder: Path, composer: Composer) -> Listener:
    """The tagger of a run of train tagger, or of an exported one. Raises UsageError or BundleError where there is none,
    or it does not know the bundle's tags or mel."""
    bundle = composer.bundle
    if bundle.conditioning != "tags":
        raise UsageError(f"{bundle.name}: has no tags, but hears words through CLAP", "leave tags out of --what")
    if (folder / parts.CONFIG).is_file():
        config, state = parts.load(folder, "tagger")
        listener = Listener(load_tagger(config["model"], state), tuple(config["tags"]))
    else:
        recipe = recorded(folder, TaggerRecipe)
        state = runs.weights(folder, recipe)
        # A run names no tags: their number says whether they can be the bundle's.
        shape = TaggerConfig(composer.mel_config.num_mels, len(state["head.bias"]), recipe.widths)
        listener = Listener(load_tagger(shape, state), bundle.tags)
    told = listener.tagger.config
    if set(listener.tags) != set(bundle.tags) or told.num_tags != len(listener.tags):
        fact = f"{folder}: this tagger's {told.num_tags} tags are not the {len(bundle.tags)} of {bundle.name}"
        raise UsageError(fact, "name one that was trained on the windows of the bundle")
    if told.num_mels != composer.mel_config.num_mels:
        fact = f"{folder}: this tagger hears mels of {told.num_mels} bands, and {bundle.name} makes other ones"
        raise UsageError(fact, "name one that was trained on the windows of the bundle")
    return listener


def _rebuilt(composer: Composer, mel: Tensor) -> Tensor:
    return composer.decode(composer.encode(mel))
