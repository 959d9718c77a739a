"""``train vocoder``: the small neural vocoder, on crops of recordings and of scenes' sounds.

N batch, S samples, M mel bands, F linear frequency bins, T frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from foleygen import scenes
from foleygen.audio.mel import FLOOR, MelConfig, MelSpectrogram
from foleygen.audio.vocos import VocosVocoder
from foleygen.engines.building import autoencoder_of, mel_config
from foleygen.errors import UsageError
from foleygen.models.autoencoder import KLAutoencoder
from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.training.data.dataset import scene_config
from foleygen.training.data.mixture import shares_of
from foleygen.training.data.sounds import Crops, recording_sounds, sounds_of_scenes, struck_sounds
from foleygen.training.discriminators import (
    Adversary,
    AdversaryConfig,
    feature_matching,
    hinge,
    log_magnitude,
    persuasion,
)
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss
from foleygen.training.recipe import VocoderRecipe, VocoderWeights, recorded
from foleygen.training.runs import part, started, weights
from foleygen.weights.bundle import Bundle

Autoencoder = PatchAutoencoder | KLAutoencoder
NEIGHBOURS = (8, 8)
"""Bins and frames over which roughness is averaged."""
SILENCE = 1e-4
"""Least magnitude whose logarithm counts."""


@dataclass(frozen=True)
class Voiced:
    """What the model makes of mels: ``log_magnitude`` (N, F, T), ``sound`` (N, S); layers of the adversary, if any.

    ``persuading`` is what the frozen adversary sees of the sound, ``judged`` what the learning one does, ``true`` the
    same of the true sound.
    """

    log_magnitude: Tensor
    sound: Tensor
    persuading: tuple[Tensor, ...] = field(default=())
    judged: tuple[Tensor, ...] = field(default=())
    true: tuple[Tensor, ...] = field(default=())


class VocoderInTraining(nn.Module):
    """The vocoder and its adversary as one model, so that one loop, one optimiser and one checkpoint hold both.

    Their gradients do not mix: the adversary is frozen where it speaks to the vocoder, and the vocoder's sound is
    detached where it speaks to the adversary.
    """

    def __init__(self, vocoder: VocosVocoder, adversary: AdversaryConfig | None = None) -> None:
        super().__init__()
        self.vocoder = vocoder
        self.adversary = Adversary(adversary) if adversary is not None else None

    def forward(self, mel: Tensor, true: Tensor, first: int) -> Voiced:
        log_found, phase = self.vocoder.spectrum(mel, first)
        sound = self.vocoder.synthesise(log_found, phase, mel)
        if self.adversary is None:
            return Voiced(log_found, sound)
        return Voiced(
            log_found, sound, self.adversary.frozen(sound), self.adversary(sound.detach()), self.adversary(true)
        )


class SpectralDistance(nn.Module):
    """Mean over window ``sizes`` of spectral convergence and L1 of log magnitudes (Yamamoto et al. 2020); and of how
    far the steps from bin to bin are from the true ones in size, on average over ``NEIGHBOURS``.

    Noise cannot be foreseen bin by bin, so the first distance alone is smallest for a spectrogram smoother than any
    noise. The second asks for as much variation as there is, wherever it lies.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        for size in sizes:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, found: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
        """Both distances of samples (N, S) from samples (N, S)."""
        terms, steps = [], []
        for window in self.buffers():
            ours, theirs = (log_magnitude(sound, window, SILENCE) for sound in (found, true))
            error = (ours.exp() - theirs.exp()).flatten(1).norm(dim=1)
            terms.append((error / theirs.exp().flatten(1).norm(dim=1).clamp(min=SILENCE)).mean())
            terms.append(functional.l1_loss(ours, theirs))
            steps.append(functional.l1_loss(_roughness(ours), _roughness(theirs)))
        return 2 * torch.stack(terms).mean(), torch.stack(steps).mean()


def make_loss(
    mel: MelConfig,
    weights: VocoderWeights,
    sizes: Sequence[int],
    adversary: AdversaryConfig | None = None,
    device: str = "cpu",
) -> Loss:
    """The loss of VocoderInTraining on batches of true sounds (N, S) and the mels (N, M, T) it is given for them."""
    distance = SpectralDistance(sizes).to(device)
    hear = MelSpectrogram(mel).to(device)

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        true, given = batch
        first = int(torch.randint(mel.n_fft // mel.hop_length, (1,), generator=generator))
        voiced: Voiced = model(given, true, first)
        spectrum = torch.stft(
            true[:, :-1], mel.n_fft, mel.hop_length, window=hear.window, pad_mode="constant", return_complex=True
        )
        magnitude = spectrum[..., : given.shape[-1]].abs()
        near, rough = distance(voiced.sound, true)
        terms = {
            "stft": near,
            "roughness": rough,
            "mel": functional.l1_loss(hear(voiced.sound), hear(true)),
            "magnitude": functional.l1_loss(
                voiced.log_magnitude.clamp(min=_log(FLOOR)), magnitude.clamp(min=FLOOR).log()
            ),
        }
        total = sum((getattr(weights, name) * value for name, value in terms.items()), near.new_zeros(()))
        if adversary is not None:
            against, ours = _adversarial(voiced, adversary)
            total, terms = total + against, terms | ours
        return {"loss": total, **terms}

    return loss


def make_draw(
    crops: Crops, mel: MelConfig, autoencoder: Autoencoder | None, decoded: float, device: str = "cpu"
) -> DrawBatch:
    """Batches of sounds and their mels; the share ``decoded`` of the mels has been through the autoencoder."""
    hear = MelSpectrogram(mel)

    @torch.no_grad()
    def draw(generator: torch.Generator, count: int) -> Batch:
        sound = crops.draw(generator, count)
        given = hear(sound)
        spoiled = round(decoded * count) if autoencoder is not None else 0
        if autoencoder is not None and spoiled:
            passed = autoencoder.decode(autoencoder.encode(given[:spoiled])).float()
            given = torch.cat([passed, given[spoiled:]])
        return sound.to(device), given.to(device)

    return draw


def _adversarial(voiced: Voiced, config: AdversaryConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """What the adversary adds to the loss, for both sides, and its terms."""
    depth = len(voiced.true) // len(config.sizes)
    last = slice(depth - 1, None, depth)
    features = [index for index in range(len(voiced.true)) if (index + 1) % depth]
    terms = {
        "adversary": hinge(voiced.true[last], voiced.judged[last]),
        "persuasion": persuasion(voiced.persuading[last]),
        "features": feature_matching(
            [voiced.true[index].detach() for index in features], [voiced.persuading[index] for index in features]
        ),
    }
    total = terms["adversary"] + config.weight * terms["persuasion"] + config.feature_weight * terms["features"]
    return total, terms


def _roughness(levels: Tensor) -> Tensor:
    """Mean size of the steps from bin to bin of log magnitudes (N, F, T) in each neighbourhood."""
    return functional.avg_pool2d(levels.diff(dim=1).abs(), NEIGHBOURS, ceil_mode=True)


def _log(value: float) -> float:
    return float(torch.tensor(value).log())


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
    model = VocoderInTraining(vocoder_model(recipe), recipe.adversary)
    model.vocoder.corrections = min(recipe.model.corrections, recipe.trained_corrections)
    if init is not None:
        model.vocoder.network.load_state_dict(vocoder_weights(init, recipe))
    crops = Crops(sources, weights, recipe.crop_frames * mel.hop_length)
    draw = make_draw(crops, mel, ears, recipe.decoded, device)
    loss = make_loss(mel, recipe.weights, recipe.sizes, recipe.adversary, device)
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
