"""How much faster the sampler is than the release's order of work.

The released MDSGen evaluates its model twice a step, one window each time and once without the condition, and every
layer of every evaluation gathers its position bias by an (L, L) index and projects the condition again. Both orders
run in turns with the same random weights, noise and steps, and the ratio of their medians is reported.
Letters: N = 1 window, L tokens, D hidden size, h heads.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from foleygen.models.diffusion import Condition
from foleygen.models.transformer import Block, MDSGen, TransformerConfig
from foleygen.sampling.guidance import power_cosine
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.sampling.solver import Solver


@dataclass(frozen=True)
class SpeedConfig:
    """What is timed: ``repeats`` rounds of ``steps`` denoising steps by each of the three ways."""

    size: Literal["T", "S", "B", "L"] = "B"
    grid: Literal["paper", "release"] = "release"
    steps: int = 2
    repeats: int = 3
    seed: int = 0


@dataclass(frozen=True)
class SpeedReport:
    """Seconds are medians for one window; ratios are the release's order over ours, in wall-clock and in CPU time.

    Errors are root mean squares of bfloat16 against float32, as a share of the standard deviation: of one evaluation
    half-way, and of the latents after all steps.
    """

    config: SpeedConfig
    threads: int
    released_s: float
    fp32_s: float
    bf16_s: float
    fp32_ratio: float
    bf16_ratio: float
    fp32_cpu_ratio: float
    bf16_cpu_ratio: float
    released_difference: float
    """Largest difference of the two orders in float32, as a share of the standard deviation."""
    bf16_evaluation_error: float
    bf16_latents_error: float


def measure(config: SpeedConfig) -> SpeedReport:
    """Time the release's order, ours in float32 and ours in bfloat16, in turns, after one round to warm up."""
    model = random_model(TransformerConfig.preset(config.size, config.grid), config.seed)
    half = copy.deepcopy(model).to(torch.bfloat16)
    generator = torch.Generator().manual_seed(config.seed)
    noise = torch.randn(1, *model.config.latent_shape, generator=generator)
    features = torch.randn(1, model.config.num_features, model.config.feature_dim, generator=generator)
    sampler = SamplerConfig(num_inference_steps=config.steps)
    ways: dict[str, Callable[[], Tensor]] = {
        "released": lambda: released_sample(model, features, noise, sampler),
        "fp32": lambda: sample(model, Condition(features), noise, sampler),
        "bf16": lambda: sample(half, Condition(features), noise, sampler),
    }
    latents = {name: way() for name, way in ways.items()}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(config.repeats):
        for name, way in ways.items():
            spent[name].append(_timed(way))
    wall, cpu = ({name: median(times[clock] for times in spent[name]) for name in ways} for clock in (0, 1))
    exact = latents["fp32"]
    return SpeedReport(
        config=config,
        threads=torch.get_num_threads(),
        released_s=wall["released"],
        fp32_s=wall["fp32"],
        bf16_s=wall["bf16"],
        fp32_ratio=wall["released"] / wall["fp32"],
        bf16_ratio=wall["released"] / wall["bf16"],
        fp32_cpu_ratio=cpu["released"] / cpu["fp32"],
        bf16_cpu_ratio=cpu["released"] / cpu["bf16"],
        released_difference=float((latents["released"] - exact).abs().max() / exact.std()),
        bf16_evaluation_error=_share(*(_evaluation(each, features, noise) for each in (half, model))),
        bf16_latents_error=_share(latents["bf16"], exact),
    )


def random_model(config: TransformerConfig, seed: int) -> MDSGen:
    """An MDSGen whose every layer takes part: at its own initialisation it predicts zero."""
    model = MDSGen(config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            centre = float(name.endswith("weight"))  # of a norm
            parameter.copy_(centre + 0.02 * torch.randn(parameter.shape, generator=generator))
        elif not name.endswith("pos_embed"):
            fan_in = parameter[0].numel()
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan_in**0.5)
    return model


@torch.inference_mode()
def released_sample(model: MDSGen, features: Tensor, noise: Tensor, config: SamplerConfig) -> Tensor:
    """The latents of ``sampling.sampler.sample`` for one window, in the release's order of work."""
    solver = Solver(config.schedule, config.num_inference_steps)
    evaluate = ReleasedOrder(model)
    channels = noise.shape[1]
    latents = noise
    for step, t in enumerate(solver.times):
        unconditional = evaluate(latents, t[None], features, dropped=True)[:, :channels]
        conditional = evaluate(latents, t[None], features, dropped=False)[:, :channels]
        weight = power_cosine(
            float(t), config.guidance_scale, config.guidance_power, config.schedule.num_train_timesteps
        )
        predicted = unconditional + weight * (conditional - unconditional)
        latents = solver.step(predicted, step, latents)
    return latents


class ReleasedOrder:
    """One evaluation of a model's weights with nothing shared between layers, branches or steps."""

    def __init__(self, model: MDSGen) -> None:
        self.model = model
        rows, columns = model.config.grid
        place = torch.arange(rows * columns)
        down = place[:, None] // columns - place[None, :] // columns + rows - 1
        across = place[:, None] % columns - place[None, :] % columns + columns - 1
        self.index = (down * (2 * columns - 1) + across).flatten()  # L L

    def __call__(self, latents: Tensor, t: Tensor, features: Tensor, dropped: bool) -> Tensor:
        model = self.model
        condition = model.condition(t, features, torch.tensor([dropped]))  # 1 1 D
        x = model.x_embedder(latents).flatten(1, 2) + model.pos_embed  # 1 L D
        for layer, block in enumerate(model.blocks):
            if layer == model.config.depth - model.config.decode_layers:
                x = x + model.decoder_pos_embed
            x = self._block(cast(Block, block), x, condition)
        shift, scale = model.final_layer.adaLN_modulation(condition).chunk(2, dim=-1)
        return self._unpatched(model.final_layer.linear(_modulated(x, shift, scale)))

    def _block(self, block: Block, x: Tensor, condition: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = block.adaLN_modulation(condition).chunk(6, dim=-1)
        x = x + gate_a * self._attention(block, _modulated(x, shift_a, scale_a))
        hidden = F.gelu(block.mlp.fc1(_modulated(x, shift_m, scale_m)), approximate="tanh")
        result: Tensor = x + gate_m * block.mlp.fc2(hidden)
        return result

    def _attention(self, block: Block, x: Tensor) -> Tensor:
        heads = block.attn.num_heads
        qkv = block.attn.qkv(x).view(1, x.shape[1], 3, heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)  # 1 h L D/h
        table = block.attn.rel_pos_bias.relative_position_bias_table
        bias = table[self.index].view(x.shape[1], x.shape[1], heads).permute(2, 0, 1).contiguous()
        logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1) + bias
        mixed = (logits.softmax(-1) @ value).transpose(1, 2).reshape(x.shape)
        projected: Tensor = block.attn.proj(mixed)
        return projected

    def _unpatched(self, values: Tensor) -> Tensor:
        config = self.model.config
        size = config.patch_size
        patches = values.view(1, *config.grid, size, size, config.out_channels)
        return patches.permute(0, 5, 1, 3, 2, 4).reshape(1, config.out_channels, *config.latent_shape[1:])


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


@torch.inference_mode()
def _evaluation(model: MDSGen, features: Tensor, latents: Tensor) -> Tensor:
    """Both branches' predictions at time 500."""
    denoiser = model.prepared(Condition(features), torch.tensor([500.0]), guided=True)
    conditional, unconditional = denoiser(latents, 0)
    assert unconditional is not None
    return torch.cat([conditional, unconditional])


def _share(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).square().mean().sqrt() / exact.std())


def _timed(way: Callable[[], Tensor]) -> tuple[float, float]:
    """Wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - wall, time.process_time() - cpu
