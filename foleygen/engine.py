"""The models of one bundle on one device: pictures in, sound out, one window at a time or many."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from foleygen.audio.griffin_lim import GriffinLim
from foleygen.audio.mel import MelConfig
from foleygen.audio.vocoder import Vocoder
from foleygen.errors import BundleError, ClipError, FoleygenError, RetryableError, SetupError, UsageError
from foleygen.media.source import printable
from foleygen.models.autoencoder import KLAutoencoder, load_kl
from foleygen.models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.sampling.sampler import SamplerConfig, sample, window_noise
from foleygen.sampling.schedule import ScheduleConfig
from foleygen.weights import bundle as bundles
from foleygen.weights.bundle import Bundle, BundleSpec

Encoder = Callable[[Tensor], Tensor]
SIDE_BLOCK = "sideblocks."
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
        config = replace(
            self.defaults,
            num_inference_steps=steps or self.defaults.num_inference_steps,
            guidance_scale=self.defaults.guidance_scale if guidance is None else guidance,
        )
        shape = self.transformer.config.latent_shape
        noise = torch.stack([window_noise(key.seed, key.content_id, key.start, key.take, shape) for key in keys])
        return sample(self.transformer, features.to(self.device), noise.to(self.device), config, on_step)

    @torch.inference_mode()
    def mels(self, latents: Tensor) -> Tensor:
        """Mels (N, M, L) of latents (N, Z, H, W)."""
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


def encoder_of(spec: Bundle, device: str) -> Encoder:
    """The video encoder with its weights: uint8 (1, T, S, S, 3) -> (1, F, C), both on ``device``."""
    weights = bundles.tensors(spec, "encoder")
    if spec.encoder.kind == "motion":
        from foleygen.models.motion import MotionEncoder, MotionEncoderConfig

        config = _made(MotionEncoderConfig, spec, **spec.encoder.options)
        return _filled(_made(MotionEncoder, spec, config), weights, spec).to(device)
    from foleygen.models.cavp import CAVP

    cavp = _filled(CAVP(), weights, spec).to(device)
    return lambda frames: cavp.encode_video(frames.permute(0, 1, 4, 2, 3).float() / 255)


def transformer_of(spec: Bundle) -> MDSGen:
    """The transformer with its weights; the side block, which only masked training runs, may be left out of them."""
    model = _made(MDSGen, spec, _made(TransformerConfig, spec, **spec.transformer))
    weights = bundles.tensors(spec, "transformer")
    if not any(name.startswith(SIDE_BLOCK) for name in weights):
        model.sideblocks = nn.ModuleList()
    return _filled(model, weights, spec)


def autoencoder_of(spec: Bundle) -> PatchAutoencoder | KLAutoencoder:
    """The mel autoencoder with its weights."""
    weights = bundles.tensors(spec, "autoencoder")
    if spec.autoencoder.kind == "patch":
        config = _made(PatchAutoencoderConfig, spec, **spec.autoencoder.config)
        return _filled(_made(PatchAutoencoder, spec, config), weights, spec)
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
    from foleygen.audio.hifigan import HiFiGAN, HiFiGANConfig

    vocoder = _made(HiFiGAN, spec, _made(HiFiGANConfig, spec, **spec.vocoder.options))
    _filled(vocoder.generator, bundles.tensors(spec, "vocoder"), spec)
    return vocoder


def mel_config(spec: BundleSpec) -> MelConfig:
    """The mel of a bundle."""
    mel = spec.mel
    return MelConfig(spec.sample_rate, mel.n_fft, mel.hop_length, mel.num_mels, mel.f_min, mel.f_max)


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


def _made(kind: Callable[..., Made], spec: Bundle, *parts: Any, **options: Any) -> Made:
    """``kind`` from its parts and the options of bundle.yaml, which may not fit it."""
    try:
        return kind(*parts, **{name: _tuples(value) for name, value in options.items()})
    except (TypeError, ValueError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        reason = " ".join(str(error).split())
        name = getattr(kind, "__name__", "it")
        raise BundleError(f"{spec.path}: its settings do not fit {name} ({reason})", "export it again") from error


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
