"""The models of one bundle on one device: pictures in, sound out, one window at a time or many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from foleygen.engines.building import autoencoder_of, classifier_of, diffusion_of, encoder_of, student_of, vocoder_of
from foleygen.engines.crew import Crew
from foleygen.engines.cues import behind, grid_of, words_of
from foleygen.engines.device import TYPES, choose_device, choose_precision, loading
from foleygen.engines.finishing import Finish
from foleygen.engines.turns import Turns
from foleygen.errors import BundleError
from foleygen.features.cues import CueGrid, CueTrack, Words
from foleygen.models.autoencoder import KLAutoencoder
from foleygen.models.diffusion import Condition, DiffusionModel
from foleygen.models.motion import MotionEncoder
from foleygen.models.patch_autoencoder import PatchAutoencoder
from foleygen.models.transformer import MDSGen
from foleygen.sampling import joint
from foleygen.sampling.classifier import ClassifierGuided
from foleygen.sampling.joint import Tie
from foleygen.sampling.noise import WindowKey
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.sampling.schedule import ScheduleConfig
from foleygen.weights.bundle import Bundle


class Engine:
    """Loaded once, used for every clip; the methods keep rows of a batch independent of each other."""

    def __init__(self, bundle: Bundle, device: str, precision: str) -> None:
        self.bundle, self.device, self.precision = bundle, device, precision
        self.dtype = TYPES[precision]
        self._encoder = encoder_of(bundle)
        self._transformer = diffusion_of(bundle, dtype=self.dtype)
        self._autoencoder = autoencoder_of(bundle).to(self.dtype)
        self._student = student_of(bundle, self._transformer, self.dtype)
        self._classifier = classifier_of(bundle)
        groups = {
            "encoder": (self._encoder,),
            "sampling": (self._transformer, self._classifier, *self._taught),
            "autoencoder": (self._autoencoder,),
        }
        self._turns, self._crew = Turns(groups, device), Crew(device)
        self._finish = Finish(bundle, self._heard, device)
        self.vocoder = vocoder_of(bundle, device)
        self.classifier_scale = bundle.classifier_scale()
        self.steps: int | None = None
        """Of runs that are not told how many; None for as many as suit the bundle."""
        sampling = bundle.sampling
        self.defaults = SamplerConfig(
            num_inference_steps=sampling.num_inference_steps,
            guidance_scale=sampling.guidance_scale,
            guidance_power=sampling.guidance_power,
            schedule=ScheduleConfig.preset(sampling.schedule, sampling.prediction_type),
        )

    @classmethod
    def load(cls, bundle: Bundle, device: str = "auto", precision: str = "auto") -> Engine:
        """Put a bundle's models on ``auto|cpu|cuda|mps`` in ``auto|fp32|bf16|fp16``.

        Raises SetupError or BundleError, and RetryableError when the models do not fit in memory.
        """
        chosen = choose_device(device)
        with loading(bundle.name):
            return cls(bundle, chosen, choose_precision(precision, chosen))

    @property
    def transformer(self) -> DiffusionModel:
        """The model that is sampled from, on the device."""
        self._turns.take("sampling")
        return self._transformer

    @property
    def autoencoder(self) -> PatchAutoencoder | KLAutoencoder:
        """The mel autoencoder, on the device."""
        self._turns.take("autoencoder")
        return self._autoencoder

    @property
    def _taught(self) -> tuple[nn.Module, ...]:
        """The modules of the student."""
        return () if self._student is None else (self._student.model, self._student.lead)

    def led(self, classifier_guidance: float | None = None) -> DiffusionModel:
        """The transformer, led by the classifier as strongly as wanted; None: by ``classifier_scale``.

        Raises UsageError for a bundle without a classifier.
        """
        asked = self.classifier_scale if classifier_guidance is None else classifier_guidance
        scale, spec = self.bundle.classifier_scale(asked), self.bundle.classifier
        if not scale or self._classifier is None or spec is None:
            return self.transformer
        embedded = spec.features == "embedded"
        return ClassifierGuided(self.transformer, self._classifier, scale, self.defaults.schedule, embedded)

    def encode(self, frames: Tensor, **known: Tensor) -> Tensor:
        """Features (1, F, C) of uint8 frames (1, T, S, S, 3), by what of them is ``known`` already."""
        self._turns.take("encoder")
        features: Tensor = self._encoder(frames.to(self.device), **known)
        return features

    @property
    def takes_flow(self) -> bool:
        """Whether its encoder sees the ``motion`` of blocks, and the caller's would be the same to the bit."""
        return self.device == "cpu" and isinstance(self._encoder, MotionEncoder)

    @torch.inference_mode()
    def onsets(self, features: Tensor) -> Tensor:
        """Logits (N, L) of a sound that begins at each mel column, by features (N, F, C). Raises BundleError."""
        if not isinstance(self._encoder, MotionEncoder):
            fact = f"{self.bundle.name}: its encoder does not tell where sounds begin"
            raise BundleError(fact, "use --model tiny, or write the cues by hand")
        self._turns.take("encoder")
        return self._encoder.hear(features.to(self.device)).onsets.float().cpu()

    @torch.inference_mode()
    def latents(
        self,
        features: Tensor,
        keys: Sequence[WindowKey],
        steps: int | None = None,
        guidance: float | None = None,
        on_step: Callable[[int, int], None] | None = None,
        classifier_guidance: float | None = None,
        tracks: Sequence[CueTrack | None] | None = None,
    ) -> Tensor:
        """Sampled latents (N, Z, H, W) for features (N, F, C); row i is the noise of ``keys[i]`` made sound.

        ``tracks[i]`` says what row i is told; None is nothing. Without a ``guidance`` each row follows the bundle's
        for rows that are told something, or for those that are not.
        """
        given = list(tracks or [None] * len(keys))
        made = dict[int, Tensor]()
        for rows in filter(None, _parted(given)):
            model, config = self._sampling(steps, guidance, classifier_guidance, given[rows[0]] is not None)
            condition = self._condition(features[rows], [given[row] for row in rows])
            noise = self._noise([keys[row] for row in rows])
            made.update(zip(rows, sample(model, condition, noise, config, on_step), strict=True))
        return torch.stack([made[row] for row in range(len(keys))])

    @property
    def cue_grid(self) -> CueGrid | None:
        """The frames that tracks are written on; None if the bundle cannot be told anything."""
        return None if self.bundle.cues is None else grid_of(self.bundle)

    @property
    def words(self) -> Words | None:
        """What the bundle can be told; None if that is nothing."""
        return words_of(self.bundle)

    @property
    def cue_guidance(self) -> float | None:
        """The guidance of windows that are told something."""
        return None if self.bundle.cues is None else self.bundle.cues.guidance_scale

    def _condition(self, features: Tensor, tracks: Sequence[CueTrack | None]) -> Condition:
        """Features (N, F, C) and what is told beside them, on the device: a track for all windows, or none."""
        told = [track for track in tracks if track is not None]
        return Condition(features, behind(self.bundle, told) if told else None).to(self.device)

    def _sampling(
        self, steps: int | None, guidance: float | None, classifier_guidance: float | None, told: bool
    ) -> tuple[DiffusionModel, SamplerConfig]:
        """What makes windows, which are ``told`` something or not, and how: the student where that has learnt it."""
        spec, steps = self.bundle, self.steps if steps is None else steps
        usual = self.cue_guidance if told else None
        usual = self.defaults.guidance_scale if usual is None else usual
        config = replace(
            self.defaults,
            num_inference_steps=steps or self.defaults.num_inference_steps,
            guidance_scale=usual if guidance is None else guidance,
            guidance_rescale=spec.cues.guidance_rescale if told and spec.cues is not None else 0.0,
        )
        classified = self.classifier_scale if classifier_guidance is None else classifier_guidance
        times = spec.student_times(steps, config.guidance_scale, classified)
        if times is None or self._student is None or spec.student is None:
            return self.led(classifier_guidance), config
        self._turns.take("sampling")
        scale = spec.student.emphasis * config.guidance_scale
        student = replace(self._student, guidance=scale, rescale=config.guidance_rescale)
        return student, replace(config, guidance_scale=1.0, guidance_rescale=0.0, times=times)

    def _heard(self, condition: Condition) -> Tensor:
        """What the transformer hears of windows, (N, M, D); only bundles with a head of levels ask."""
        model = self.transformer
        assert isinstance(model, MDSGen)
        return model.heard(condition)

    def _noise(self, keys: Sequence[WindowKey]) -> Tensor:
        """The noise (N, Z, H, W) of windows, on the device."""
        return torch.stack([key.noise(self._transformer.latent_shape) for key in keys]).to(self.device)

    @torch.inference_mode()
    def joint_latents(
        self,
        features: Tensor,
        keys: Sequence[WindowKey],
        shared: int,
        tie: Tie | None = None,
        rows: int = joint.GROUP,
        steps: int | None = None,
        guidance: float | None = None,
        on_step: Callable[[int, int], None] | None = None,
        classifier_guidance: float | None = None,
        tracks: Sequence[CueTrack] | None = None,
    ) -> tuple[Tensor, Tie]:
        """Latents of consecutive windows of one clip, each ``shared`` latent columns into the one before.

        They agree where they overlap, also with the group that left ``tie``; ``rows`` of them at a time go through
        the model. Otherwise as ``latents``, but ``tracks`` are given for all windows or none.
        """
        model, config = self._sampling(steps, guidance, classifier_guidance, bool(tracks))
        condition = self._condition(features, tracks or [None] * len(keys))
        noise = self._noise(keys)
        return joint.sample(model, condition, noise, shared, config, tie, rows, on_step, self._crew.each)

    def joint_overlap(self, overlap: int) -> int:
        """``overlap`` in samples rounded to whole latent columns. Raises BundleError if windows are no multiple."""
        window, width = self.bundle.window_samples, self.column_samples
        if window % width:
            fact = f"{self.bundle.path}: its windows of {window} samples are not a whole number of latent columns"
            raise BundleError(fact, "use --seams crossfade")
        return joint.whole_columns(overlap, window, window // width)

    @property
    def column_samples(self) -> int:
        """Samples that one latent column stands for."""
        return self.bundle.window_samples // self._transformer.latent_shape[self._transformer.time_axis]

    @torch.inference_mode()
    def mels(self, latents: Tensor, features: Tensor, tracks: Sequence[CueTrack | None] | None = None) -> Tensor:
        """Mels (N, M, L) of latents (N, Z, H, W), in the bundle's scaling, as the vocoder gets them.

        ``features`` (N, F, C) and ``tracks`` are those that the latents were sampled for: where the bundle has a head
        of levels they say how loud each window is to be.
        """
        mels = self.decode(latents)
        if not self._finish.changes:
            return mels
        given = list(tracks or [None] * len(mels))
        for row in range(len(mels)):  # one by one: sums must not depend on the batch
            one = slice(row, row + 1)
            track = given[row]
            mels[one] = self._finish(
                mels[one], self._condition(features[one], given[one]), track is not None and track.given
            )
        return mels

    @torch.inference_mode()
    def levelled(self, mels: Tensor, features: Tensor, track: CueTrack, most_lufs: float, steady: bool) -> Tensor:
        """Finished mels (1, M, L) of ``features`` (1, F, C) and a ``track``, no louder than ``most_lufs``; a ``steady``
        sound as loud as suits it. As they are where the bundle has no head of levels."""
        return self._finish.levelled(mels, self._condition(features, [track]), most_lufs, steady)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Mels (N, M, L) of latents (N, Z, H, W), in the bundle's scaling, as the model made them."""
        spec = self.bundle.autoencoder
        if spec.latent_mean is not None and spec.latent_std is not None:
            mean, std = (latents.new_tensor(values)[:, None, None] for values in (spec.latent_mean, spec.latent_std))
            latents = latents * std + mean
        mels: Tensor = self.autoencoder.decode(latents.to(self.dtype))
        return mels.float()

    def joint_mels(
        self,
        latents: Tensor,
        features: Tensor,
        tracks: Sequence[CueTrack | None] | None = None,
        rows: int = joint.GROUP,
    ) -> Tensor:
        """As ``mels``, ``rows`` of them at a time."""
        given = list(tracks or [None] * len(latents))
        parts = [slice(first, first + rows) for first in range(0, len(latents), rows)]
        made = self._crew.each(lambda part: self.mels(latents[part], features[part], given[part]), parts)
        return torch.cat(made)

    @torch.inference_mode()
    def sounds(self, mels: Tensor, keys: Sequence[WindowKey]) -> Tensor:
        """Samples (N, S) on the CPU, cut to the window's length."""
        generators = [key.phase() for key in keys]
        samples = self.vocoder(mels, generators)
        return samples[:, : self.bundle.window_samples].float().cpu()

    @torch.inference_mode()
    def joint_sounds(
        self,
        mels: Tensor,
        keys: Sequence[WindowKey],
        overlap: int,
        before: Tensor | None = None,
        rows: int = joint.GROUP,
    ) -> Tensor:
        """As ``sounds`` for consecutive windows whose mels agree in ``overlap`` samples, ``rows`` of them at a time.

        ``before`` (S,) is the sound of the window before the first. Where the vocoder goes on, each window goes on in
        the phase of the one before it; other vocoders hear the same mel and give the same sound.
        """
        if not self.vocoder.goes_on or not overlap:
            firsts = range(0, len(mels), rows)
            return torch.cat(self._crew.each(lambda i: self.sounds(mels[i : i + rows], keys[i : i + rows]), firsts))
        sounds: list[Tensor] = []
        for mel, key in zip(mels, keys, strict=True):
            begun = before[-overlap:].to(self.device) if before is not None else None
            made = self.vocoder(mel[None], [key.phase()], begun)[0, : self.bundle.window_samples]
            before = made.float().cpu()
            sounds.append(before)
        return torch.stack(sounds)


def _parted(tracks: Sequence[CueTrack | None]) -> tuple[list[int], list[int]]:
    """The rows that are told something, and those that are not."""
    told = [row for row, track in enumerate(tracks) if track is not None]
    return told, [row for row, track in enumerate(tracks) if track is None]
