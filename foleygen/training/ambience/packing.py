"""``train ambience-bundle``: tokenizer, transformer and full-band vocoder become the bundle that makes ambience."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from foleygen.audio.mel import MelConfig
from foleygen.audio.vocos import VocosVocoder
from foleygen.engines.building import made_vocoder
from foleygen.errors import BundleError, UsageError
from foleygen.models.vqgan import TRAINING_ONLY
from foleygen.strict import Reader, plain
from foleygen.training.ambience.recipes import SpecMaskGITRecipe
from foleygen.training.ambience.specmaskgit import trained_specmaskgit
from foleygen.training.ambience.tokenizer import trained_tokenizer
from foleygen.training.ambience.tokens import TokenSet
from foleygen.training.ambience.windows import Windows
from foleygen.training.packing import Terms
from foleygen.training.recipe import recorded
from foleygen.training.vocoder import trained_vocoder
from foleygen.weights import ambience, parts
from foleygen.weights.ambience import AmbienceBundle, AmbienceSpec, DecodingSpec
from foleygen.weights.files import halved
from foleygen.weights.spec import MelSpec, VocoderSpec

READER = Reader(BundleError)
VOCODER_WEIGHTS = "vocoder.safetensors"


@dataclass(frozen=True)
class Sources:
    """Where the models are: runs of ``foleygen train``, or finished parts (``weights.parts``).

    ``windows`` and ``tokens`` say what a run of the tokenizer and of the transformer learnt from; parts know.
    """

    tokenizer: Path
    transformer: Path
    vocoder: Path
    windows: Path | None = None
    tokens: Path | None = None


def pack_ambience(
    folder: Path, sources: Sources, terms: Terms, card: str | None = None, credits: str = ""
) -> AmbienceBundle:
    """Write the bundle in half precision; ``credits`` end its card. Raises UsageError or BundleError."""
    mel, tokenizer, tokenizer_state = _tokenizer(sources)
    told, transformer_state = _transformer(sources)
    vocoder = _vocoder(sources.vocoder)
    if vocoder.config != mel:
        raise BundleError(f"{sources.vocoder}: its mel is not the tokenizer's", "train it with --recipe vocoder-44k")
    size = vocoder.network.config
    spec = AmbienceSpec(
        name=terms.name,
        licence=terms.licence,
        commercial=terms.commercial,
        sample_rate=mel.sample_rate,
        mel=MelSpec(
            n_fft=mel.n_fft, hop_length=mel.hop_length, num_mels=mel.num_mels, f_min=mel.f_min, f_max=mel.f_max
        ),
        tokenizer=tokenizer,
        transformer=told["model"],
        conditioning=told["conditioning"],
        tags=tuple(told["tags"]),
        vocoder=VocoderSpec(
            kind="vocos",
            options={
                "hidden_size": size.hidden_size,
                "depth": size.depth,
                "expansion": size.expansion,
                "corrections": vocoder.corrections,
            },
        ),
        decoding=READER.section(DecodingSpec, told["sampling"], f"{sources.transformer}: sampling"),
    )
    states = {"tokenizer": tokenizer_state, "transformer": transformer_state, "vocoder": _state(vocoder)}
    text = (card or _card(terms.name, spec)) + credits
    halves = {part: halved(state) for part, state in states.items()}
    return ambience.save(folder, spec, halves, licence_text=terms.text, model_card=text)


def _tokenizer(sources: Sources) -> tuple[MelConfig, dict[str, Any], dict[str, Tensor]]:
    if _is_part(sources.tokenizer):
        config, state = parts.load(sources.tokenizer, "tokenizer")
        return READER.section(MelConfig, config.get("mel"), str(sources.tokenizer)), dict(config["model"]), state
    if sources.windows is None:
        raise UsageError(f"{sources.tokenizer}: is a run, and --windows is not given", "name what it learnt from")
    model = trained_tokenizer(sources.tokenizer)
    state = {name: value for name, value in model.state_dict().items() if name not in TRAINING_ONLY}
    return Windows(sources.windows).config.mel, plain(model.config), state


def _transformer(sources: Sources) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    if _is_part(sources.transformer):
        return parts.load(sources.transformer, "specmaskgit")
    if sources.tokens is None:
        raise UsageError(f"{sources.transformer}: is a run, and --tokens is not given", "name what it learnt from")
    model, tokens = trained_specmaskgit(sources.transformer), TokenSet.load(sources.tokens)
    recipe = recorded(sources.transformer, SpecMaskGITRecipe)
    told = {
        "conditioning": tokens.conditioning,
        "tags": list(tokens.tags),
        "model": plain(model.config),
        "sampling": plain(recipe.sampling),
    }
    return told, dict(model.state_dict())


def _vocoder(folder: Path) -> VocosVocoder:
    if not (folder / VOCODER_WEIGHTS).is_file():
        return trained_vocoder(folder)
    config, where = READER.mapping(folder / parts.CONFIG), str(folder / parts.CONFIG)
    told = READER.section(VocoderSpec, config.get("vocoder"), f"{where}: vocoder")
    mel = READER.section(MelConfig, config.get("mel"), f"{where}: mel")
    vocoder = made_vocoder(told, mel, lambda: _loaded(folder), folder)
    if not isinstance(vocoder, VocosVocoder):
        raise BundleError(f"{where}: its vocoder is {told.kind!r}, not 'vocos'", "name a run of train vocoder")
    return vocoder


def _loaded(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: dict[str, Tensor] = load_file(folder / VOCODER_WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{folder / VOCODER_WEIGHTS}: cannot be read ({error})", "train it again") from error
    return state


def _is_part(folder: Path) -> bool:
    return (folder / parts.CONFIG).is_file() and (folder / parts.WEIGHTS).is_file()


def _state(vocoder: VocosVocoder) -> dict[str, Tensor]:
    return dict(vocoder.network.state_dict())


def _card(name: str, spec: AmbienceSpec) -> str:
    facts = {"tags": list(spec.tags), "decoding": plain(spec.decoding), "transformer": dict(spec.transformer)}
    text = yaml.safe_dump(facts, sort_keys=False, width=100)
    return f"# {name}\n\nTrained with `foleygen train`; nothing was measured for this card.\n\n```yaml\n{text}```\n"
