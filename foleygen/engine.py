"""The models of one bundle on one device: pictures in, sound out, one window at a time or many."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from foleygen.audio.griffin_lim import GriffinLim
from foleygen.audio.mel import MelConfig
from foleygen.audio.vocoder import Vocoder
from foleygen.errors import BundleError, ClipError, FoleygenError, RetryableError, SetupError, UsageError, printable
from foleygen.models.autoencoder import KLAutoencoder, load_kl
from foleygen.models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.sampling import joint
from foleygen.sampling.joint import Tie
from foleygen.sampling.sampler import SamplerConfig, sample, window_noise
from foleygen.sampling.schedule import ScheduleConfig
from foleygen.strict import Reader
from foleygen.weights import bundle as bundles
from foleygen.weights.bundle import Bundle, BundleSpec

Encoder = Callable[[Tensor], Tensor]
SIDE_BLOCK = "sideblocks."
MANY_WEIGHTS = 2**22
"""Numbers that a model may have without weights for them, as the side block does."""
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Parts of the messages of the allocators that raise a plain RuntimeError: of the CPU, of Metal, of cuBLAS."""

Made = TypeVar("Made")
Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class WindowKey:
    """What the noise of a window depends on, and nothing else does."""

    seed: int
    content_id: str
    start: int
    take: int


class Engine:
    """Loaded once, used for every clip; the methods keep rows of a batch independent of each other."""

    def __init__(self, bundle: Bundle, device: str, precision: str) -> None:
        self.bundle, self.device, self.precision = bundle, device, precision
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.encoder = encoder_of(bundle, device)
        self.transformer = transformer_of(bundle).to(device, self.dtype)
        self.autoencoder = autoencoder_of(bundle).to(device, self.dtype)
        self.vocoder = vocoder_of(bundle)
        if isinstance(self.vocoder, nn.Module):
            self.vocoder.to(device)
        sampling = bundle.sampling
        self.defaults = SamplerConfig(
            num_inference_steps=sampling.num_inference_steps,
            guidance_scale=sampling.guidance_scale,
            guidance_power=sampling.guidance_power,
            schedule=ScheduleConfig(prediction_type=sampling.prediction_type),
        )

    @classmethod
    def load(cls, bundle: Bundle, device: str = "auto", precision: str = "auto") -> Engine:
        """Put a bundle's models on ``auto|cpu|cuda|mps`` in ``auto|fp32|bf16``.

        Raises SetupError or BundleError, and RetryableError when the models do not fit in memory.
        """
        chosen = choose_device(device)
        try:
            return cls(bundle, chosen, choose_precision(precision, chosen))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            fact = f"{bundle.name}: memory ran out while the model was loaded"
            raise RetryableError(fact, "close other programs, or use --device cpu") from error

    def encode(self, frames: Tensor) -> Tensor:
        """Features (1, F, C) of uint8 frames (1, T, S, S, 3)."""
        features: Tensor = self.encoder(frames.to(self.device))
        return features

    @torch.inference_mode()
    def latents(
        self,
        features: Tensor,
        keys: Sequence[WindowKey],
        steps: int | None = None,
        guidance: float | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Sampled latents (N, Z, H, W) for features (N, F, C); row i is the noise of ``keys[i]`` made sound."""
        config, noise = self._sampling(keys, steps, guidance)
        return sample(self.transformer, features.to(self.device), noise, config, on_step)

    def _sampling(
        self, keys: Sequence[WindowKey], steps: int | None, guidance: float | None
    ) -> tuple[SamplerConfig, Tensor]:
        """How to sample, and the noise (N, Z, H, W) of the windows."""
        config = replace(
            self.defaults,
            num_inference_steps=steps or self.defaults.num_inference_steps,
            guidance_scale=self.defaults.guidance_scale if guidance is None else guidance,
        )
        shape = self.transformer.config.latent_shape
        noise = torch.stack([window_noise(key.seed, key.content_id, key.start, key.take, shape) for key in keys])
        return config, noise.to(self.device)

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
    ) -> tuple[Tensor, Tie]:
        """Latents of consecutive windows of one clip, each ``shared`` latent columns into the one before.

        They agree where they overlap, also with the group that left ``tie``; ``rows`` of them at a time go through
        the model. Otherwise as ``latents``.
        """
        config, noise = self._sampling(keys, steps, guidance)
        return joint.sample(self.transformer, features.to(self.device), noise, shared, config, tie, rows, on_step)

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
        config = self.transformer.config
        return self.bundle.window_samples // config.latent_shape[config.time_axis]

    @torch.inference_mode()
    def mels(self, latents: Tensor) -> Tensor:
        """Mels (N, M, L) of latents (N, Z, H, W), in the bundle's scaling."""
        spec = self.bundle.autoencoder
        if spec.latent_mean is not None and spec.latent_std is not None:
            mean, std = (latents.new_tensor(values)[:, None, None] for values in (spec.latent_mean, spec.latent_std))
            latents = latents * std + mean
        mels: Tensor = self.autoencoder.decode(latents.to(self.dtype))
        return mels.float()

    @torch.inference_mode()
    def sounds(self, mels: Tensor, keys: Sequence[WindowKey]) -> Tensor:
        """Samples (N, S) on the CPU, cut to the window's length."""
        generators = [_phase_generator(key) for key in keys]
        samples = self.vocoder(mels, generators)
        return samples[:, : self.bundle.window_samples].float().clamp(-1, 1).cpu()

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

        ``before`` (S,) is the sound of the window before the first. Where the phase is found by search, each window
        goes on in that of the one before it; other vocoders hear the same mel and give the same sound.
        """
        if not isinstance(self.vocoder, GriffinLim) or not overlap:
            firsts = range(0, len(mels), rows)
            return torch.cat([self.sounds(mels[i : i + rows], keys[i : i + rows]) for i in firsts])
        sounds: list[Tensor] = []
        for mel, key in zip(mels, keys, strict=True):
            begun = before[-overlap:].to(self.device) if before is not None else None
            made = self.vocoder(mel[None], [_phase_generator(key)], begun)[0, : self.bundle.window_samples]
            before = made.float().clamp(-1, 1).cpu()
            sounds.append(before)
        return torch.stack(sounds)


def encoder_of(spec: Bundle, device: str) -> Encoder:
    """The video encoder with its weights: uint8 (1, T, S, S, 3) -> (1, F, C), both on ``device``."""
    weights = bundles.tensors(spec, "encoder")
    if spec.encoder.kind == "motion":
        from foleygen.models.motion import MotionEncoder, MotionEncoderConfig

        config = _config(MotionEncoderConfig, spec, "encoder", spec.encoder.options)
        return _filled(_sized(MotionEncoder, spec, weights, config), weights, spec).to(device)
    from foleygen.models.cavp import CAVP

    cavp = _filled(CAVP(), weights, spec).to(device)
    return lambda frames: cavp.encode_video(frames.permute(0, 1, 4, 2, 3).float() / 255)


def transformer_of(spec: Bundle) -> MDSGen:
    """The transformer with its weights; the side block, which only masked training runs, may be left out of them."""
    weights = bundles.tensors(spec, "transformer")
    model = _sized(MDSGen, spec, weights, _config(TransformerConfig, spec, "transformer", spec.transformer))
    if not any(name.startswith(SIDE_BLOCK) for name in weights):
        model.sideblocks = nn.ModuleList()
    return _filled(model, weights, spec)


def autoencoder_of(spec: Bundle) -> PatchAutoencoder | KLAutoencoder:
    """The mel autoencoder with its weights."""
    weights = bundles.tensors(spec, "autoencoder")
    if spec.autoencoder.kind == "patch":
        config = _config(PatchAutoencoderConfig, spec, "autoencoder", spec.autoencoder.config)
        return _filled(_sized(PatchAutoencoder, spec, weights, config), weights, spec)
    return load_kl(
        spec.autoencoder.config,
        weights,
        latent_scale=spec.autoencoder.latent_scale,
        channel=spec.autoencoder.channel,
    )


def vocoder_of(spec: Bundle) -> Vocoder:
    """The mel inversion."""
    if spec.vocoder.kind == "griffin_lim":
        return _made(GriffinLim, spec, _made(mel_config, spec, spec), **spec.vocoder.options)
    if spec.vocoder.kind == "vocos":
        from foleygen.audio.vocos import VocosVocoder

        neural = _made(VocosVocoder, spec, _made(mel_config, spec, spec), **spec.vocoder.options)
        _filled(neural.network, bundles.tensors(spec, "vocoder"), spec)
        return neural
    from foleygen.audio.hifigan import HiFiGAN, HiFiGANConfig

    weights = bundles.tensors(spec, "vocoder")
    vocoder = _sized(HiFiGAN, spec, weights, _config(HiFiGANConfig, spec, "vocoder", spec.vocoder.options))
    _filled(vocoder.generator, weights, spec)
    return vocoder


def mel_config(spec: BundleSpec) -> MelConfig:
    """The mel of a bundle."""
    mel = spec.mel
    return MelConfig(spec.sample_rate, mel.n_fft, mel.hop_length, mel.num_mels, mel.f_min, mel.f_max, mel.scaling)


def choose_device(device: str) -> str:
    """``auto`` becomes cuda, mps or cpu; a device that is not there is a SetupError."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, there in available.items() if there)
    if device not in available:
        raise UsageError(f"device is {device!r}", "use auto, cpu, cuda or mps")
    if not available[device]:
        raise SetupError(f"{device}: this device is not available", "use --device cpu, or see foleygen doctor")
    return device


def choose_precision(precision: str, device: str) -> str:
    """``auto`` is bf16 on a CUDA device and fp32 elsewhere."""
    if precision == "auto":
        return "bf16" if device == "cuda" else "fp32"
    return precision


def out_of_memory(error: BaseException) -> bool:
    """True for the ways in which torch and Python say that memory ran out."""
    said = str(error)
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or any(text in said for text in OUT_OF_MEMORY)


def explained(error: Exception, clip: Path) -> FoleygenError:
    """Any failure of one clip as an error to report; what nobody foresaw has the exit code of a bug."""
    if isinstance(error, FoleygenError):
        return error
    name = printable(clip)
    found: FoleygenError
    if out_of_memory(error):
        found = RetryableError(f"{name}: memory ran out", "close other programs, or use a smaller --batch-size")
    elif isinstance(error, OSError) and error.errno in NO_SPACE:
        found = RetryableError(f"{name}: no space left for its sound", "free some space and run the same command again")
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
        found = ClipError(f"{name}: reading or writing failed ({reason})", "check the disk or the network share")
    else:
        reason = " ".join(repr(error).split())
        found = FoleygenError(f"{name}: internal error ({reason})", "report it with the output of -vv")
    found.__cause__ = error
    return found


def _phase_generator(key: WindowKey) -> torch.Generator:
    text = f"phase/{key.seed}/{key.content_id}/{key.start}/{key.take}"
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _config(kind: type[Made], spec: Bundle, part: str, options: Mapping[str, Any]) -> Made:
    """The dataclass ``kind`` from the options of bundle.yaml, each of the type that it has there."""

    def read() -> Made:
        return Reader(BundleError).section(kind, options, f"{spec.path}: {part}")

    read.__name__ = kind.__name__
    return _made(read, spec)


def _made(kind: Callable[..., Made], spec: Bundle, *parts: Any, **options: Any) -> Made:
    """``kind`` from its parts and the options of bundle.yaml, which may not fit it."""
    try:
        return kind(*parts, **{name: _tuples(value) for name, value in options.items()})
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        reason = " ".join(str(error).split())
        name = getattr(kind, "__name__", "it")
        raise BundleError(f"{spec.path}: its settings do not fit {name} ({reason})", "export it again") from error


def _sized(kind: Callable[..., Model], spec: Bundle, weights: dict[str, Tensor], *parts: Any) -> Model:
    """The model, which is allocated only if ``weights`` are about as many as it has."""
    with torch.device("meta"):
        wanted = sum(value.numel() for value in _made(kind, spec, *parts).state_dict().values())
    held = sum(value.numel() for value in weights.values())
    if wanted > 2 * held + MANY_WEIGHTS:
        fact = f"{spec.path}: its settings make a model of {wanted} numbers and its weights have {held}"
        raise BundleError(fact, "export it again")
    return _made(kind, spec, *parts)


def _tuples(value: Any) -> Any:
    """YAML's lists as the tuples of frozen dataclasses."""
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list | tuple) else value


def _filled(model: Model, weights: dict[str, Tensor], spec: Bundle) -> Model:
    try:
        model.load_state_dict({name: value.float() for name, value in weights.items()})
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{spec.path}: its weights do not fit its settings ({reason})", "export it again") from error
    return model.eval()
