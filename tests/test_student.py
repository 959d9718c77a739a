"""A student of a transformer: its weights, what it is led by, and which runs of an engine are its own."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from standins import fill_module
from torch import Tensor

from foleygen.engines.foley import Engine
from foleygen.errors import BundleError
from foleygen.models.diffusion import Condition
from foleygen.models.student import Student, StudentAdapter, StudentConfig, linear_layers
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.sampling import joint
from foleygen.sampling.noise import WindowKey
from foleygen.sampling.sampler import SamplerConfig, sample
from foleygen.sampling.schedule import ScheduleConfig, exact_times
from foleygen.sampling.solver import Solver
from foleygen.training.export import export_student, export_transformer
from foleygen.weights import bundle as bundles
from foleygen.weights import store
from foleygen.weights.bundle import Bundle
from foleygen.weights.rounded import restored, rounded
from foleygen.weights.spec import StudentSpec

CONFIG = TransformerConfig(
    latent_shape=(4, 4, 16), time_axis=2, hidden_size=24, depth=2, num_heads=2, decode_layers=1, feature_dim=8,
    num_features=32, conditioning="aligned", learn_sigma=False,
)  # fmt: skip
SIZES = StudentConfig(rank=3, hidden_size=4)
TIMES = ((999.0, 400.0), (999.0, 666.0, 333.0))
KEYS = [WindowKey(5, "clip", start, 1) for start in (0, 8192, 16384)]


@pytest.fixture(scope="module")
def base() -> MDSGen:
    made = MDSGen(CONFIG)
    fill_module(made)
    return made.eval().requires_grad_(False)


def adapter_of(base: MDSGen, seed: int = 0) -> StudentAdapter:
    """One with random weights everywhere."""
    torch.manual_seed(seed)
    made = StudentAdapter(base, SIZES)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.eval()


def student_of(base: MDSGen, adapter: StudentAdapter) -> Student:
    model = copy.deepcopy(base)
    adapter.merge(model)
    return Student(model, adapter.lead)


def inputs(count: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, 32, 8, generator=generator), torch.randn(count, 4, 4, 16, generator=generator)


@torch.inference_mode()
def test_changes_beside_a_transformer_are_those_that_are_merged(base: MDSGen) -> None:
    adapter, (features, noise) = adapter_of(base), inputs()
    t = torch.full((2,), 400.0)
    merged = student_of(base, adapter).model(noise, t, features)
    plain = base(noise, t, features)
    with adapter.beside(base):
        beside = base(noise, t, features)
    assert torch.allclose(beside, merged, atol=1e-4)
    assert not torch.allclose(plain, merged, atol=1e-2)
    assert torch.equal(base(noise, t, features), plain)  # nothing is left beside it


@torch.inference_mode()
def test_an_untrained_student_is_the_transformer(base: MDSGen) -> None:
    torch.manual_seed(0)
    features, noise = inputs()
    student, times = student_of(base, StudentAdapter(base, SIZES)), torch.tensor([700.0])
    led = replace(student, guidance=4.0, rescale=0.7)
    expected, _ = base.prepared(Condition(features), times, guided=False)(noise, 0)
    found, none = led.prepared(Condition(features), times, guided=False)(noise, 0)
    assert torch.equal(found, expected)
    assert none is None


@torch.inference_mode()
def test_guidance_its_rescaling_and_the_number_of_evaluations_are_heard(base: MDSGen) -> None:
    features, noise = inputs()
    student = student_of(base, adapter_of(base))

    def made(times: list[float], **led: float) -> Tensor:
        return replace(student, **led).prepared(Condition(features), torch.tensor(times), False)(noise, 0)[0]

    usual = made([999.0, 500.0], guidance=5.0)
    for other in (
        made([999.0, 500.0], guidance=2.0),
        made([999.0, 500.0], guidance=5.0, rescale=0.7),
        made([999.0], guidance=5.0),
    ):
        assert not torch.allclose(usual, other, atol=1e-3)


def test_a_student_is_not_guided_again(base: MDSGen) -> None:
    with pytest.raises(ValueError, match="led by what it has learnt"):
        student_of(base, adapter_of(base)).prepared(Condition(inputs()[0]), torch.zeros(1), guided=True)


def test_a_transformer_beside_changes_learns_nothing_itself(base: MDSGen) -> None:
    adapter, (features, noise) = adapter_of(base), inputs()
    with adapter.beside(base):
        base(noise, torch.full((2,), 400.0), features).square().mean().backward()
    assert all(parameter.grad is None for parameter in base.parameters())
    assert all(change.down.grad.any() and change.up.grad.any() for change in adapter.changes.values())
    assert len(adapter.changes) == len(linear_layers(base)) == 12


def test_times_of_one_s_own_are_a_run_like_any_other() -> None:
    schedule = ScheduleConfig.preset("linear", "v_prediction")
    usual, own = Solver(schedule, 4), Solver(schedule, 99, exact_times(schedule, 4)[0].tolist())
    assert torch.equal(usual.times, own.times)
    first = second = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    for step in range(4):
        first, second = (solver.step(torch.tanh(x), step, x) for solver, x in ((usual, first), (own, second)))
    assert torch.equal(first, second)


@pytest.mark.parametrize("times", [(999.0,), (999.0, 400.0), (999.0, 666.0, 300.0, 100.0)])
def test_a_run_lands_on_data_that_is_known_at_whatever_times(times: tuple[float, ...]) -> None:
    """A velocity that always tells the same data leads there, up to the noise that is left at time 0."""
    schedule = ScheduleConfig.preset("linear", "v_prediction")
    solver, generator = Solver(schedule, len(times), times), torch.Generator().manual_seed(0)
    data, state = torch.randn(2, 3, 50, generator=generator)
    for step in range(len(times)):
        signal = solver.signal(step)
        noise = (1 - signal**2) ** 0.5
        state = solver.step((signal * state - data) / noise, step, state)
    assert (state - data).abs().max() < 0.06
    assert solver.signal(len(times)) > 0.9999


def test_weights_of_a_byte_are_near_the_true_ones(base: MDSGen) -> None:
    state = adapter_of(base).state_dict()
    packed = rounded(state)
    again = restored(packed)
    assert again.keys() == state.keys()
    for name, value in state.items():
        assert (again[name] - value).abs().max() <= value.abs().max() / 250 + 1e-3
    assert packed["changes.blocks/0/attn/qkv.up"].dtype == torch.int8
    assert restored(rounded({"none": torch.zeros(2, 2)}))["none"].any() == torch.tensor(False)


@pytest.fixture(scope="module")
def taught(told_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A small engine that can be told, with a student of three evaluations, led from 1 to 4."""
    return Engine.load(write_student(told_bundle, tmp_path_factory.mktemp("students") / "taught"), "cpu", "fp32")


def write_student(told: Path, folder: Path, **changes: object) -> Bundle:
    from foleygen.engines.building import transformer_of

    bundle = store.load(told, Bundle)
    adapter = adapter_of(transformer_of(bundle))
    spec = replace(StudentSpec(rank=3, hidden_size=4, times=TIMES, guidance=(1.0, 4.0)), **changes)  # type: ignore[arg-type]
    return export_student(folder, bundle, spec, adapter.state_dict(), name="taught", model_card="A random student.\n")


def features_of(engine: Engine, count: int = 2) -> Tensor:
    encoder = engine.bundle.encoder
    shape = count, encoder.num_features, encoder.feature_dim
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def teacher(told_bundle: Path) -> Engine:
    return Engine.load(store.load(told_bundle, Bundle), "cpu", "fp32")


def test_the_student_makes_what_it_has_learnt_and_the_teacher_the_rest(taught: Engine, teacher: Engine) -> None:
    features, keys = features_of(taught), KEYS[:2]
    usual = taught.latents(features, keys)
    assert torch.equal(usual, taught.latents(features, keys, steps=3))
    for asked in ({"steps": 4}, {"steps": 1}, {"guidance": 4.5}, {"steps": 7, "guidance": 0.0}):
        assert torch.equal(taught.latents(features, keys, **asked), teacher.latents(features, keys, **asked))  # type: ignore[arg-type]
    for asked in ({"steps": 2}, {"guidance": 1.0}, {"guidance": 4.0}, {"steps": 3, "guidance": 2.0}):
        made = taught.latents(features, keys, **asked)  # type: ignore[arg-type]
        assert not torch.allclose(made, teacher.latents(features, keys, **asked), atol=1e-3)  # type: ignore[arg-type]
    assert not torch.allclose(usual, taught.latents(features, keys, guidance=3.0), atol=1e-3)


def test_a_step_of_the_student_is_one_evaluation(taught: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    real = MDSGen.denoise

    def counted(self: MDSGen, latents: Tensor, *rest: object, **named: object) -> Tensor:
        rows.append(len(latents))
        return real(self, latents, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(MDSGen, "denoise", counted)
    taught.latents(features_of(taught), KEYS[:2])
    assert rows == [2, 2, 2]
    rows.clear()
    taught.latents(features_of(taught), KEYS[:2], steps=4)
    assert rows == [4, 4, 4, 4]


def test_a_row_of_a_student_is_the_same_whatever_is_beside_it(taught: Engine) -> None:
    features = features_of(taught, 3)
    together = taught.latents(features, KEYS)
    for row, key in enumerate(KEYS):
        assert torch.allclose(taught.latents(features[row : row + 1], [key])[0], together[row], atol=1e-5)


def test_windows_of_a_student_agree_where_they_overlap(taught: Engine) -> None:
    features = features_of(taught, 3)
    whole, _ = taught.joint_latents(features, KEYS, 2)
    assert torch.equal(whole[:-1, ..., -2:], whole[1:, ..., :2])
    first, tie = taught.joint_latents(features[:2], KEYS[:2], 2)
    assert len(tie.states) == 4
    after, _ = taught.joint_latents(features[2:], KEYS[2:], 2, tie)
    assert torch.equal(after[0, ..., :2], first[-1, ..., -2:])


def test_one_window_alone_is_the_same_joint_or_not(base: MDSGen) -> None:
    student, (features, noise) = student_of(base, adapter_of(base)), inputs(1)
    config = SamplerConfig(3, 1.0, schedule=ScheduleConfig.preset("linear", "v_prediction"), times=TIMES[-1])
    alone = sample(student, Condition(features), noise, config)
    together, _ = joint.sample(student, Condition(features), noise, 0, config)
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_student_that_is_not_usual_waits_to_be_asked(told_bundle: Path, teacher: Engine, tmp_path: Path) -> None:
    engine = Engine.load(write_student(told_bundle, tmp_path / "asked", usual=False), "cpu", "fp32")
    features, keys = features_of(engine), KEYS[:2]
    assert torch.equal(engine.latents(features, keys), teacher.latents(features, keys))
    assert not torch.allclose(
        engine.latents(features, keys, steps=2), teacher.latents(features, keys, steps=2), atol=1e-3
    )


def test_emphasis_multiplies_the_guidance_that_the_student_is_told(
    told_bundle: Path, taught: Engine, tmp_path: Path
) -> None:
    engine = Engine.load(write_student(told_bundle, tmp_path / "loud", emphasis=2.0), "cpu", "fp32")
    features, keys = features_of(engine), KEYS[:2]
    assert torch.equal(engine.latents(features, keys, guidance=2.0), taught.latents(features, keys, guidance=4.0))


def test_the_sidecar_says_how_many_evaluations_made_the_sound(told_bundle: Path, tmp_path: Path) -> None:
    from foleygen.record.fit import sound_settings
    from foleygen.settings import Settings

    told = store.load(told_bundle, Bundle)
    bundle = write_student(told_bundle, tmp_path / "taught")
    assert bundle.hash != told.hash
    for asked, steps in (
        (Settings(), 3), (Settings(steps=2), 2), (Settings(steps=12), 12), (Settings(guidance=9.0), 2),
    ):  # fmt: skip
        assert sound_settings(asked, bundle, None).steps == steps
    assert sound_settings(Settings(), told, None).steps == 2


def test_bundles_without_a_student_say_nothing_of_it(told_bundle: Path) -> None:
    told = store.load(told_bundle, Bundle)
    assert "student" not in bundles._manifest(told, told.parts)
    assert told.student_times(None) is None


def test_another_transformer_leaves_the_student_behind(told_bundle: Path, tmp_path: Path) -> None:
    from foleygen.engines.building import transformer_of

    bundle = write_student(told_bundle, tmp_path / "taught")
    model = transformer_of(bundle)
    made = export_transformer(
        tmp_path / "new",
        bundle,
        model.config,
        dict(model.state_dict()),
        bundle.sampling,
        name="new",
        model_card="New.\n",
    )
    assert made.student is None
    assert "student" not in made.parts


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  rank: 3", "  rank: 2", "its weights do not fit"),
        ("  - - 999.0\n    - 400.0", "  - - 400.0\n    - 999.0", "do not fall"),
        ("  guidance:\n  - 1.0", "  guidance:\n  - 0.0", "does not rise from above 0"),
        ("parts:", "parts2:", "parts"),
    ],
)
def test_a_bundle_with_a_damaged_student_is_refused(
    told_bundle: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    bundle = write_student(told_bundle, tmp_path / "taught")
    manifest = bundle.path / "bundle.yaml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))
    with pytest.raises(BundleError, match=said):
        Engine.load(store.load(bundle.path, Bundle), "cpu", "fp32")
