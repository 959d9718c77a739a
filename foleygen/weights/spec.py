"""What a bundle says of its parts: the sections of ``bundle.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class MelSpec:
    """The mel spectrogram that the autoencoder speaks; lengths in samples, frequencies in Hz.

    ``scaling``: ``decibel`` puts 100 dB on 0..1 (Diff-Foley), ``log`` is the natural logarithm (AudioLDM).
    """

    n_fft: int
    hop_length: int
    num_mels: int
    f_min: float
    f_max: float
    scaling: Literal["decibel", "log"] = "decibel"


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """The video encoder and the frames it wants; ``frame_rate`` in frames per second, ``frame_size`` in pixels."""

    kind: Literal["motion", "cavp"]
    frame_rate: Fraction
    frame_size: int
    frame_rule: Literal["linear", "fps_filter"]
    num_frames: int
    num_features: int
    feature_dim: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AutoencoderSpec:
    """The mel autoencoder. ``latent_scale`` multiplies encoded latents and divides those to decode.

    ``latent_mean`` and ``latent_std``, one number per latent channel, standardise what the transformer sees.
    ``channel`` picks the mel out of a three-channel decoder.
    """

    kind: Literal["patch", "kl"]
    config: Mapping[str, Any]
    latent_scale: float = 1.0
    latent_mean: tuple[float, ...] | None = None
    latent_std: tuple[float, ...] | None = None
    channel: Literal["R", "G", "B", "mean"] = "G"


@dataclass(frozen=True, kw_only=True)
class VocoderSpec:
    """The mel inversion; Griffin-Lim has options and no weights."""

    kind: Literal["griffin_lim", "hifigan", "vocos"]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SamplingSpec:
    """How the transformer was trained to be sampled, and the settings that suit it.

    ``schedule``: the betas are ``linear`` (MDSGen) or linear in their square roots, ``scaled_linear`` (Diff-Foley).
    """

    prediction_type: Literal["epsilon", "v_prediction"]
    num_inference_steps: int
    guidance_scale: float
    guidance_power: float
    schedule: Literal["linear", "scaled_linear"] = "linear"


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec:
    """The alignment classifier that can lead the sampler, and the ``scale`` that suits it.

    ``config`` holds AlignmentConfig's fields. ``features``: it sees those of the pictures ``raw``, as in the published
    sampler, or ``embedded`` by its own linear map and positions, as in its training.
    """

    config: Mapping[str, Any]
    scale: float
    features: Literal["raw", "embedded"] = "raw"


@dataclass(frozen=True, kw_only=True)
class CueSpec:
    """The adapter of cues and words beside the transformer: its sizes, and the words that it has learnt, in order.

    ``guidance_scale`` suits windows that are told something, and so does ``guidance_rescale``, by which guidance keeps
    their level (0: not at all, 1: fully).
    """

    families: tuple[str, ...]
    materials: tuple[str, ...]
    sub_steps: int
    hidden_size: int
    blend_size: int
    guidance_scale: float
    guidance_rescale: float = 0.0
    contrast: float = 1.0
    """By which detail along frequency is multiplied in windows that are told something; 1: not at all."""


@dataclass(frozen=True, kw_only=True)
class LevelSpec:
    """The head that says how loud a window should be; a louder one is lowered to that before it is vocoded.

    It is lowered further where its loudest mel frame is above ``loudest_frame`` LUFS. None is raised, since what came
    out quieter may be meant to, but those that are told how hard their hits are.
    """

    loudest_frame: float


@dataclass(frozen=True, kw_only=True)
class StudentSpec:
    """The student of the transformer: its sizes, and what it has learnt to repeat in few evaluations.

    ``times`` are those of its evaluations, a row for each number of them, rising; ``guidance`` the least and the most
    that it was led by. A ``usual`` one makes all runs that do not ask for a number of steps, in as many evaluations as
    it has learnt; another one only those that ask for one of its numbers. ``emphasis`` times the guidance is what it is
    told, where it follows the picture a little less than its teacher.
    """

    rank: int
    hidden_size: int
    times: tuple[tuple[float, ...], ...]
    guidance: tuple[float, float]
    usual: bool = True
    emphasis: float = 1.0

    def evaluates(self, steps: int | None, guidance: float) -> tuple[float, ...] | None:
        """The times of a run of ``steps`` evaluations, None for as many as suit it; None if it is not the student's."""
        asked = len(self.times[-1]) if steps is None and self.usual else steps
        least, most = self.guidance
        if not least <= guidance <= most:
            return None
        return next((times for times in self.times if len(times) == asked), None)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that a bundle was made from."""

    file: str
    sha256: str
    place: str = ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file of weights inside the bundle; ``bytes`` is its size."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class BundleSpec:
    """What ``bundle.yaml`` says, except for the files.

    ``transformer`` is a ``kind`` and that family's settings: under "mdsgen", which may go without saying,
    TransformerConfig's fields.
    """

    name: str
    licence: str
    commercial: bool
    sample_rate: int
    window_samples: int
    mel: MelSpec
    encoder: EncoderSpec
    transformer: Mapping[str, Any]
    autoencoder: AutoencoderSpec
    vocoder: VocoderSpec
    sampling: SamplingSpec
    classifier: ClassifierSpec | None = None
    cues: CueSpec | None = None
    """None: what sounds and when is the picture's alone."""
    student: StudentSpec | None = None
    """None: all runs are the transformer's."""
    level: LevelSpec | None = None
    """None: windows are as loud as they come out."""
    sources: tuple[Source, ...] = ()

    @property
    def transformer_kind(self) -> str:
        """The model family."""
        return str(self.transformer.get("kind", "mdsgen"))

    @property
    def transformer_options(self) -> Mapping[str, Any]:
        """The family's settings."""
        return {name: value for name, value in self.transformer.items() if name != "kind"}
