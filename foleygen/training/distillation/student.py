"""``train distill``: a student that ends where its teacher's runs end, in a few evaluations.

It is learnt on whole runs: the student's own states, through all of its evaluations, against the teacher's states from
the same noise, so that an evaluation learns to put right what the ones before it left (progressive distillation,
Salimans & Ho 2022, goes from the teacher's states). N rows, (Z, H, W) latents, K marks, M token columns, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from foleygen.engines.building import autoencoder_of, diffusion_of
from foleygen.engines.cues import grid_of
from foleygen.errors import UsageError
from foleygen.models.diffusion import Condition
from foleygen.models.student import StudentAdapter
from foleygen.models.transformer import MDSGen
from foleygen.sampling.sampler import SamplerConfig
from foleygen.sampling.schedule import ScheduleConfig, exact_times
from foleygen.sampling.solver import Solver
from foleygen.strict import plain
from foleygen.training.cues import examples as sources
from foleygen.training.cues.adapter import frozen
from foleygen.training.cues.draw import Table
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.distillation import runs as teaching
from foleygen.training.distillation.recipe import DistillRecipe, TeachingConfig
from foleygen.training.distillation.runs import DrawCondition, Runs, Teacher
from foleygen.training.loop import Batch, DrawBatch, Loop, Loss
from foleygen.training.runs import started
from foleygen.weights.bundle import Bundle
from foleygen.weights.files import digest

LEAST_POWER = 0.1
"""Of the latents at a run's end, below which its error is no longer measured against it."""
USUAL_STEP = 0.01
"""From band to band of a mean spectrum, in units of the mel."""
LEAST_SPREAD = 0.05
"""The same of a latent channel's deviation."""
Spectrum = Callable[[Tensor], Tensor]
"""Latents (N, Z, H, W) -> the mean spectra (N, M) of their mels."""


def make_runs(
    recipe: DistillRecipe,
    datasets: Sequence[SceneDataset],
    bundle: Bundle,
    folder: Path,
    device: str,
    part: tuple[int, int] = (1, 1),
    on_run: Callable[[int, int], None] | None = None,
) -> None:
    """Make the teacher's runs that are missing in ``folder``, or a part of them; scenes are encoded once, too."""
    examples = sources.held(folder, bundle, datasets, recipe.views, recipe.teaching.seed, device)
    mel_rate = bundle.sample_rate / bundle.mel.hop_length
    table = Table(examples, grid_of(bundle), recipe.mix, mel_rate)
    teacher = teacher_of(bundle, recipe.teaching, device, recipe.loop.precision)
    teaching.make(folder, teacher, draw_condition(table), recipe.teaching, part, on_run)


def distill_loop(recipe: DistillRecipe, bundle: Bundle, folder: Path, device: str) -> Loop:
    """The student of the transformer of ``bundle``, on the runs in ``folder``."""
    base = frozen(bundle).to(device)
    runs = teaching.load(folder, source_of(bundle, recipe.teaching), recipe.teaching)
    torch.manual_seed(recipe.loop.seed)
    schedule = ScheduleConfig.preset(bundle.sampling.schedule, bundle.sampling.prediction_type)
    pupil = Pupil(base, recipe, schedule, spectrum_of(bundle, device))
    return started(recipe, pupil, make_loss(recipe), make_draw(runs, device), folder, device)


def teacher_of(bundle: Bundle, config: TeachingConfig, device: str, precision: str) -> Teacher:
    """The transformer of a bundle, with its adapter of cues, as it is sampled."""
    if bundle.cues is None:
        fact = f"{bundle.name}: cannot be told when or what, and a student would not learn it"
        raise UsageError(fact, "train its cues first: foleygen train cues")
    model = diffusion_of(bundle, device, torch.bfloat16 if precision == "bf16" else torch.float32)
    assert isinstance(model, MDSGen)
    sampling, cues = bundle.sampling, bundle.cues
    schedule = ScheduleConfig.preset(sampling.schedule, sampling.prediction_type)
    return Teacher(
        model,
        SamplerConfig(config.steps, sampling.guidance_scale, sampling.guidance_power, schedule),
        SamplerConfig(config.steps, cues.guidance_scale, sampling.guidance_power, schedule, cues.guidance_rescale),
        source_of(bundle, config),
    )


def spectrum_of(bundle: Bundle, device: str) -> Spectrum:
    """The mean spectra of a bundle's latents, through its frozen autoencoder."""
    decoder = autoencoder_of(bundle).to(device).requires_grad_(False)
    spec = bundle.autoencoder
    shift, scale = (
        1.0 * torch.tensor(values, device=device)[:, None, None] if values is not None else None
        for values in (spec.latent_mean, spec.latent_std)
    )

    def spectrum(latents: Tensor) -> Tensor:
        if shift is not None and scale is not None:
            latents = latents * scale + shift
        mels: Tensor = decoder.decode(latents)
        return mels.float().mean(dim=2)

    return spectrum


def student_times(recipe: DistillRecipe, bundle: Bundle) -> tuple[tuple[float, ...], ...]:
    """At which times of the diffusion a student of a bundle evaluates, in runs of as many evaluations as it learns."""
    schedule = ScheduleConfig.preset(bundle.sampling.schedule, bundle.sampling.prediction_type)
    known = exact_times(schedule, recipe.teaching.steps)[0].tolist()
    counts = [count for count, share in enumerate(recipe.evaluations, 1) if share]
    return tuple(tuple(known[mark] for mark in recipe.teaching.evaluated(count)) for count in counts)


def source_of(bundle: Bundle, config: TeachingConfig) -> str:
    """16 hex digits that change with the transformer, and with how its runs are made."""
    weights = bundle.parts["transformer"].sha256
    return digest({"transformer": weights, "sampling": plain(bundle.sampling), "teaching": plain(config)})


def draw_condition(table: Table) -> DrawCondition:
    """Conditions of runs from a table of scenes: half of them told nothing, say."""

    def draw(generator: torch.Generator, count: int, told: bool) -> Condition:
        rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        if not told:
            return Condition(torch.from_numpy(np.stack([table.untold(rng) for _ in range(count)])))
        rows = [table.row(rng) for _ in range(count)]
        features, behind = (torch.from_numpy(np.stack([row[column] for row in rows])) for column in (1, 2))
        return Condition(features, behind)

    return draw


def make_draw(runs: Runs, device: str = "cpu") -> DrawBatch:
    """(states (N, K + 1, Z, H, W), heard (N, M, D), guidance (N,), rescale (N,)) of random runs."""

    def draw(generator: torch.Generator, count: int) -> Batch:
        rows = torch.randint(len(runs.states), (count,), generator=generator).numpy()
        columns = (runs.states, runs.heard, runs.guidance, runs.rescale)
        return tuple(torch.from_numpy(column[rows].astype(np.float32)).to(device) for column in columns)

    return draw


class Pupil(StudentAdapter):
    """A student beside its base that makes runs of its own, and is told how far it is from the teacher."""

    def __init__(self, base: MDSGen, recipe: DistillRecipe, schedule: ScheduleConfig, ears: Spectrum) -> None:
        super().__init__(base, recipe.student)
        self._ears = ears
        self._base = (base,)  # not a module of this one, whose weights would be learnt and kept
        self._biases = tuple(bias.detach() for bias in base.position_biases())
        self._schedule, self._teaching = schedule, recipe.teaching
        self._times = exact_times(schedule, recipe.teaching.steps)[0].tolist()

    def errors(self, states: Tensor, heard: Tensor, led: Tensor, evaluations: int) -> tuple[Tensor, Tensor]:
        """How far a run is from ``states`` (N, K + 1, Z, H, W) at each mark, then at the end: (N, evaluations).

        Mean squares of the data that the states amount to, in parts of the latents' power. ``heard`` (N, M, D),
        ``led`` (N, 1, D). With it comes where the run ends, (N, Z, H, W).
        """
        (base,) = self._base
        times = [self._times[mark] for mark in self._teaching.evaluated(evaluations)]
        solver = Solver(self._schedule, evaluations, times)
        embedded = base.embed_time(solver.times.to(states))[:, None]  # steps 1 1 D
        state, wanted = states[:, 0], [states[:, place] for place in (*self._teaching.places(evaluations)[1:], -1)]
        power = states[:, -1].square().mean(dim=(1, 2, 3)).clamp_min(LEAST_POWER)
        found = []
        for step, aim in enumerate(wanted):
            with self.beside(base):
                output = base.denoise(state, base.modulations(embedded[step] + led + heard), self._biases)
            state = solver.step(output.float(), step, state)
            found.append((state - aim).square().mean(dim=(1, 2, 3)) / (solver.signal(step + 1) ** 2 * power))
        return torch.stack(found, dim=1), state

    def forward(self, *batch: Tensor, evaluations: int) -> Tensor:
        """Errors of a batch of ``make_draw``, then of the mean spectrum and of the spread: (N, evaluations + 2)."""
        states, heard, guidance, rescale = batch
        errors, made = self.errors(states, heard, self.lead(guidance, rescale, evaluations), evaluations)
        with torch.no_grad():
            wanted = self._ears(states[:, -1])
        tone = spectrum_error(self._ears(made), wanted)
        return torch.cat([errors, tone[:, None], spread_error(made, states[:, -1])[:, None]], dim=1)


def spectrum_error(made: Tensor, wanted: Tensor) -> Tensor:
    """How far the steps from band to band of mean spectra (N, M) are from those wanted, and their size too: (N,).

    In parts of a usual step. The first alone would make spectra smooth where the steps cannot be foretold.
    """
    ours, theirs = made.diff(dim=1), wanted.diff(dim=1)
    sizes = ours.abs().mean(dim=1) - theirs.abs().mean(dim=1)
    return ((ours - theirs).abs().mean(dim=1) + sizes.abs()) / USUAL_STEP


def spread_error(made: Tensor, wanted: Tensor) -> Tensor:
    """How far the deviations of the channels of latents (N, Z, H, W) are from those wanted, (N,)."""
    ours, theirs = (latents.std(dim=(2, 3)).clamp_min(LEAST_SPREAD) for latents in (made, wanted))
    return (ours / theirs).log().abs().mean(dim=1)


def make_loss(recipe: DistillRecipe) -> Loss:
    """How far a pupil ends from where the teacher does, and how far it is from it on the way."""
    shares = torch.tensor(recipe.evaluations)

    def loss(model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        evaluations = int(torch.multinomial(shares, 1, generator=generator)) + 1
        *way, end, spectrum, spread = model(*batch, evaluations=evaluations).mean(dim=0)
        terms = {"end": end, "way": sum(way, start=torch.zeros_like(end)), "spectrum": spectrum, "spread": spread}
        weights = {
            "end": 1.0,
            "way": recipe.mark_weight,
            "spectrum": recipe.spectrum_weight,
            "spread": recipe.spread_weight,
        }
        return {"loss": sum((weights[name] * value for name, value in terms.items()), start=0 * end), **terms}

    return loss
