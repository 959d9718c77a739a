"""How long the second engine takes for a window: sizes of its transformer and precisions, in turns.

Speed does not depend on the weights: a size that no bundle holds has random ones, in the geometry of its recipe.
R rows and W columns of tokens; M mel bands, T frames.
"""

from __future__ import annotations

import copy
import multiprocessing
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Literal

import torch
from torch import Tensor, nn

from foleygen.audio.mel import MelConfig
from foleygen.audio.vocos import VocosVocoder
from foleygen.engines.composer import Composer
from foleygen.errors import SetupError
from foleygen.evaluation.memory import peak_memory
from foleygen.models.specmaskgit import SpecMaskGIT, SpecMaskGITConfig
from foleygen.models.vqgan import VQGAN, VQGANConfig
from foleygen.sampling.noise import generator
from foleygen.sampling.parallel_decode import DecodeConfig, decode, guided
from foleygen.settings import Settings
from foleygen.training import recipe
from foleygen.training.ambience.recipes import SpecMaskGITRecipe, TokenizerRecipe
from foleygen.weights import store
from foleygen.weights.ambience import AmbienceBundle

Size = Literal["embedded", "small", "paper"]
Precision = Literal["fp32", "bf16", "int8"]

SIZES: tuple[Size, ...] = ("embedded", "small", "paper")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
TURN = 4
"""Guided steps of a turn. A step looks at all tokens, twice, so that each costs the same."""
PUBLISHED_MEL = MelConfig(22050, 1024, 256, 80, 0.0, 8000.0)


@dataclass(frozen=True)
class SpeedConfig:
    """What is timed: each of ``sizes`` in each of ``precisions``, once a round after one to warm up.

    ``model`` is the bundle that is the embedded size.
    """

    model: str = Settings.ambience_model
    sizes: tuple[Size, ...] = SIZES
    precisions: tuple[Precision, ...] = PRECISIONS
    steps: tuple[int, ...] = (8, 12, 16)
    rounds: int = 3
    seed: int = 0


@dataclass(frozen=True)
class System:
    """What makes a window of ``seconds``: the transformer in float32, tokens (1, R, W) to mel, mel to samples."""

    transformer: SpecMaskGIT
    to_mel: Callable[[Tensor], Tensor]
    to_sound: Callable[[Tensor], object]
    seconds: float
    weights: Literal["bundle", "random"]


@dataclass(frozen=True)
class Spent:
    """Seconds that one turn took: each guided step, tokens to mel, mel to sound."""

    steps: tuple[float, ...]
    tokenizer: float
    vocoder: float


@dataclass(frozen=True)
class Pace:
    """A window in ``steps`` guided steps: seconds with all stages, and how many times real time that is."""

    steps: int
    seconds: float
    real_time: float


@dataclass(frozen=True)
class SpeedRow:
    """Seconds are medians; ``peak_memory_bytes`` is that of a process which loads the models and makes a window."""

    size: Size
    precision: Precision
    weights: Literal["bundle", "random"]
    parameters: int
    window_s: float
    step_s: float
    tokenizer_s: float
    vocoder_s: float
    paces: tuple[Pace, ...]
    peak_memory_bytes: int


def measure(config: SpeedConfig, on_turn: Callable[[int, int], None]) -> list[SpeedRow]:
    """A row for each size and precision, timed in turns; ``on_turn(done, total)`` hears of every piece of work.

    Raises BundleError, and SetupError where this torch cannot do a precision.
    """
    pairs = [(size, precision) for size in config.sizes for precision in config.precisions]
    total = len(pairs) * (config.rounds + 2)
    peaks = {}
    for done, pair in enumerate(pairs):
        peaks[pair] = _peak_elsewhere(config.model, *pair)
        on_turn(done + 1, total)
    systems = {size: load_system(config.model, size) for size in config.sizes}
    models = {(size, kind): converted(copy.deepcopy(systems[size].transformer), kind) for size, kind in pairs}
    spent: dict[tuple[Size, Precision], list[Spent]] = {pair: [] for pair in pairs}
    for round_number in range(config.rounds + 1):
        for place, pair in enumerate(pairs):
            taken = turn(models[pair], systems[pair[0]], config.seed, TURN if round_number else 1)
            if round_number:
                spent[pair].append(taken)
            on_turn(len(pairs) * (round_number + 1) + place + 1, total)
    return [_row(*pair, systems[pair[0]], spent[pair], config.steps, peaks[pair]) for pair in pairs]


def load_system(model: str, size: Size) -> System:
    """The bundle's models under "embedded"; else a transformer with random weights, and what turns its tokens into
    sound: the bundle's where the grid is the same, the published geometry with random weights where it is not."""
    composer = Composer(store.load(model, AmbienceBundle), "cpu")
    if size == "embedded":
        return of_composer(composer)
    config = recipe.load(f"specmaskgit-{size}", SpecMaskGITRecipe).model
    if config.grid == composer.grid:
        codes = composer.transformer.config.codebook_size
        return replace(
            of_composer(composer), transformer=_random(replace(config, codebook_size=codes)), weights="random"
        )
    tokenizer = VQGAN(recipe.load("tokenizer-published", TokenizerRecipe).model).eval()
    vocoder = VocosVocoder(PUBLISHED_MEL, **composer.bundle.vocoder.options).eval()
    return published(config, tokenizer, vocoder)


def of_composer(composer: Composer) -> System:
    """A bundle's own models."""
    seconds = composer.columns * composer.column / composer.sample_rate
    return System(composer.transformer, composer.decode, composer.sound, seconds, "bundle")


def published(config: SpecMaskGITConfig, tokenizer: VQGAN, vocoder: VocosVocoder) -> System:
    """Random weights all the way: their mel has no sound worth hearing, and takes as long."""
    frames = VQGANConfig(vocoder.config.num_mels, tokenizer.config.num_frames).num_frames
    seconds = frames * vocoder.hop_length / vocoder.sample_rate
    return System(_random(config), lambda tokens: tokenizer.decode(tokens).clamp(0, 1), vocoder, seconds, "random")


def converted(model: SpecMaskGIT, precision: Precision) -> SpecMaskGIT:
    """``model`` itself, its weights changed to ``precision``.

    int8 is torch's dynamic quantisation of the blocks' linear layers, with a scale a weight row and one for all
    activations. Raises SetupError where torch has it no longer, or not for this processor.
    """
    if precision != "int8":
        return model.to(torch.bfloat16 if precision == "bf16" else torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own: that this goes to another package some day
        try:
            from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

            quantize_dynamic(model.blocks, {nn.Linear: per_channel_dynamic_qconfig}, inplace=True)
        except (ImportError, RuntimeError) as error:
            raise SetupError(f"int8: torch {torch.__version__} cannot do it here", "leave it out") from error
    return model


@torch.inference_mode()
def turn(model: SpecMaskGIT, system: System, seed: int, steps: int) -> Spent:
    """Make a window in ``steps`` guided steps, and say what each stage took."""
    grid = model.config.grid
    condition = torch.eye(1, model.config.condition_dim)
    config = DecodeConfig(steps=steps)
    ticks = [time.perf_counter()]
    tokens = decode(
        guided(model, condition, config),
        torch.zeros(1, *grid, dtype=torch.long),
        torch.ones(1, *grid, dtype=torch.bool),
        [generator("bench", seed)],
        config,
        lambda done, total: ticks.append(time.perf_counter()),
    )
    began = time.perf_counter()
    mel = system.to_mel(tokens)
    between = time.perf_counter()
    system.to_sound(mel)
    ended = time.perf_counter()
    durations = tuple(after - before for before, after in pairwise(ticks))
    return Spent(durations, between - began, ended - between)


def peak(model: str, size: Size, precision: Precision, threads: int) -> int:
    """Bytes of the largest resident set of this process, after one guided step and the stages that follow it."""
    torch.set_num_threads(threads)
    system = load_system(model, size)
    turn(converted(system.transformer, precision), system, 0, 1)
    return peak_memory()


def _peak_elsewhere(model: str, size: Size, precision: Precision) -> int:
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning) as pool:
        return pool.submit(peak, model, size, precision, torch.get_num_threads()).result()


def _row(
    size: Size, precision: Precision, system: System, spent: Sequence[Spent], steps: Sequence[int], memory: int
) -> SpeedRow:
    step = median(seconds for taken in spent for seconds in taken.steps)
    tokenizer, vocoder = (median(getattr(taken, stage) for taken in spent) for stage in ("tokenizer", "vocoder"))
    whole = {count: count * step + tokenizer + vocoder for count in steps}
    return SpeedRow(
        size=size,
        precision=precision,
        weights=system.weights,
        parameters=sum(value.numel() for value in system.transformer.parameters()),
        window_s=system.seconds,
        step_s=step,
        tokenizer_s=tokenizer,
        vocoder_s=vocoder,
        paces=tuple(Pace(count, seconds, system.seconds / seconds) for count, seconds in whole.items()),
        peak_memory_bytes=memory,
    )


def _random(config: SpecMaskGITConfig) -> SpecMaskGIT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SpecMaskGIT(config).eval().requires_grad_(False)
