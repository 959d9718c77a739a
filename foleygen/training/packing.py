"""``train bundle``: the runs in their folders become a bundle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import yaml

from foleygen.errors import UsageError
from foleygen.models.cue_layout import SUB_STEPS
from foleygen.strict import plain
from foleygen.training import runs
from foleygen.training.cues.examples import FAMILIES, MATERIALS
from foleygen.training.cues.recipe import CuesRecipe
from foleygen.training.distillation.recipe import DistillRecipe
from foleygen.training.distillation.student import student_times
from foleygen.training.encoder import listener_config
from foleygen.training.export import (
    Trained,
    export,
    export_cues,
    export_level,
    export_student,
    export_transformer,
    export_vocoder,
)
from foleygen.training.level import LOUDEST_FRAME_LUFS, LevelFit
from foleygen.training.mdsgen import Pairs, open_pairs
from foleygen.training.recipe import EncoderRecipe, MdsgenRecipe, Recipe, VaeRecipe, VocoderRecipe, recorded
from foleygen.training.vocoder import trained_vocoder
from foleygen.weights.bundle import Bundle
from foleygen.weights.spec import CueSpec, LevelSpec, SamplingSpec, StudentSpec, VocoderSpec


@dataclass(frozen=True)
class Runs:
    """Folders of runs, and of what ``train pairs`` wrote."""

    encoder: Path
    vae: Path
    mdsgen: Path
    pairs: Path


@dataclass(frozen=True)
class Terms:
    """Name and licence of a bundle; ``text`` becomes its LICENSE."""

    name: str
    licence: str
    commercial: bool
    text: str


def pack_all(folder: Path, trained: Runs, terms: Terms, card: str | None = None, credits: str = "") -> Bundle:
    """A bundle of three runs, with Griffin-Lim; ``credits`` end its card.

    Raises UsageError when a run or the pairs are missing.
    """
    encoder = recorded(trained.encoder, EncoderRecipe)
    vae = recorded(trained.vae, VaeRecipe)
    mdsgen = recorded(trained.mdsgen, MdsgenRecipe)
    pairs = open_pairs(trained.pairs)
    if not isinstance(pairs, Pairs):
        raise UsageError(f"{trained.pairs}: was not written by train pairs", "use --base for a run on prepared clips")
    parts = Trained(
        encoder_config=listener_config(encoder),
        encoder=runs.part(runs.weights(trained.encoder, encoder), "encoder"),
        autoencoder_config=vae.model,
        autoencoder=runs.weights(trained.vae, vae),
        transformer_config=mdsgen.transformer,
        transformer=runs.weights(trained.mdsgen, mdsgen),
        pairs=pairs,
    )
    return export(
        folder,
        parts,
        _sampling(mdsgen),
        VocoderSpec(kind="griffin_lim"),
        name=terms.name,
        licence=terms.licence,
        commercial=terms.commercial,
        licence_text=terms.text,
        model_card=(card or _card(terms.name, {"encoder": encoder, "vae": vae, "mdsgen": mdsgen})) + credits,
    )


def pack_transformer(folder: Path, base: Bundle, run: Path, name: str, card: str | None = None) -> Bundle:
    """A bundle of ``base`` with the transformer of a run."""
    recipe = recorded(run, MdsgenRecipe)
    text = card or _card(name, {"mdsgen": recipe}) + f"\nEverything but the transformer is that of {base.name}.\n"
    weights = runs.weights(run, recipe)
    return export_transformer(folder, base, recipe.transformer, weights, _sampling(recipe), name=name, model_card=text)


def pack_vocoder(folder: Path, base: Bundle, run: Path, name: str, card: str | None = None) -> Bundle:
    """A bundle of ``base`` with the vocoder of a run."""
    text = card or _card(name, {"vocoder": recorded(run, VocoderRecipe)})
    if card is None:
        text += f"\nEverything but the vocoder is that of {base.name}.\n"
    return export_vocoder(folder, base, trained_vocoder(run), name=name, model_card=text)


def pack_cues(folder: Path, base: Bundle, run: Path, name: str, card: str | None = None) -> Bundle:
    """A bundle of ``base`` with the adapter of a run, which was trained beside its transformer."""
    recipe = recorded(run, CuesRecipe)
    text = card or _card(name, {"cues": recipe}) + f"\nEverything but the adapter of cues is that of {base.name}.\n"
    spec = CueSpec(
        families=FAMILIES,
        materials=MATERIALS,
        sub_steps=SUB_STEPS,
        hidden_size=recipe.hidden_size,
        blend_size=recipe.blend_size,
        guidance_scale=recipe.guidance_scale,
        guidance_rescale=recipe.guidance_rescale,
        contrast=recipe.contrast,
    )
    return export_cues(folder, base, spec, runs.weights(run, recipe), name=name, model_card=text)


def pack_student(
    folder: Path, base: Bundle, run: Path, name: str, card: str | None = None, usual: bool = True
) -> Bundle:
    """A bundle of ``base`` with the student of a run, which was distilled from its transformer.

    Without ``usual`` the student makes only the runs that ask for as few steps.
    """
    recipe = recorded(run, DistillRecipe)
    least, most = recipe.teaching.guidance
    text = card or _card(name, {"distill": recipe}) + f"\nEverything but the student is that of {base.name}.\n"
    spec = StudentSpec(
        rank=recipe.student.rank,
        hidden_size=recipe.student.hidden_size,
        times=student_times(recipe, base),
        guidance=(least, math.floor(10 * most / recipe.emphasis) / 10),  # it is told no more than it has learnt
        usual=usual,
        emphasis=recipe.emphasis,
    )
    return export_student(folder, base, spec, runs.weights(run, recipe), name=name, model_card=text)


def pack_level(folder: Path, base: Bundle, fit: LevelFit, name: str, card: str | None = None) -> Bundle:
    """A bundle of ``base`` with a head of levels that was fitted beside its adapter of cues."""
    text = card or (
        f"# {name}\n\nEverything but the head of levels is that of {base.name}. It was fitted to {fit.rows} rows; the "
        f"loudness of {fit.kept_rows} others is {fit.error:.1f} LU off (median), one level for all "
        f"{fit.constant_error:.1f}.\n"
    )
    spec = LevelSpec(loudest_frame=LOUDEST_FRAME_LUFS)
    return export_level(folder, base, spec, dict(fit.head.state_dict()), name=name, model_card=text)


def _sampling(recipe: MdsgenRecipe) -> SamplingSpec:
    return SamplingSpec(
        prediction_type=recipe.objective.prediction_type,
        num_inference_steps=recipe.sampling.num_inference_steps,
        guidance_scale=recipe.sampling.guidance_scale,
        guidance_power=recipe.sampling.guidance_power,
    )


def _card(name: str, recipes: dict[str, Recipe]) -> str:
    parts = [f"# {name}\n\nTrained with `foleygen train`; nothing was measured for this card.\n"]
    for part, recipe in recipes.items():
        parts.append(f"## {part}\n\n```yaml\n{yaml.safe_dump(plain(recipe), sort_keys=False)}```\n")
    return "\n".join(parts)
