"""From a recipe and data to a Loop in a run's folder, and from a finished run to its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from foleygen import scenes
from foleygen.audio.vocos import VocosVocoder
from foleygen.engine import SIDE_BLOCK, autoencoder_of, mel_config, transformer_of
from foleygen.errors import BundleError, UsageError
from foleygen.models.motion import MotionEncoder, MotionEncoderConfig
from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.training import autoencoder, cavp, encoder, mdsgen, objectives, prepare, vocoder
from foleygen.training.dataset import DatasetConfig, SceneDataset
from foleygen.training.loop import CHECKPOINT, DrawBatch, Loop, Loss, load_checkpoint
from foleygen.training.mdsgen import Pairs
from foleygen.training.mixture import check_alike, mixed, shares_of
from foleygen.training.prepare import Shards
from foleygen.training.recipe import (
    CavpRecipe,
    EncoderRecipe,
    MdsgenRecipe,
    Recipe,
    VaeRecipe,
    VocoderRecipe,
    record,
    recorded,
)
from foleygen.training.sounds import Crops, recording_sounds, sounds_of_scenes, struck_sounds
from foleygen.weights import bundle as bundles
from foleygen.weights.bundle import Bundle


def vae_loop(recipe: VaeRecipe, data: Sequence[Path], recordings: Path | None, folder: Path, device: str) -> Loop:
    """The autoencoder on the mels of datasets of scenes, and of recordings if given.

    Recordings are as likely as clips of scenes, whatever the datasets' shares are.
    """
    datasets = open_alike(data)
    clips = [len(dataset) for dataset in datasets]
    recipe = replace(recipe, shares=shares_of(recipe.shares, clips))
    sources = [[dataset.mels[: len(dataset)]] for dataset in datasets]
    weights = [sum(clips) * share / sum(recipe.shares) for share in recipe.shares]
    if recordings is not None:
        from foleygen.audio.mel import MelSpectrogram
        from foleygen.training.material import recording_mels

        heard = recording_mels(str(recordings), "train", datasets[0].mels.shape[2], MelSpectrogram())
        if len(datasets) == 1:
            sources[0].append(heard)
        else:
            sources, weights = [*sources, [heard]], [*weights, len(heard)]
    torch.manual_seed(recipe.loop.seed)
    model = PatchAutoencoder(recipe.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss = autoencoder.make_loss(recipe.kl_weight, recipe.weights)
    draw = mixed([autoencoder.make_draw(source, device) for source in sources], weights)
    return started(recipe, model, loss, draw, folder, device)


def encoder_loop(recipe: EncoderRecipe, data: Sequence[Path], folder: Path, device: str) -> Loop:
    """The small encoder on the pictures of datasets of scenes."""
    datasets = open_alike(data, pictures=True)
    recipe = replace(recipe, shares=shares_of(recipe.shares, [len(dataset) for dataset in datasets]))
    _same_pictures(datasets[0], recipe.model.frame_size, recipe.model.num_frames)
    torch.manual_seed(recipe.loop.seed)
    listener = MotionEncoder(listener_config(recipe)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = encoder.Listener(listener)
    draws = [
        encoder.make_draw(dataset, scenes.FAMILIES, scenes.MATERIALS, recipe.augmented, recipe.parts)
        for dataset in datasets
    ]
    draw, loss = _on(mixed(draws, recipe.shares), device), encoder.make_loss(asdict(recipe.weights))
    return started(recipe, model, loss, draw, folder, device)


def listener_config(recipe: EncoderRecipe) -> MotionEncoderConfig:
    """The recipe's encoder with a head for every family and material that scenes have."""
    return replace(recipe.model, num_families=len(scenes.FAMILIES), num_materials=len(scenes.MATERIALS))


def cavp_loop(recipe: CavpRecipe, data: Sequence[Path], folder: Path, device: str) -> Loop:
    """Contrast of pictures and mels of datasets of scenes."""
    datasets = open_alike(data, pictures=True)
    recipe = replace(recipe, shares=shares_of(recipe.shares, [len(dataset) for dataset in datasets]))
    geometry = cavp_geometry(recipe, datasets[0])
    torch.manual_seed(recipe.loop.seed)
    draws = [cavp.make_draw(dataset, geometry, recipe.contrast, recipe.augmented, device) for dataset in datasets]
    loss = cavp.make_loss(recipe.contrast, recipe.event_weight)
    return started(recipe, _towers(recipe), loss, mixed(draws, recipe.shares), folder, device)


def cavp_geometry(recipe: CavpRecipe, dataset: SceneDataset) -> cavp.ClipGeometry:
    """The recipe's clips. Raises UsageError for a dataset of other rates."""
    _same_rate(dataset, recipe)
    return cavp.ClipGeometry(recipe.clip_frames, recipe.least_shift)


def trained_cavp(folder: Path) -> tuple[nn.Module, CavpRecipe]:
    """The towers of a run, for use, and its recipe."""
    recipe = recorded(folder, CavpRecipe)
    towers = _towers(recipe)
    towers.load_state_dict(weights(folder, recipe))
    return towers.eval(), recipe


def _towers(recipe: CavpRecipe) -> nn.Module:
    return cavp.PublishedTowers() if recipe.tower == "published" else cavp.MotionTowers(recipe.model)


def mdsgen_loop(recipe: MdsgenRecipe, data: Path, init: Bundle | None, folder: Path, device: str) -> Loop:
    """The transformer on pairs or shards; ``init`` gives the weights to begin with, and its geometry."""
    pairs = open_pairs(data)
    if init is not None:
        recipe = _fine_tuning(recipe, init, pairs)
    config = recipe.transformer
    _same_geometry(config, pairs, data)
    torch.manual_seed(recipe.loop.seed)
    model = MDSGen(config)
    if init is not None:
        _fill(model, init)
    draw = prepare.make_draw(pairs, device) if isinstance(pairs, Shards) else mdsgen.make_draw(pairs, device)
    loss = mdsgen.make_loss(recipe.objective, objectives.token_groups(recipe.objective, config))
    return started(recipe, model, loss, draw, folder, device)


def vocoder_loop(
    recipe: VocoderRecipe,
    data: Sequence[Path],
    recordings: Path | None,
    folder: Path,
    device: str,
    *,
    init: Path | None = None,
    decoder: Bundle | None = None,
    on_sound: Callable[[int, int], None] | None = None,
) -> Loop:
    """The vocoder on the sounds of datasets' scenes, on struck tones, and on recordings if given.

    ``init`` is a run whose vocoder is the beginning; ``decoder`` a bundle whose autoencoder spoils a share of the mels.
    ``on_sound`` counts the scenes that are composed, which is done once per run.
    """
    configs = [scene_config(path) for path in data]
    recipe = replace(recipe, shares=shares_of(recipe.shares, [config.count for config in configs]))
    rate, mel = recipe.mel.sample_rate, recipe.mel
    sources = sounds_of_scenes(configs, recipe.scenes, rate, folder, on_sound)
    sources.append(struck_sounds(recipe.scenes // 2 + 1, rate, recipe.loop.seed))
    composed, weights = 1 - recipe.struck_share, [recipe.struck_share]
    if recordings is not None:
        sources.append(recording_sounds(recordings, "train", rate, without=scenes.HELD_OUT_MATERIAL))
        composed, weights = composed - recipe.recordings_share, [*weights, recipe.recordings_share]
    shares = recipe.shares or (1.0,)
    weights = [*(composed * share / sum(shares) for share in shares), *weights]
    ears = None
    if decoder is not None:
        if mel_config(decoder) != mel:
            raise UsageError(f"{decoder.path}: its mel is not the recipe's", "name a bundle with the same mel")
        ears = autoencoder_of(decoder)
    torch.manual_seed(recipe.loop.seed)
    model = vocoder.VocoderInTraining(vocoder_model(recipe), recipe.adversary)
    model.vocoder.corrections = min(recipe.model.corrections, recipe.trained_corrections)
    if init is not None:
        model.vocoder.network.load_state_dict(vocoder_weights(init, recipe))
    crops = Crops(sources, weights, recipe.crop_frames * mel.hop_length)
    draw = vocoder.make_draw(crops, mel, ears, recipe.decoded, device)
    loss = vocoder.make_loss(mel, recipe.weights, recipe.sizes, recipe.adversary, device)
    return started(recipe, model, loss, draw, folder, device)


def vocoder_model(recipe: VocoderRecipe) -> VocosVocoder:
    """The vocoder of a recipe, untrained. Raises UsageError where its mel does not fit."""
    try:
        return VocosVocoder(recipe.mel, **asdict(recipe.model))
    except ValueError as error:
        raise UsageError(f"the recipe's mel does not fit the vocoder ({error})", "correct the recipe") from error


def vocoder_weights(folder: Path, fits: VocoderRecipe | None = None) -> dict[str, Tensor]:
    """The network of a vocoder's run, averaged; ``fits`` is a recipe that must have the same network."""
    recipe = recorded(folder, VocoderRecipe)
    if fits is not None and (recipe.model, recipe.mel) != (fits.model, fits.mel):
        raise UsageError(f"{folder}: its vocoder has another size or mel than the recipe", "name another run")
    return part(weights(folder, recipe), "vocoder.network")


def trained_vocoder(folder: Path) -> VocosVocoder:
    """The vocoder of a run, for use."""
    model = vocoder_model(recorded(folder, VocoderRecipe))
    model.network.load_state_dict(vocoder_weights(folder))
    return model.eval()


def scene_config(folder: Path) -> DatasetConfig:
    """How the scenes of a dataset are drawn; it need not be finished. Raises UsageError when there is none."""
    if not (folder / "dataset.json").is_file():
        raise UsageError(f"{folder}: holds no dataset", "make one with foleygen train scenes")
    import json

    meta = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    return DatasetConfig(**meta["config"])


def open_scenes(folder: Path) -> SceneDataset:
    """Raises UsageError when ``folder`` holds no dataset, or not one finished clip."""
    if not (folder / "dataset.json").is_file():
        raise UsageError(f"{folder}: holds no dataset", "make one with foleygen train scenes")
    dataset = SceneDataset(folder)
    if not len(dataset):
        raise UsageError(f"{folder}: holds no finished clip", "let foleygen train scenes finish")
    if len(dataset) < int(dataset.config["count"]):
        fact = f"{folder}: holds {len(dataset)} of its {dataset.config['count']} clips"
        raise UsageError(fact, "run the same foleygen train scenes again to finish it")
    return dataset


def open_alike(folders: Sequence[Path], pictures: bool = False) -> list[SceneDataset]:
    """Datasets whose clips fit one batch. Raises UsageError where they do not, or have no ``pictures``."""
    datasets = [open_scenes(folder) for folder in folders]
    if pictures:
        datasets = [with_pictures(dataset) for dataset in datasets]
    check_alike(datasets, pictures)
    return datasets


def with_pictures(dataset: SceneDataset) -> SceneDataset:
    """Raises UsageError for a dataset of sounds alone."""
    if dataset.frames is None:
        raise UsageError(f"{dataset.folder}: was made without pictures", "make it again without --no-pictures")
    return dataset


def open_pairs(folder: Path) -> Pairs | Shards:
    """What ``train pairs`` or ``train prepare`` wrote. Raises UsageError."""
    if (folder / "pairs.npz").is_file():
        return Pairs.load(folder)
    return Shards(folder)


def weights(folder: Path, recipe: Recipe) -> dict[str, Tensor]:
    """The weights that a run would ship: its moving average, or the last ones where none is kept."""
    if not (folder / CHECKPOINT).is_file():
        raise UsageError(f"{folder}: holds no checkpoint yet", "let the training reach its first one")
    state = load_checkpoint(folder / CHECKPOINT)
    chosen: dict[str, Tensor] = state["average" if recipe.loop.ema_decay is not None else "model"]
    return chosen


def part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below ``prefix.``, without it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in state.items() if name.startswith(f"{prefix}.")}


def trained_encoder(folder: Path, recipe: EncoderRecipe) -> MotionEncoder:
    """The encoder of a run, for use."""
    model = MotionEncoder(listener_config(recipe))
    model.load_state_dict(part(weights(folder, recipe), "encoder"))
    return model.eval()


def trained_autoencoder(folder: Path, recipe: VaeRecipe) -> PatchAutoencoder:
    """The autoencoder of a run, for use."""
    model = PatchAutoencoder(recipe.model)
    model.load_state_dict(weights(folder, recipe))
    return model.eval()


def started(recipe: Recipe, model: nn.Module, loss: Loss, draw: DrawBatch, folder: Path, device: str) -> Loop:
    """The loop of a run's folder, at its checkpoint if there is one; the recipe is kept beside it."""
    loop = Loop(model.to(device), loss, draw, recipe.loop, folder)
    if loop.rank == 0:
        record(recipe, folder)
    loop.resume()
    return loop


def _on(draw: DrawBatch, device: str) -> DrawBatch:
    return lambda generator, count: tuple(value.to(device) for value in draw(generator, count))


def _same_pictures(dataset: SceneDataset, size: int, count: int) -> None:
    found = int(dataset.config["frame_size"]), int(dataset.config["num_frames"])
    if found != (size, count):
        fact = f"{dataset.folder}: has {found[1]} pictures of {found[0]} pixels, the recipe wants {count} of {size}"
        raise UsageError(fact, "make the dataset for this recipe")


def _same_rate(dataset: SceneDataset, recipe: CavpRecipe) -> None:
    rate = float(dataset.config["frame_rate"])
    wanted = 16000 / recipe.mel_hop
    found = dataset.mels.shape[2] * rate / float(dataset.config["num_frames"])
    if rate != recipe.frame_rate or abs(found - wanted) > 0.5:
        fact = f"{dataset.folder}: has {rate:g} pictures and {found:g} mel frames a second"
        raise UsageError(fact, f"the recipe wants {recipe.frame_rate:g} and {wanted:g}: make the dataset for it")


def _same_geometry(config: TransformerConfig, pairs: Pairs | Shards, data: Path) -> None:
    if isinstance(pairs, Shards):
        features, latents = pairs.meta.features, pairs.meta.latents
    else:
        (_, _, *features_shape), (_, *latent_shape) = pairs.features.shape, pairs.latents.shape
        features, latents = tuple(features_shape), tuple(latent_shape)
    wanted = (config.num_features, config.feature_dim), config.latent_shape
    if (features, latents) != wanted:
        fact = f"{data}: has features {features} and latents {latents}, the recipe wants {wanted[0]} and {wanted[1]}"
        raise UsageError(fact, "prepare the clips with the bundle that the recipe is for")


def _fill(model: MDSGen, init: Bundle) -> None:
    """The bundle's weights; bundles ship without the side block, which only training uses and begins anew."""
    state = {name: value.float() for name, value in bundles.tensors(init, "transformer").items()}
    fresh = {name: value for name, value in model.state_dict().items() if name.startswith(SIDE_BLOCK)}
    try:
        model.load_state_dict({**fresh, **state})
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{init.path}: its transformer does not fit ({reason})", "name another bundle") from error


def _fine_tuning(recipe: MdsgenRecipe, init: Bundle, pairs: Pairs | Shards) -> MdsgenRecipe:
    """The recipe with the bundle's transformer; the rest of the recipe must fit it."""
    if isinstance(pairs, Shards):
        meta = pairs.meta
        other = "encoder" if meta.encoder_hash != init.encoder_hash else "autoencoder"
        if (meta.encoder_hash, meta.autoencoder_hash) != (init.encoder_hash, init.autoencoder_hash):
            fact = f"{init.path}: its {other} is not the one that prepared the clips ({meta.bundle})"
            raise UsageError(fact, "prepare them with this bundle")
    if init.sampling.prediction_type != recipe.objective.prediction_type:
        raise UsageError(
            f"{init.path}: predicts {init.sampling.prediction_type}, the recipe {recipe.objective.prediction_type}",
            "choose a recipe with the same objective",
        )
    config = transformer_of(init).config
    if config.learn_sigma != recipe.objective.learned_sigma:
        raise BundleError(f"{init.path}: learn_sigma is {config.learn_sigma}", "set objective.learned_sigma alike")
    return replace(recipe, transformer=config)
