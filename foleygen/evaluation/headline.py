"""The MDSGen paper's headline on this machine: Diff-Foley's U-Net beside the transformers, sampler only, in turns.

One window, guidance by the condition, random weights: speed and memory do not depend on them. N = 1 window.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

import torch
from torch import Tensor, nn

from foleygen.engines.device import TYPES
from foleygen.engines.foley import Engine
from foleygen.evaluation.memory import peak_memory
from foleygen.models.alignment import AlignmentClassifier
from foleygen.models.diff_foley import DiffFoley, DiffFoleyConfig
from foleygen.models.diffusion import Condition
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.sampling.classifier import Corrected, log_probability_gradient
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.sampling.schedule import ScheduleConfig

Geometry = DiffFoleyConfig | TransformerConfig
Model = TypeVar("Model", bound=nn.Module)
PUBLISHED: Mapping[str, Geometry] = {
    "Diff-Foley": DiffFoleyConfig(),
    **{f"MDSGen-{size}": TransformerConfig.preset(size) for size in ("T", "S", "B")},
}
SCALED = ScheduleConfig.preset("scaled_linear", "epsilon")
JUDGED = 5
"""Gradients that are timed of an engine, after one to warm up."""
PAPER = {"parameters": 172, "seconds": 36, "memory_percent": 371}
"""What the paper says of MDSGen-T against Diff-Foley: times fewer, times faster, and "371 % less" memory."""


@dataclass(frozen=True)
class HeadlineConfig:
    """What is timed: each of ``geometries`` once a round, after a step each to warm up."""

    steps: int = 25
    rounds: int = 3
    device: str = "cpu"
    precision: str = "fp32"
    seed: int = 0
    geometries: Mapping[str, Geometry] = field(default_factory=lambda: dict(PUBLISHED))

    @property
    def pieces(self) -> int:
        """Pieces of work that ``measure`` tells of."""
        return len(self.geometries) + 1 + (self.rounds + 1) * (len(self.geometries) + 1)


@dataclass(frozen=True)
class HeadlineRow:
    """Medians for one window: ``seconds`` by the clock, ``cpu_s`` of all threads, which count on a shared machine.

    The ratios are the first row's figures over this one's.
    ``peak_memory_bytes`` is that of a process which loads the model and makes one step: all of its memory on a CPU,
    what torch took of a CUDA device.
    """

    name: str
    parameters: int
    seconds: float
    cpu_s: float
    peak_memory_bytes: int
    parameters_ratio: float
    seconds_ratio: float
    cpu_ratio: float
    memory_ratio: float


@dataclass(frozen=True)
class HeadlineReport:
    """``imports_bytes`` is what the libraries take alone; ``classifier_s`` what guidance by the classifier adds."""

    rows: tuple[HeadlineRow, ...]
    imports_bytes: int
    classifier_parameters: int
    classifier_s: float


def measure(config: HeadlineConfig, on_turn: Callable[[int, int], None]) -> HeadlineReport:
    """A row for each geometry, timed in turns; ``on_turn(done, total)`` hears of each piece of work."""
    done = 0

    def told() -> None:
        nonlocal done
        done += 1
        on_turn(done, config.pieces)

    peaks = {}
    for name in (None, *config.geometries):
        peaks[name] = _peak_elsewhere(config, None if name is None else config.geometries[name])
        told()
    models = {name: random_model(geometry, config) for name, geometry in config.geometries.items()}
    classifier = _filled(AlignmentClassifier, config, torch.float32)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    judged = []
    for steps in (1, *(config.steps for _ in range(config.rounds))):
        for name, model in models.items():
            spent[name].append(_window(model, config, steps))
            told()
        judged.append(_gradients(classifier, config, steps))
        told()
    figures = {
        name: (
            parameters_of(model),
            median(wall for wall, _ in spent[name][1:]),
            median(cpu for _, cpu in spent[name][1:]),
            peaks[name],
        )
        for name, model in models.items()
    }
    classifier_s = median(wall for wall, _ in judged[1:])
    return HeadlineReport(_rows(figures), peaks[None], parameters_of(classifier.model), classifier_s)


@torch.inference_mode()
def classifier_seconds(engine: Engine, steps: int | None = None, scale: float | None = None) -> float | None:
    """Seconds of a window's sampling that an engine spends on guidance by its classifier; None where none leads it."""
    model, encoder = engine.led(scale), engine.bundle.encoder
    condition = Condition(torch.zeros(1, encoder.num_features, encoder.feature_dim)).to(engine.device)
    prepared = model.prepared(condition, torch.tensor([500.0]), guided=False)
    if not isinstance(prepared, Corrected):
        return None
    latents = torch.zeros(1, *model.latent_shape, device=engine.device)
    turns = [_timed(lambda: prepared.gradient(latents, 0), engine.device)[0] for _ in range(1 + JUDGED)]
    return median(turns[1:]) * (steps or engine.defaults.num_inference_steps)


def random_model(geometry: Geometry, config: HeadlineConfig) -> DiffFoley | MDSGen:
    """A model of this geometry on the configuration's device, without the part of MDSGen that only training runs."""
    dtype = TYPES[config.precision]
    if isinstance(geometry, DiffFoleyConfig):
        return _filled(lambda: DiffFoley(geometry), config, dtype)
    model = _filled(lambda: MDSGen(geometry), config, dtype)
    model.sideblocks = nn.ModuleList()
    return model


def parameters_of(model: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(value.numel() for value in model.parameters())


def peak(geometry: Geometry | None, config: HeadlineConfig, threads: int) -> int:
    """Bytes at most taken by this process, or of its CUDA device, after one step of a model of ``geometry``."""
    torch.set_num_threads(threads)
    if geometry is not None:
        _window(random_model(geometry, config), config, steps=1)
    if config.device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return peak_memory()


def _peak_elsewhere(config: HeadlineConfig, geometry: Geometry | None) -> int:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(peak, geometry, config, torch.get_num_threads()).result()


def _filled(kind: Callable[[], Model], config: HeadlineConfig, dtype: torch.dtype) -> Model:
    """The model in eval mode with random weights, none of which is zero: no arithmetic is spared."""
    with torch.device("meta"):
        model = kind().to(dtype)
    model = model.to_empty(device=config.device)
    generator = torch.Generator(config.device).manual_seed(config.seed)
    with torch.no_grad():
        for value in model.parameters():
            value.normal_(0, value[0].numel() ** -0.5 if value.ndim > 1 else 0.02, generator=generator)
    return model.eval().requires_grad_(False)


def _window(model: DiffFoley | MDSGen, config: HeadlineConfig, steps: int) -> tuple[float, float]:
    """Seconds for one window, by the clock and of the processor."""
    condition, noise = _inputs(model.config, config)
    schedule = SCALED if isinstance(model, DiffFoley) else ScheduleConfig()
    sampler = SamplerConfig(steps, 4.5, 0.0, schedule)
    return _timed(lambda: sample(model, condition, noise, sampler), config.device)


def _gradients(classifier: AlignmentClassifier, config: HeadlineConfig, steps: int) -> tuple[float, float]:
    """The same for the gradients of one window."""
    geometry = next(iter(config.geometries.values()))
    condition, latents = _inputs(geometry, config)
    t = latents.new_full((1,), 500)

    def each() -> None:
        for _ in range(steps):
            log_probability_gradient(classifier, latents, t, condition.features)

    return _timed(each, config.device)


def _inputs(geometry: Geometry, config: HeadlineConfig) -> tuple[Condition, Tensor]:
    """Features of unit length and noise, on the configuration's device."""
    generator = torch.Generator().manual_seed(config.seed)
    features = torch.randn(1, geometry.num_features, geometry.feature_dim, generator=generator)
    noise = torch.randn(1, *geometry.latent_shape, generator=generator)
    return Condition(features / features.norm(dim=2, keepdim=True)).to(config.device), noise.to(config.device)


def _timed(work: Callable[[], object], device: str) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def _rows(figures: Mapping[str, tuple[int, float, float, int]]) -> tuple[HeadlineRow, ...]:
    """Rows of parameters, both kinds of seconds, and bytes."""
    first = next(iter(figures.values()))
    return tuple(
        HeadlineRow(name, *own, *(whole / part for whole, part in zip(first, own, strict=True)))
        for name, own in figures.items()
    )
