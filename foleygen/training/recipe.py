"""Recipes: everything that decides a training, in one YAML file, read strictly.

The packaged recipes are in ``recipes/``; ``kind`` says which of the models a recipe trains.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from foleygen.audio.mel import MelConfig
from foleygen.errors import UsageError
from foleygen.models.motion import MotionEncoderConfig
from foleygen.models.patch_autoencoder import PatchAutoencoderConfig
from foleygen.models.transformer import TransformerConfig
from foleygen.strict import Reader, did_you_mean, plain, shown
from foleygen.training import outputs
from foleygen.training.ambience.recipes import SpecMaskGITRecipe, TaggerRecipe, TokenizerRecipe
from foleygen.training.contrast import ContrastConfig
from foleygen.training.cues.recipe import CuesRecipe
from foleygen.training.discriminators import AdversaryConfig
from foleygen.training.distillation.recipe import DistillRecipe
from foleygen.training.judges.recipes import AlignmentRecipe, JudgeRecipe, TowerRecipe
from foleygen.training.loop import LoopConfig
from foleygen.training.objectives import DiffusionConfig

FOLDER = Path(__file__).with_name("recipes")
REUSABLE = ("steps", "log_every", "save_every")
"""Fields of the loop that may change while a run goes on."""

_reader = Reader(UsageError)


@dataclass(frozen=True, kw_only=True)
class SceneMixture:
    """``shares`` of the batches that come from each dataset of scenes, relative to their sum; else by their clips."""

    shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not all(0 < share < math.inf for share in self.shares):
            raise UsageError(f"shares are {list(self.shares)}", "give every dataset a share above 0")


@dataclass(frozen=True, kw_only=True)
class VaeRecipe(SceneMixture):
    """The mel autoencoder: ``weights`` of level, change in time, change along frequency, of the mean, and detail."""

    kind: Literal["vae"]
    loop: LoopConfig
    model: PatchAutoencoderConfig = field(default_factory=PatchAutoencoderConfig)
    kl_weight: float = 3e-4
    weights: tuple[float, float, float, float, float] = (1.0, 0.5, 1.0, 2.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class HearingWeights:
    """Weights of what the encoder is asked to hear."""

    onsets: float = 1.0
    bands: float = 2.0
    family: float = 0.1
    material: float = 0.1


@dataclass(frozen=True, kw_only=True)
class EncoderRecipe(SceneMixture):
    """The small video encoder, on 1/``parts`` of a clip at a time; ``augmented``: through another camera each time."""

    kind: Literal["encoder"]
    loop: LoopConfig
    model: MotionEncoderConfig = field(default_factory=MotionEncoderConfig)
    augmented: bool = True
    parts: int = 2
    weights: HearingWeights = field(default_factory=HearingWeights)


@dataclass(frozen=True, kw_only=True)
class SamplingRecipe:
    """What the finished bundle samples with unless told otherwise."""

    num_inference_steps: int = 25
    guidance_scale: float = 5.0
    guidance_power: float = 0.01


@dataclass(frozen=True, kw_only=True)
class MdsgenRecipe:
    """The transformer, its objective, and how it is sampled afterwards."""

    kind: Literal["mdsgen"]
    loop: LoopConfig
    transformer: TransformerConfig
    objective: DiffusionConfig = field(default_factory=DiffusionConfig)
    sampling: SamplingRecipe = field(default_factory=SamplingRecipe)

    def __post_init__(self) -> None:
        if self.transformer.learn_sigma != self.objective.learned_sigma:
            raise UsageError(
                "transformer.learn_sigma and objective.learned_sigma differ", "set both to true or both to false"
            )
        ratio = self.objective.mask_ratio if self.objective.mask is not None else None
        object.__setattr__(self, "transformer", replace(self.transformer, mask_ratio=ratio))


@dataclass(frozen=True, kw_only=True)
class CavpRecipe(SceneMixture):
    """Contrast of picture and sound; a batch is ``loop.batch_size`` videos with ``contrast.clips_per_video`` clips.

    ``clip_frames`` and ``least_shift`` count pictures at ``frame_rate``. ``event_weight`` adds the onset loss of the
    small encoder.
    """

    kind: Literal["cavp"]
    loop: LoopConfig
    tower: Literal["published", "motion"]
    model: MotionEncoderConfig = field(default_factory=MotionEncoderConfig)
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    frame_rate: float = 4.0
    clip_frames: int = 16
    least_shift: int = 8
    mel_hop: int = 250
    event_weight: float = 0.0
    augmented: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.event_weight and self.tower == "published":
            raise UsageError("event_weight needs the tower 'motion', which has an onset head", "set it to 0")


@dataclass(frozen=True, kw_only=True)
class VocoderModel:
    """Size of the network: ``depth`` blocks of ``hidden_size`` channels, ``expansion`` times as many inside them.

    ``corrections`` of the sound by its mel are made in use.
    """

    hidden_size: int = 96
    depth: int = 4
    expansion: int = 2
    corrections: int = 4


@dataclass(frozen=True)
class VocoderWeights:
    """Weights of what is minimised without the adversary: distances of spectrograms at several resolutions, of how
    rough they are, of mels, and of the network's own magnitude from the true one."""

    stft: float = 1.0
    roughness: float = 2.0
    mel: float = 15.0
    magnitude: float = 0.3


@dataclass(frozen=True, kw_only=True)
class VocoderRecipe(SceneMixture):
    """The vocoder of one mel, on crops of ``crop_frames`` mel frames.

    ``scenes`` sounds of each dataset are used. ``struck_share`` of the crops are of struck tones, ``recordings_share``
    of recordings where there are any, the others of scenes; ``decoded`` of the mels have been through an autoencoder
    if one is given. Training runs through at most ``trained_corrections``. ``sizes`` are the windows of the spectral
    distance in samples. Without an ``adversary`` the distances alone decide.
    """

    kind: Literal["vocoder"]
    loop: LoopConfig
    model: VocoderModel = field(default_factory=VocoderModel)
    mel: MelConfig = field(default_factory=MelConfig)
    crop_frames: int = 64
    scenes: int = 500
    struck_share: float = 0.2
    recordings_share: float = 0.4
    decoded: float = 0.4
    trained_corrections: int = 2
    sizes: tuple[int, ...] = (256, 512, 1024, 2048)
    weights: VocoderWeights = field(default_factory=VocoderWeights)
    adversary: AdversaryConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop_frames < 8 or self.crop_frames % 8:
            raise UsageError(f"crop_frames is {self.crop_frames}", "make it a multiple of 8")
        shares = (self.struck_share, self.recordings_share, self.decoded)
        if min(shares) < 0 or max(shares[0] + shares[1], self.decoded) > 1:
            raise UsageError("struck_share, recordings_share and decoded are shares", "set them from 0 to 1")
        if max(self.sizes, default=0) > 2 * self.crop_frames * self.mel.hop_length or not self.sizes:
            raise UsageError(f"sizes are {list(self.sizes)}", "give windows that a crop can fill")


Recipe = (
    VaeRecipe
    | EncoderRecipe
    | MdsgenRecipe
    | CavpRecipe
    | VocoderRecipe
    | TokenizerRecipe
    | SpecMaskGITRecipe
    | TaggerRecipe
    | AlignmentRecipe
    | TowerRecipe
    | JudgeRecipe
    | CuesRecipe
    | DistillRecipe
)
KINDS: Mapping[str, type[Recipe]] = {
    "vae": VaeRecipe,
    "encoder": EncoderRecipe,
    "mdsgen": MdsgenRecipe,
    "cavp": CavpRecipe,
    "vocoder": VocoderRecipe,
    "tokenizer": TokenizerRecipe,
    "specmaskgit": SpecMaskGITRecipe,
    "tagger": TaggerRecipe,
    "alignment": AlignmentRecipe,
    "tower": TowerRecipe,
    "judge": JudgeRecipe,
    "cues": CuesRecipe,
    "distill": DistillRecipe,
}
Wanted = TypeVar(
    "Wanted",
    VaeRecipe,
    EncoderRecipe,
    MdsgenRecipe,
    CavpRecipe,
    VocoderRecipe,
    TokenizerRecipe,
    SpecMaskGITRecipe,
    TaggerRecipe,
    AlignmentRecipe,
    TowerRecipe,
    JudgeRecipe,
    CuesRecipe,
    DistillRecipe,
)


def names(kind: str | None = None) -> list[str]:
    """The packaged recipes, or those of one kind."""
    found = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return [name for name in found if kind is None or _reader.mapping(FOLDER / f"{name}.yaml").get("kind") == kind]


def load(name_or_file: str, kind: type[Wanted]) -> Wanted:
    """A packaged recipe by name, or a YAML file. Raises UsageError for what is unknown, missing or of another kind."""
    recipe = read(_find(name_or_file))
    if not isinstance(recipe, kind):
        raise UsageError(
            f"{name_or_file}: a recipe for {recipe.kind}", f"choose from {', '.join(names(_kind_of(kind)))}"
        )
    return recipe


def read(path: Path) -> Recipe:
    """The recipe in a YAML file."""
    content = _reader.mapping(path, f"choose from {', '.join(names())}")
    found = content.get("kind")
    if not isinstance(found, str) or found not in KINDS:
        raise UsageError(
            f"{path}: kind is {shown(found)}", did_you_mean(found if isinstance(found, str) else "", KINDS)
        )
    try:
        return _reader.section(KINDS[found], content, str(path))
    except UsageError:
        raise
    except Exception as error:
        remedy = getattr(error, "remedy", "") or "correct it"
        raise UsageError(f"{path}: {getattr(error, 'message', error)}", remedy) from error


def with_loop(recipe: Wanted, **changes: Any) -> Wanted:
    """The recipe with the loop's fields that are not None replaced."""
    changed = {name: value for name, value in changes.items() if value is not None}
    return replace(recipe, loop=replace(recipe.loop, **changed))


def record(recipe: Recipe, folder: Path) -> None:
    """Keep the recipe as ``recipe.yaml`` in a run's folder. Raises UsageError if a run of another one is there."""
    import yaml

    from foleygen.atomic import publish

    path = folder / "recipe.yaml"
    if path.exists():
        difference = _difference(_fixed(plain(read(path))), _fixed(plain(recipe)))
        if difference:
            raise UsageError(
                f"{folder}: holds a run of another recipe ({difference} differs)", "choose another folder with -o"
            )
    with publish(path) as temporary:
        temporary.write_text(yaml.safe_dump(plain(recipe), sort_keys=False), encoding="utf-8")


def recorded(folder: Path, kind: type[Wanted]) -> Wanted:
    """The recipe of the run in ``folder``. Raises UsageError if there is none or it trained something else."""
    path = folder / "recipe.yaml"
    if not path.exists():
        raise outputs.not_held(folder, "run", "holds no training run")
    found, wanted = read(path), _kind_of(kind)
    if not isinstance(found, kind):
        fact = f"{folder}: holds a run of train {found.kind}, not of train {wanted}"
        raise UsageError(fact, f"name the folder that foleygen train {wanted} wrote with -o")
    return found


def _kind_of(kind: type[Wanted]) -> str:
    return next(name for name, known in KINDS.items() if known is kind)


def _find(name_or_file: str) -> Path:
    packaged = FOLDER / f"{name_or_file}.yaml"
    if Path(name_or_file).name == name_or_file and packaged.is_file():
        return packaged
    path = Path(os.path.expanduser(name_or_file))
    if not path.exists() and path.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{name_or_file}: no such recipe or file", did_you_mean(name_or_file, names()))
    return path


def _fixed(content: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}": entry for inner, entry in value.items()})
        else:
            flat[name] = value
    return {name: value for name, value in flat.items() if name not in {f"loop.{free}" for free in REUSABLE}}


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return next((name for name in new if old.get(name) != new[name]), "")
