"""Training the adapter of cues and words: what rows are told, and that a run learns, resumes and becomes a part."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import COLUMNS, FRAMES, MELS, MOTION, SIDE, write_dataset

from foleygen.errors import BundleError, UsageError
from foleygen.features.cues import CueGrid, unpack
from foleygen.models.motion import MotionEncoder
from foleygen.models.patch_autoencoder import PatchAutoencoder, PatchAutoencoderConfig
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.training import packing
from foleygen.training.cues import adapter, examples
from foleygen.training.cues.draw import Table
from foleygen.training.cues.recipe import KINDS, CueMix, CuesRecipe
from foleygen.training.data.dataset import SceneDataset
from foleygen.training.loop import LoopConfig
from foleygen.training.objectives import DiffusionConfig
from foleygen.weights import bundle as bundles
from foleygen.weights.bundle import Bundle
from foleygen.weights.spec import AutoencoderSpec, BundleSpec, EncoderSpec, MelSpec, SamplingSpec, VocoderSpec

GRID = CueGrid(frames=32, frame_s=0.064)
OBJECTIVE = DiffusionConfig(
    prediction_type="v_prediction", learned_sigma=False, snr_gamma=5.0, mask=None, condition_dropout=0.0
)


def recipe(steps: int = 4, **changes: object) -> CuesRecipe:
    loop = LoopConfig(steps=steps, batch_size=4, learning_rate=1e-3, log_every=2, save_every=2)
    return replace(CuesRecipe(kind="cues", loop=loop, objective=OBJECTIVE, hidden_size=16, blend_size=8), **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Random weights with aligned conditioning, of the size of the small datasets."""
    return write_bundle(tmp_path_factory.mktemp("bundle") / "small", "aligned")


def write_bundle(folder: Path, conditioning: str) -> Bundle:
    torch.manual_seed(0)
    transformer = TransformerConfig(
        latent_shape=(4, 16, 16), time_axis=2, hidden_size=24, depth=1, num_heads=2, decode_layers=1, feature_dim=16,
        num_features=32, conditioning=conditioning, learn_sigma=False,  # type: ignore[arg-type]
    )  # fmt: skip
    ears = PatchAutoencoderConfig(latent_channels=4, widths=(8, 8, 8), groups=2)
    spec = BundleSpec(
        name="small", licence="CC0-1.0", commercial=True, sample_rate=16000, window_samples=COLUMNS * 256,
        mel=MelSpec(n_fft=1024, hop_length=256, num_mels=MELS, f_min=125, f_max=7600),
        encoder=EncoderSpec(
            kind="motion", frame_rate=Fraction(125, 4), frame_size=SIDE, frame_rule="linear", num_frames=FRAMES,
            num_features=32, feature_dim=16, options=asdict(MOTION),
        ),
        transformer={**asdict(transformer), "latent_shape": [4, 16, 16]},
        autoencoder=AutoencoderSpec(kind="patch", config=asdict(ears)),
        vocoder=VocoderSpec(kind="griffin_lim", options={"iterations": 1}),
        sampling=SamplingSpec(
            prediction_type="v_prediction", num_inference_steps=2, guidance_scale=2.0, guidance_power=1.0
        ),
    )  # fmt: skip
    base = MDSGen(transformer)
    for parameter in base.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # new ones end in zeros, through which nothing is learnt
    models = {"encoder": MotionEncoder(MOTION), "autoencoder": PatchAutoencoder(ears), "transformer": base}
    states = {name: model.state_dict() for name, model in models.items()}
    return bundles.save(folder, spec, states, licence_text="Test weights.\n", model_card="Random numbers.\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[SceneDataset]:
    """Four clips with pictures, and the same four as sounds alone."""
    root = tmp_path_factory.mktemp("data")
    heard = write_dataset(root / "heard")
    meta = json.loads((heard / "dataset.json").read_text())
    meta["config"]["pictures"] = False
    (heard / "dataset.json").write_text(json.dumps(meta))
    return [SceneDataset(heard), SceneDataset(write_dataset(root / "seen"))]


@pytest.fixture(scope="module")
def made(bundle: Bundle, data: list[SceneDataset]) -> examples.Examples:
    return examples.make(bundle, data, views=2)


def test_examples_begin_with_those_that_have_pictures(made: examples.Examples) -> None:
    assert made.features.shape == (2, 4, 32, 16)
    assert made.latents.shape == (8, 4, 16, 16)
    assert np.array_equal(made.latents[:4], made.latents[4:])
    assert examples.FAMILIES[made.families[0] - 1] == "hammer"
    assert np.isfinite(made.times[:, :3]).all()
    assert np.isnan(made.times[:, 3:]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_row_is_told_what_it_says(made: examples.Examples, kind: str) -> None:
    shares = {name: float(name == kind) for name in KINDS}
    table = Table(made, GRID, CueMix(**shares, partly=0.0, strengths=1.0), mel_rate=62.5)
    rng = np.random.default_rng(0)
    for _ in range(8):
        latents, features, told, hits = table.row(rng)
        track = unpack(told)
        assert latents.shape == (4, 16, 16)
        assert np.isfinite(features).all()
        assert track.known.all() == (kind in ("picture_cues", "wrong_cues", "blind_cues", "silence"))
        assert track.presence.any() == ("cues" in kind)
        assert (hits >= 0).any() == ("cues" in kind)
        assert kind != "silence" or np.array_equal(latents, made.silence)
        assert kind != "blind_cues" or not (track.picture or features.any())
        if kind.endswith("words"):
            assert track.family.any() or track.material.any()
        if kind.startswith("picture"):
            assert (features == made.features.astype(np.float32)).all(axis=(2, 3)).any()


def test_cues_known_in_places_leave_the_rest_to_the_picture(made: examples.Examples) -> None:
    shares = {name: float(name == "picture_cues") for name in KINDS}
    table = Table(made, GRID, CueMix(**shares, partly=1.0), mel_rate=62.5)
    rng = np.random.default_rng(0)
    tracks = [unpack(table.row(rng)[2]) for _ in range(12)]
    assert any(track.known.any() and not track.known.all() for track in tracks)
    assert all(track.known[track.presence.max(axis=1) > 0.5].all() for track in tracks)


def test_a_batch_depends_on_its_generator_alone(made: examples.Examples) -> None:
    from foleygen.training.cues.draw import make_draw

    draw = make_draw(made, GRID, CueMix(), 62.5)
    first, again, other = (draw(torch.Generator().manual_seed(seed), 5) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[2], other[2])


def test_words_begin_as_the_mean_of_what_pictures_say(bundle: Bundle, made: examples.Examples) -> None:
    base = adapter.frozen(bundle)
    families, materials = adapter.first_words(base, made, "cpu")
    with torch.inference_mode():
        means = base.embed_video(torch.from_numpy(made.features[0].astype(np.float32))).mean(dim=1)
    said = families[made.families[:4].astype(int)] + materials[made.materials[:4].astype(int)]
    centred = means - means.mean(dim=0)
    assert torch.square(said - means).mean() < torch.square(centred).mean()
    assert torch.isfinite(families).all()


def test_a_run_resumes_and_becomes_a_part_of_a_bundle(bundle: Bundle, data: list[SceneDataset], tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    adapter.cues_loop(recipe(4), data, bundle, whole, "cpu").run()
    adapter.cues_loop(recipe(2), data, bundle, halves, "cpu").run()
    resumed = adapter.cues_loop(recipe(4), data, bundle, halves, "cpu")
    assert resumed.step == 2
    resumed.run()
    first, second = (torch.load(run / "checkpoint.pt", weights_only=True)["model"] for run in (whole, halves))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(value.any() for name, value in first.items() if name.startswith("column.4"))
    packed = packing.pack_cues(tmp_path / "told", bundle, whole, "told")
    assert packed.cues is not None
    assert packed.cues.families == examples.FAMILIES
    assert packed.parts["transformer"].sha256 == bundle.parts["transformer"].sha256
    assert packed.hash != bundle.hash


def test_the_transformer_stays_as_it_is(bundle: Bundle, data: list[SceneDataset], tmp_path: Path) -> None:
    loop = adapter.cues_loop(recipe(2), data, bundle, tmp_path / "run", "cpu")
    assert all(name.split(".")[0] in ("families", "materials", "blend", "column") for name in loop.model.state_dict())


def test_examples_of_other_data_are_refused(bundle: Bundle, data: list[SceneDataset], tmp_path: Path) -> None:
    adapter.cues_loop(recipe(2), data, bundle, tmp_path / "run", "cpu")
    with pytest.raises(UsageError, match="other datasets"):
        adapter.cues_loop(recipe(2), data[1:], bundle, tmp_path / "run", "cpu")


def test_what_is_kept_for_tests_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data")
    lines = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
    lines[2]["material"] = "ceramic"
    (folder / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UsageError, match=r"clip 2 .*ceramic.* kept for tests"):
        examples.make(bundle, [SceneDataset(folder)])


def test_sounds_alone_are_not_enough(bundle: Bundle, data: list[SceneDataset]) -> None:
    with pytest.raises(UsageError, match="none of the datasets has pictures"):
        examples.make(bundle, data[:1])


def test_a_transformer_that_hears_one_vector_a_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="one vector a window"):
        adapter.frozen(write_bundle(tmp_path / "reducer", "reducer"))


def test_a_level_counts_where_a_strength_was_told() -> None:
    from foleygen.training.cues.level import LevelReader

    torch.manual_seed(0)
    reader = LevelReader(4, 16, frames=8, hidden_size=16)
    found, true = torch.randn(2, 2, 4, 16, 16)
    hits = torch.full((2, 8), -1)
    weight = torch.ones(2)
    assert float(adapter.level_error(reader, found, true, hits, weight)) == 0
    hits[0, 0] = 17
    assert adapter.level_error(reader, found, true, hits, weight).item() == 0  # one hit is its window's mean
    hits[0, 1] = 60
    assert adapter.level_error(reader, found, true, hits, weight).item() > 0
    assert float(adapter.level_error(reader, true, true, hits, weight)) == 0


@pytest.mark.parametrize(
    ("changes", "said"), [({"objective": DiffusionConfig()}, "no mask"), ({"time_power": 0.0}, "out of range")]
)
def test_recipes_that_make_no_sense_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        recipe(2, **changes)


def test_mixes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="mix holds shares"):
        CueMix(jitter_s=-1.0)
