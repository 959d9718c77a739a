"""A transformer that is told when and what, and an engine that takes tracks of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from foleygen.engines.foley import Engine
from foleygen.errors import BundleError
from foleygen.features.cues import CueGrid, CueTrack, ToldCue, Words, pack, track_of, without_cues
from foleygen.models.cues import CueAdapter, CueAdapterConfig
from foleygen.models.diffusion import Condition
from foleygen.models.transformer import MDSGen, TransformerConfig
from foleygen.sampling.noise import WindowKey
from foleygen.training.export import export_cues, export_transformer
from foleygen.weights import bundle as bundles
from foleygen.weights import store
from foleygen.weights.bundle import Bundle
from foleygen.weights.spec import CueSpec

WORDS = Words(("hammer", "door"), ("wood", "metal", "glass"))
GRID = CueGrid(frames=32, frame_s=0.064)
CONFIG = TransformerConfig(
    latent_shape=(4, 4, 16), time_axis=2, hidden_size=24, depth=2, num_heads=2, decode_layers=1, feature_dim=8,
    num_features=32, conditioning="aligned", learn_sigma=False,
)  # fmt: skip


def adapter(columns: int = 8, width: int = 24, seed: int = 0, **sizes: int) -> CueAdapter:
    """One with random weights everywhere, the last layers too."""
    torch.manual_seed(seed)
    made = CueAdapter(
        CueAdapterConfig(
            families=sizes.get("families", 2), materials=sizes.get("materials", 3), condition_size=width,
            columns=columns, hidden_size=16, blend_size=8,
        )
    )  # fmt: skip
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.eval()


@pytest.fixture(scope="module")
def model() -> MDSGen:
    torch.manual_seed(0)
    made = MDSGen(CONFIG)
    made.cues = adapter()
    return made.eval()


def heard(model: MDSGen, features: Tensor, *tracks: CueTrack) -> Tensor:
    """What the transformer hears of pictures, and of tracks if there are any."""
    told = torch.from_numpy(np.stack([pack(track) for track in tracks])) if tracks else None
    return model.prepared(Condition(features, told), torch.zeros(1), guided=False).video


@torch.inference_mode()
def test_a_track_that_says_nothing_leaves_the_picture_to_the_bit(model: MDSGen) -> None:
    features = torch.randn(2, 32, 8)
    nothing = without_cues(GRID, WORDS)
    assert torch.equal(heard(model, features, nothing, nothing), heard(model, features))


@torch.inference_mode()
def test_a_row_is_the_same_whatever_is_beside_it(model: MDSGen) -> None:
    features = torch.randn(3, 32, 8)
    tracks = [track_of([ToldCue(0.5, 0.7, "door")], GRID, WORDS), without_cues(GRID, WORDS), track_of((), GRID, WORDS)]
    together = heard(model, features, *tracks)
    for row, track in enumerate(tracks):
        alone = heard(model, features[row : row + 1], track)
        assert torch.allclose(together[row], alone[0], atol=1e-6)


@torch.inference_mode()
def test_only_the_columns_around_what_is_known_change(model: MDSGen) -> None:
    features = torch.randn(1, 32, 8)
    track = track_of([ToldCue(0.45)], GRID, WORDS, known=())  # in the second of eight columns, known to the third
    changed = (heard(model, features, track) != heard(model, features)).any(dim=2)[0]
    assert changed.tolist() == [True, True, True, True, False, False, False, False]


@torch.inference_mode()
def test_none_here_is_not_the_same_as_not_known(model: MDSGen) -> None:
    features = torch.randn(1, 32, 8)
    none_here, not_known = track_of((), GRID, WORDS), without_cues(GRID, WORDS)
    assert not torch.allclose(heard(model, features, none_here), heard(model, features, not_known))


@torch.inference_mode()
def test_without_a_picture_its_features_do_not_matter(model: MDSGen) -> None:
    track = track_of([ToldCue(0.5)], GRID, WORDS, picture=False)
    first, second = (heard(model, torch.randn(1, 32, 8), track) for _ in range(2))
    assert torch.equal(first, second)


@torch.inference_mode()
def test_a_word_changes_its_own_columns(model: MDSGen) -> None:
    features = torch.randn(1, 32, 8)
    said = track_of([ToldCue(0.1, family="door"), ToldCue(1.1, family="hammer")], GRID, WORDS)
    other = track_of([ToldCue(0.1, family="door"), ToldCue(1.1, family="door")], GRID, WORDS)
    changed = (heard(model, features, said) != heard(model, features, other)).any(dim=2)[0]
    assert changed.tolist() == [False] * 4 + [True] * 4


def test_an_untrained_adapter_begins_with_the_picture_as_it_is() -> None:
    torch.manual_seed(0)
    made = MDSGen(CONFIG)
    made.cues = CueAdapter(CueAdapterConfig(families=2, materials=3, condition_size=24, columns=8))
    features = torch.randn(1, 32, 8)
    track = track_of([ToldCue(0.5)], GRID, WORDS)
    assert torch.allclose(heard(made, features, track), heard(made, features), atol=1e-6)


def cue_spec(bundle: Bundle) -> CueSpec:
    return CueSpec(
        families=WORDS.families, materials=WORDS.materials, sub_steps=4, hidden_size=16, blend_size=8,
        guidance_scale=1.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """tiny with an adapter of random weights."""
    folder = tmp_path_factory.mktemp("told") / "told"
    tiny = plain_tiny()
    state = adapter(columns=32, width=192).state_dict()
    made = export_cues(folder, tiny, cue_spec(tiny), state, name="told", model_card="Random cues.\n")
    return Engine.load(made, "cpu", "fp32")


def plain_tiny() -> Bundle:
    """tiny without its own adapter."""
    bundle = store.load("tiny", Bundle)
    parts = {name: part for name, part in bundle.parts.items() if name != "cues"}
    return replace(bundle, cues=None, parts=parts)


def learnt(engine: Engine) -> tuple[CueGrid, Words]:
    """What tracks of this engine are written on and with."""
    assert engine.cue_grid is not None
    assert engine.words is not None
    return engine.cue_grid, engine.words


KEYS = [WindowKey(0, f"clip {row}", 0, 1) for row in range(3)]


def test_the_engine_gives_rows_that_are_told_nothing_todays_sound(told: Engine) -> None:
    features = torch.randn(3, 128, 128)
    grid, words = learnt(told)
    track = track_of([ToldCue(1.0, family="door")], grid, words)
    today = Engine.load(plain_tiny(), "cpu", "fp32").latents(features, KEYS, steps=2)
    mixed = told.latents(features, KEYS, steps=2, tracks=[None, track, None])
    assert torch.equal(told.latents(features, KEYS, steps=2), today)
    assert torch.allclose(mixed[[0, 2]], today[[0, 2]], atol=1e-5)
    assert not torch.allclose(mixed[1], today[1], atol=0.1)


def test_rows_that_are_told_something_follow_their_own_guidance(told: Engine) -> None:
    features, keys = torch.randn(1, 128, 128), KEYS[:1]
    grid, words = learnt(told)
    track = track_of([ToldCue(1.0)], grid, words)
    usual = told.latents(features, keys, steps=1, tracks=[track])
    assert torch.equal(usual, told.latents(features, keys, steps=1, guidance=told.cue_guidance, tracks=[track]))
    assert told.cue_guidance == 1.5


def test_joint_windows_take_tracks(told: Engine) -> None:
    features = torch.randn(2, 128, 128)
    grid, words = learnt(told)
    tracks = [track_of([ToldCue(6.0)], grid, words, start_s=start) for start in (0.0, 7.168)]
    with_cues, _ = told.joint_latents(features, KEYS[:2], 8, steps=1, tracks=tracks)
    without, _ = told.joint_latents(features, KEYS[:2], 8, steps=1)
    assert with_cues.shape == without.shape
    assert not torch.equal(with_cues, without)


def test_a_bundle_without_the_part_cannot_be_told_anything(told: Engine) -> None:
    engine = Engine.load(plain_tiny(), "cpu", "fp32")
    assert (engine.cue_grid, engine.words, engine.cue_guidance) == (None, None, None)
    grid, words = learnt(told)
    track = track_of((), grid, words)
    with pytest.raises(BundleError, match="cannot be told"):
        engine.latents(torch.randn(1, 128, 128), KEYS[:1], steps=1, tracks=[track])


def test_the_hash_covers_the_adapter_and_a_bundle_without_one_keeps_its_own(told: Engine, tmp_path: Path) -> None:
    tiny = plain_tiny()
    other = adapter(columns=32, width=192, seed=1).state_dict()
    again = export_cues(tmp_path / "told", tiny, cue_spec(tiny), other, name="told", model_card="Others.\n")
    assert again.hash != told.bundle.hash
    assert "cues" not in bundles._manifest(tiny, tiny.parts)


def test_a_new_transformer_leaves_the_adapter_of_the_old_one_behind(told: Engine, tmp_path: Path) -> None:
    made = export_transformer(
        tmp_path / "new", told.bundle, told.transformer.config,
        {name: value for name, value in told.transformer.state_dict().items() if not name.startswith("cues.")},
        told.bundle.sampling, name="new", model_card="New.\n",
    )  # fmt: skip
    assert made.cues is None
    assert "cues" not in made.parts


def test_a_section_without_its_weights_is_said(told: Engine, tmp_path: Path) -> None:
    broken = replace(told.bundle, parts={name: part for name, part in told.bundle.parts.items() if name != "cues"})
    with pytest.raises(BundleError, match="no weights for the cues"):
        Engine.load(broken, "cpu", "fp32")
