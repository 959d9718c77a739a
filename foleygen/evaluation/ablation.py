"""What each choice of MDSGen is worth: small models trained alike but for one thing, and sweeps of the sampler.

Judged on the mels as the autoencoder decodes them, before any vocoder. The tables are those of the paper (MDSGen,
ICLR 2025: conditioning, masking, guidance and steps), with the prediction type beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foleygen.audio.onsets import detect
from foleygen.engines.foley import Engine
from foleygen.errors import UsageError
from foleygen.evaluation import reconstruction, sync
from foleygen.evaluation.generated import audible_events
from foleygen.evaluation.report import Cell, text_table
from foleygen.models.diffusion import Condition, DiffusionModel
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.sampling.noise import WindowKey
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.sampling.schedule import ScheduleConfig
from foleygen.training import mdsgen
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.loop import Loop, LoopConfig
from foleygen.training.mdsgen import Pairs
from foleygen.training.objectives import DiffusionConfig, token_groups

GEOMETRY: dict[str, Any] = {"hidden_size": 128, "depth": 4, "num_heads": 2, "decode_layers": 2}
"""The ablated model: a small MDSGen, so that many can be trained."""
GUIDANCE = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
STEPS = (5, 8, 12, 25, 50)
BATCH = 8


@dataclass(frozen=True)
class Variant:
    """One way to train; ``pooled`` features of the window go to the model, as many as 4 fps or 16 fps give."""

    table: str
    name: str
    conditioning: str = "aligned"
    slow: bool = False
    mask: str | None = None
    prediction_type: str = "v_prediction"
    learned_sigma: bool = False

    def objective(self) -> DiffusionConfig:
        """What is minimised."""
        return DiffusionConfig(
            prediction_type=self.prediction_type,  # type: ignore[arg-type]
            learned_sigma=self.learned_sigma,
            snr_gamma=5.0,
            mask=self.mask,  # type: ignore[arg-type]
        )


VARIANTS = (
    Variant("conditioning", "aligned, 16 fps"),
    Variant("conditioning", "aligned, 4 fps", slow=True),
    Variant("conditioning", "reducer, 16 fps", conditioning="reducer"),
    Variant("conditioning", "reducer, 4 fps", conditioning="reducer", slow=True),
    Variant("masking", "temporal-aware (TAM)", mask="TAM"),
    Variant("masking", "single tokens (SAM)", mask="SAM"),
    Variant("prediction", "epsilon", prediction_type="epsilon"),
    Variant("prediction", "epsilon, learned variance", prediction_type="epsilon", learned_sigma=True),
)
"""The first is the base: no mask, v-prediction; each other one differs from it in one thing."""


@dataclass(frozen=True)
class Scores:
    """Means over seeds and their standard deviations, one entry a measure."""

    table: str
    name: str
    seeds: int
    mean: dict[str, float]
    deviation: dict[str, float]


@dataclass(frozen=True)
class AblationReport:
    """All variants, in order."""

    scores: list[Scores] = field(default_factory=list)

    def table(self) -> str:
        """The report as text: mean and deviation over the seeds."""
        measures = list(self.scores[0].mean) if self.scores else []
        rows: list[list[Cell]] = [
            [f"{row.table}: {row.name}", *(f"{row.mean[m]:.3f} ±{row.deviation[m]:.3f}" for m in measures)]
            for row in self.scores
        ]
        return text_table([f"{self.scores[0].seeds if self.scores else 0} seeds", *measures], rows)


@dataclass(frozen=True)
class Judge:
    """The held-out clips, encoded once: features (N, F, C) and what is true of them."""

    engine: Engine
    dataset: SceneDataset
    features: Tensor

    @classmethod
    def of(cls, engine: Engine, dataset: SceneDataset, count: int) -> Judge:
        """The first ``count`` clips of a dataset through the engine's encoder."""
        if dataset.frames is None:
            raise UsageError("the dataset of the ablation has no pictures", "make it with 'foleygen train scenes'")
        clips = dataset.clips[:count]
        with torch.inference_mode():
            rows = [engine.encode(torch.from_numpy(np.array(dataset.frames[clip.row]))[None]).cpu() for clip in clips]
        return cls(engine, dataset, torch.cat(rows))

    def scores(self, model: DiffusionModel, config: SamplerConfig, features: Tensor, seed: int) -> dict[str, float]:
        """Onset F1 with its null, and the distance of mean spectra, of what ``model`` makes of ``features``."""
        clips = self.dataset.clips[: len(features)]
        mels = self._mels(model, config, features, seed)
        true = [self.dataset.mels[clip.row].astype(np.float32) for clip in clips]
        rate = self.engine.bundle.sample_rate / self.engine.bundle.mel.hop_length
        scored = [(mel, audible_events(clip), clip.family) for mel, clip in zip(mels, clips, strict=True)]
        scored = [row for row in scored if row[1].size]
        seconds = self.engine.bundle.window_samples / self.engine.bundle.sample_rate
        report = sync.score(
            [detect(mel, rate) for mel, _, _ in scored], [row[1] for row in scored], [row[2] for row in scored], seconds
        )
        timbre = reconstruction.evaluate(mels, true, [clip.family for clip in clips])
        return {
            "F1@100": report.score.f1_100ms or 0.0,
            "null": report.shifted.f1_100ms or 0.0,
            "F1@50": report.score.f1_50ms or 0.0,
            "spectrum L1": timbre.spectrum_l1,
            "gradient": timbre.frequency_gradient_ratio or 0.0,
        }

    def _mels(
        self, model: DiffusionModel, config: SamplerConfig, features: Tensor, seed: int
    ) -> list[NDArray[np.float32]]:
        clips = self.dataset.clips[: len(features)]
        noise = torch.stack([WindowKey(seed, f"scene/{clip.seed}", 0, 1).noise(model.latent_shape) for clip in clips])
        found: list[NDArray[np.float32]] = []
        for start in range(0, len(features), BATCH):
            part = slice(start, start + BATCH)
            found.extend(self.engine.decode(sample(model, Condition(features[part]), noise[part], config)).numpy())
        return found


def variants(
    pairs: Pairs,
    judge: Judge,
    folder: Path,
    loop: LoopConfig,
    seeds: int,
    chosen: Sequence[Variant] = VARIANTS,
    on_run: Callable[[int, int], None] | None = None,
) -> AblationReport:
    """Train every variant ``seeds`` times for the same steps below ``folder``, and judge it.

    A run that is finished there is judged again without training; one that was killed goes on.
    """
    scores = []
    for number, variant in enumerate(chosen, 1):
        runs = []
        for seed in range(seeds):
            model = _trained(variant, pairs, folder / _slug(variant) / str(seed), replace(loop, seed=seed))
            config = SamplerConfig(
                num_inference_steps=judge.engine.defaults.num_inference_steps,
                guidance_scale=judge.engine.defaults.guidance_scale,
                schedule=ScheduleConfig(prediction_type=variant.prediction_type),  # type: ignore[arg-type]
            )
            runs.append(judge.scores(model, config, _at_rate(judge.features, variant), seed))
        scores.append(_summary(variant.table, variant.name, runs))
        if on_run is not None:
            on_run(number, len(chosen))
    return AblationReport(scores)


def sweeps(judge: Judge, seeds: int, on_run: Callable[[int, int], None] | None = None) -> AblationReport:
    """The bundle's own transformer under other guidance and other numbers of steps; seeds are those of the noise."""
    points = list(_points(judge.engine.defaults))
    scores = []
    for number, (table, name, config) in enumerate(points, 1):
        runs = [judge.scores(judge.engine.transformer, config, judge.features, seed) for seed in range(seeds)]
        scores.append(_summary(table, name, runs))
        if on_run is not None:
            on_run(number, len(points))
    return AblationReport(scores)


def _points(defaults: SamplerConfig) -> Iterator[tuple[str, str, SamplerConfig]]:
    for scale in GUIDANCE:
        yield "guidance", f"{scale:g}", replace(defaults, guidance_scale=scale)
    for steps in STEPS:
        yield "steps", str(steps), replace(defaults, num_inference_steps=steps)


def _trained(variant: Variant, pairs: Pairs, folder: Path, config: LoopConfig) -> MDSGen:
    features = _at_rate(torch.from_numpy(pairs.features), variant).numpy()
    geometry = TransformerConfig.preset(
        "T",
        **GEOMETRY,
        latent_shape=tuple(pairs.latents.shape[1:]),
        conditioning=variant.conditioning,
        num_features=features.shape[2],
        feature_dim=features.shape[3],
        learn_sigma=variant.learned_sigma,
        mask_ratio=variant.objective().mask_ratio if variant.mask else None,
    )
    torch.manual_seed(config.seed)
    model = MDSGen(geometry)
    loss = mdsgen.make_loss(variant.objective(), token_groups(variant.objective(), geometry))
    loop = Loop(model, loss, mdsgen.make_draw(replace(pairs, features=features)), config, folder)
    loop.resume()
    loop.run(lambda step, steps, terms, rate: None)
    model.load_state_dict(loop.average)
    return model.eval()


def _at_rate(features: Tensor, variant: Variant) -> Tensor:
    """Features (..., F, C), four times fewer by averaging where the variant is slow."""
    if not variant.slow:
        return features
    pooled: Tensor = features.unflatten(-2, (-1, 4)).float().mean(dim=-2).to(features.dtype)
    return pooled


def _summary(table: str, name: str, runs: Sequence[dict[str, float]]) -> Scores:
    columns = {measure: np.array([run[measure] for run in runs]) for measure in runs[0]}
    return Scores(
        table=table,
        name=name,
        seeds=len(runs),
        mean={measure: float(values.mean()) for measure, values in columns.items()},
        deviation={measure: float(values.std(ddof=1)) if len(runs) > 1 else 0.0 for measure, values in columns.items()},
    )


def _slug(variant: Variant) -> str:
    text = f"{variant.table} {variant.name}".lower()
    return "-".join("".join(mark if mark.isalnum() else " " for mark in text).split())
