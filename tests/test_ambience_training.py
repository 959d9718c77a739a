"""Training of the ambience models: windows of sound, masks, tokens, loops that resume, and their commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foleygen.audio.mel import MelConfig
from foleygen.cli import app
from foleygen.errors import UsageError
from foleygen.media import wav
from foleygen.models.specmaskgit import SpecMaskGITConfig, load_specmaskgit
from foleygen.models.tagger import load_tagger
from foleygen.models.vqgan import VQGANConfig, load_vqgan
from foleygen.training import recipe
from foleygen.training.ambience import specmaskgit, tagger, tokens, windows
from foleygen.training.ambience.recipes import (
    MaskMixture,
    SpecMaskGITRecipe,
    TaggerRecipe,
    TokenizerObjective,
    TokenizerRecipe,
    TokenObjective,
)
from foleygen.training.ambience.specmaskgit import draw_mask, export_specmaskgit, specmaskgit_loop
from foleygen.training.ambience.tagger import export_tagger, tagger_config, tagger_loop
from foleygen.training.ambience.tokenizer import export_tokenizer, tokenizer_loop
from foleygen.training.ambience.tokens import TokenSet
from foleygen.training.ambience.windows import Studio, Windows, WindowsConfig, tags_of
from foleygen.training.loop import LoopConfig, load_checkpoint, step_generator
from foleygen.weights import parts

RATE = 8000
MEL = MelConfig(RATE, 512, 128, 32, 0.0, 4000.0)
FRAMES = 96
TOKENIZER = VQGANConfig(num_mels=32, num_frames=FRAMES, codebook_size=16, code_dim=4, widths=(8, 8, 16))
TRANSFORMER = SpecMaskGITConfig((2, 6), 16, 1, 2, condition_dim=1, codebook_size=16, dropout=0.0, positions="axes")
KINDS = ("random", "prefix", "block", "rows")


def only(kind: str) -> MaskMixture:
    return MaskMixture(**{name: float(name == kind) for name in KINDS})


def loop(steps: int = 4, **changes: object) -> LoopConfig:
    values = {"steps": steps, "batch_size": 4, "learning_rate": 2e-3, "log_every": 1, "save_every": 2, **changes}
    return LoopConfig(**values)  # type: ignore[arg-type]


def tokenizer_recipe(**changes: object) -> TokenizerRecipe:
    objective = TokenizerObjective(crop=32)
    return TokenizerRecipe(kind="tokenizer", loop=loop(ema_decay=None, **changes), model=TOKENIZER, objective=objective)


def specmaskgit_recipe(**changes: object) -> SpecMaskGITRecipe:
    objective = TokenObjective(crop=3, whole_share=0.5)
    return SpecMaskGITRecipe(kind="specmaskgit", loop=loop(**changes), model=TRANSFORMER, objective=objective)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rain, a dog and footsteps to learn from; one more rain held out."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    lines = ["file\tclass\tfold"]
    for name, seconds, fold in (
        ("esc10__rain__1.wav", 3.0, "train"),
        ("esc10__dog-bark__1.wav", 2.6, "train"),
        ("cdda__plmove__walk-grass-1.wav", 0.3, "train"),
        ("cdda__plmove__walk-grass-2.wav", 0.2, "train"),
        ("esc10__rain__2.wav", 3.0, "test"),
    ):
        noise = rng.uniform(-0.3, 0.3, round(seconds * RATE)).astype(np.float32)
        wav.write(folder / "files" / name, [noise], RATE)
        lines.append(f"{name}\tsound\t{fold}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


def config(recordings: Path, **changes: object) -> WindowsConfig:
    return WindowsConfig(**{"count": 12, "recordings": str(recordings), "mel": MEL, "frames": FRAMES, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sounds(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Windows:
    return windows.make(tmp_path_factory.mktemp("windows"), config(recordings))


@pytest.fixture(scope="module")
def encoded(sounds: Windows) -> TokenSet:
    torch.manual_seed(0)
    return tokens.encode(sounds, load_vqgan(TOKENIZER))


def test_windows_are_sounds_of_their_tags(sounds: Windows) -> None:
    assert sounds.mels.shape == (12, 32, FRAMES)
    assert all(0 < float(mel.mean()) < 1 for mel in sounds.mels.astype(np.float32))
    assert {len(record.tags) for record in sounds.records} == {1, 2}
    assert all(len(record.sources) == len(record.tags) for record in sounds.records)
    names = tags_of(sounds)
    weights = sounds.tag_weights(names)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    assert (weights > 0).sum(1).tolist() == [len(record.tags) for record in sounds.records]


def test_a_window_depends_on_seed_and_row_alone(recordings: Path) -> None:
    first, again = Studio(config(recordings)), Studio(config(recordings, count=99))
    again.window(5)
    samples, record = first.window(2)
    same, told = again.window(2)
    np.testing.assert_array_equal(samples, same)
    assert record == told
    assert samples.dtype == np.float32
    assert samples.shape == (FRAMES * 128,)
    assert float(np.abs(samples).max()) < 1
    other, _ = Studio(config(recordings, seed=1)).window(2)
    assert not np.array_equal(samples, other)


def test_made_in_two_goes_is_made_in_one(recordings: Path, sounds: Windows, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        windows.make(tmp_path, config(recordings), stop)
    with pytest.raises(UsageError, match="holds 5 of its 12 windows"):
        Windows(tmp_path)
    finished = windows.make(tmp_path, config(recordings))
    np.testing.assert_array_equal(finished.mels, sounds.mels)
    assert finished.records == sounds.records
    with pytest.raises(UsageError, match="another configuration"):
        windows.make(tmp_path, config(recordings, seed=3))


def test_training_never_touches_what_is_held_out(recordings: Path) -> None:
    studio = Studio(config(recordings, count=60, frames=32))
    sources = {source for row in range(60) for source in studio.window(row)[1].sources}
    assert any("rain__1" in source for source in sources)
    assert not any("rain__2" in source for source in sources)
    scenes = [int(source.split()[-1]) for source in sources if source.startswith("scene")]
    assert scenes
    assert max(scenes) < 1_000_000


def test_held_out_windows_are_the_recordings_then_unseen_scenes(recordings: Path) -> None:
    studio = Studio(config(recordings, fold="test", frames=400))
    samples, record = studio.window(0)
    assert (record.tags, record.sources) == (["rain"], ["esc10__rain__2.wav"])
    taken, _ = wav.read(recordings / "files" / "esc10__rain__2.wav")
    middle = slice(RATE, 2 * RATE)
    assert np.corrcoef(samples[middle], taken[middle])[0, 1] > 0.999
    assert int(studio.window(1)[1].sources[0].split()[-1]) >= 1_000_000


def test_what_is_missing_is_said(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        Studio(config(tmp_path))
    (tmp_path / "manifest.tsv").write_text("file\tclass\tfold\nlost.wav\train\ttrain\n")
    with pytest.raises(UsageError, match=r"lists lost\.wav, which is not there"):
        Studio(config(tmp_path))
    with pytest.raises(UsageError, match="holds no windows"):
        Windows(tmp_path)
    with pytest.raises(UsageError, match="holds no tokens"):
        TokenSet.load(tmp_path)


@settings(max_examples=80, deadline=None)
@given(kind=st.sampled_from(KINDS), rows=st.integers(2, 9), columns=st.integers(3, 60), seed=st.integers(0, 10**6))
def test_masks_stay_in_their_region(kind: str, rows: int, columns: int, seed: int) -> None:
    mask = draw_mask((rows, columns), only(kind), torch.Generator().manual_seed(seed))
    assert bool(mask.any())
    touched = mask.any(0).nonzero().flatten().tolist()
    if kind == "prefix":
        assert touched[0] >= int(0.3 * columns)
    elif kind == "block":
        assert touched[-1] - touched[0] < max(1, columns // 2)
    elif kind == "rows":
        assert not bool(mask[: rows // 2].any())


def test_masks_are_as_mixed_and_as_large_as_asked() -> None:
    generator = torch.Generator().manual_seed(0)
    shares = [float(draw_mask((8, 53), only("random"), generator).float().mean()) for _ in range(400)]
    assert np.mean(shares) == pytest.approx(2 / np.pi, abs=0.04)
    mixture = MaskMixture(random=0.0, prefix=0.0, block=1.0, rows=3.0)
    high = [not bool(draw_mask((8, 53), mixture, generator)[:4].any()) for _ in range(200)]
    assert np.mean(high) == pytest.approx(0.75, abs=0.1)
    with pytest.raises(UsageError, match="kinds of masks"):
        MaskMixture(random=-1.0)


def test_tokens_come_back_from_disk(encoded: TokenSet, tmp_path: Path) -> None:
    encoded.save(tmp_path)
    found = TokenSet.load(tmp_path)
    np.testing.assert_array_equal(found.tokens, encoded.tokens)
    np.testing.assert_array_equal(found.conditions, encoded.conditions)
    np.testing.assert_array_equal(found.codebook, encoded.codebook)
    assert (found.conditioning, found.tags) == ("tags", encoded.tags)
    assert encoded.tokens.shape == (12, 2, 6)
    assert encoded.conditions.shape == (12, len(encoded.tags))


def test_what_clap_hears_can_be_the_condition(recordings: Path, tmp_path: Path) -> None:
    def listen(samples: np.ndarray, rate: int) -> np.ndarray:
        return np.full(512, samples[100] * rate, np.float32)

    heard = windows.make(tmp_path, config(recordings, count=3), listen=listen)
    found = tokens.encode(heard, load_vqgan(TOKENIZER), "clap")
    assert (found.conditions.shape, found.tags) == ((3, 512), ())
    expected = [Studio(config(recordings)).window(row)[0][100] * RATE for row in range(3)]
    np.testing.assert_allclose(found.conditions[:, 7], expected, rtol=1e-5)


def test_tokens_need_windows_that_fit(sounds: Windows) -> None:
    with pytest.raises(UsageError, match="made without CLAP"):
        tokens.encode(sounds, load_vqgan(TOKENIZER), "clap")
    with pytest.raises(UsageError, match="the tokenizer wants 64 x 96"):
        tokens.encode(sounds, load_vqgan(replace(TOKENIZER, num_mels=64)))


def test_embeddings_of_codes_that_are_alike_begin_alike(encoded: TokenSet) -> None:
    model = load_specmaskgit(replace(TRANSFORMER, hidden_size=64))
    scale = model.token_embedding.weight.std().item()
    specmaskgit.embed_codes(model, encoded.codebook, 0)
    begun = model.token_embedding.weight.detach()
    assert begun.std().item() == pytest.approx(scale, rel=0.3)
    codes = torch.from_numpy(encoded.codebook)
    apart = torch.stack([torch.pdist(codes), torch.pdist(begun)])
    assert float(torch.corrcoef(apart)[0, 1]) > 0.8


def test_batches_are_parts_of_windows(encoded: TokenSet) -> None:
    draw = specmaskgit.make_draw(encoded, TokenObjective(crop=2, whole_share=0.5))
    widths = set()
    for step in range(12):
        cut, conditions, firsts = draw(step_generator(0, step), 6)
        widths.add((len(cut), cut.shape[2]))
        assert len(set(firsts.tolist())) == 1
        first = int(firsts[0])
        rows = [
            row
            for row, weights in enumerate(encoded.conditions)
            if np.array_equal(weights, conditions[0].numpy())
            and np.array_equal(encoded.tokens[row, :, first : first + cut.shape[2]], cut[0].numpy())
        ]
        assert rows
    assert widths == {(6, 2), (2, 6)}


def curve(folder: Path) -> str:
    return (folder / "loss.csv").read_text()


@pytest.mark.parametrize("kind", ["tokenizer", "specmaskgit", "tagger"])
def test_a_stopped_training_goes_on_as_if_nothing_had_been(
    kind: str, sounds: Windows, encoded: TokenSet, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    encoded.save(tmp_path / "tokens")

    def start(folder: Path, steps: int) -> None:
        if kind == "tokenizer":
            made = tokenizer_loop(tokenizer_recipe(steps=steps), sounds.folder, folder, "cpu")
        elif kind == "specmaskgit":
            made = specmaskgit_loop(specmaskgit_recipe(steps=steps), tmp_path / "tokens", folder, "cpu")
        else:
            chosen = TaggerRecipe(kind="tagger", loop=loop(steps), widths=(8, 8), crop=32)
            made = tagger_loop(chosen, sounds.folder, None, folder, "cpu")
        made.run()

    start(tmp_path / "once", 4)
    start(tmp_path / "twice", 2)
    start(tmp_path / "twice", 4)
    assert curve(tmp_path / "once") == curve(tmp_path / "twice")
    once, twice = (load_checkpoint(tmp_path / name / "checkpoint.pt")["model"] for name in ("once", "twice"))
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_the_transformer_learns_what_a_tag_sounds_like() -> None:
    torch.manual_seed(0)
    rows = np.arange(64) % 2
    columns = np.random.default_rng(0).integers(0, 8, (64, 2, 6)) + 8 * rows[:, None, None]
    told = np.eye(2, dtype=np.float32)[rows]
    data = TokenSet(columns.astype(np.int16), told, np.zeros((16, 4), np.float32), "tags", ("rain", "wind"))
    objective = TokenObjective(crop=6, masks=only("random"), label_smoothing=0.0)
    model = specmaskgit.Masked(load_specmaskgit(replace(TRANSFORMER, condition_dim=2)).train())
    loss, draw = specmaskgit.make_loss(objective), specmaskgit.make_draw(data, objective)
    optimiser = torch.optim.AdamW(model.parameters(), 5e-3)
    for step in range(150):
        optimiser.zero_grad()
        loss(model, draw(step_generator(0, step), 16), step_generator(0, step, 1))["loss"].backward()
        optimiser.step()
    transformer = model.transformer.eval()
    knowing, guessing = (specmaskgit.judge(transformer, data, only("random"), given) for given in (True, False))
    floor = specmaskgit.token_entropy(data.tokens, data.tokens, 16)
    assert knowing["perplexity"] < 9.5 < guessing["perplexity"] < floor
    assert floor == pytest.approx(16, rel=0.1)


def test_the_tagger_learns_tags_and_is_judged_beside_chance(sounds: Windows) -> None:
    torch.manual_seed(0)
    names = tags_of(sounds)
    chosen = TaggerRecipe(kind="tagger", loop=loop(), widths=(16, 16), crop=64)
    model = load_tagger(tagger_config(chosen, sounds))
    weights = sounds.tag_weights(names)
    before = tagger.judge(model, sounds.mels, weights)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    draw, loss = tagger.make_draw(sounds, names, 64, load_vqgan(TOKENIZER)), tagger.make_loss(0.0)
    for step in range(60):
        optimiser.zero_grad()
        loss(model, draw(step_generator(0, step), 8), step_generator(0, step, 1))["loss"].backward()
        optimiser.step()
    after = tagger.judge(model.eval(), sounds.mels, weights)
    assert after["windows"] == 12
    assert 0 < after["chance"] < 1
    assert after["accuracy"] > max(before["accuracy"], after["chance"])
    assert after["top3"] >= after["accuracy"]


def test_what_does_not_go_together_is_said(sounds: Windows, encoded: TokenSet, tmp_path: Path) -> None:
    wide = replace(tokenizer_recipe(), model=replace(TOKENIZER, num_mels=64))
    with pytest.raises(UsageError, match="has mels of 32 x 96, the recipe wants 64 x 96"):
        tokenizer_loop(wide, sounds.folder, tmp_path / "run", "cpu")
    encoded.save(tmp_path)
    tall = replace(specmaskgit_recipe(), model=replace(TRANSFORMER, grid=(3, 6)))
    with pytest.raises(UsageError, match="has tokens of 2 x 6"):
        specmaskgit_loop(tall, tmp_path, tmp_path / "run", "cpu")


def test_packaged_recipes_are_what_they_say() -> None:
    published = recipe.load("tokenizer-published", TokenizerRecipe)
    assert published.model.grid == (5, 53)
    assert (published.objective.adversary_start, published.objective.weights.adversary) == (30001, 0.8)
    paper = recipe.load("specmaskgit-paper", SpecMaskGITRecipe)
    assert paper.model == SpecMaskGITConfig.preset("paper")
    assert (paper.objective.masks, paper.loop.steps) == (only("random"), 500_000)
    small = recipe.load("specmaskgit-small", SpecMaskGITRecipe)
    assert small.model == SpecMaskGITConfig.preset("small", "full_band")
    embedded = recipe.load("specmaskgit", SpecMaskGITRecipe)
    assert embedded.model.grid == recipe.load("tokenizer", TokenizerRecipe).model.grid == (8, 53)


def test_the_commands_lead_from_recordings_to_parts(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> None:
        assert app.run(["train", *arguments, "-q"]) == 0, capsys.readouterr().err

    import yaml

    from foleygen.strict import plain

    files = {"tokenizer": tokenizer_recipe(), "specmaskgit": specmaskgit_recipe()}
    small = replace(files["tokenizer"], model=VQGANConfig(codebook_size=16, code_dim=4, widths=(8, 8, 8)))
    large = replace(files["specmaskgit"], model=replace(TRANSFORMER, grid=(8, 53)))
    for name, chosen in (("tokenizer", small), ("specmaskgit", large)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(plain(chosen)))
    data, out = str(tmp_path / "windows"), {name: str(tmp_path / name) for name in ("tokenizer", "tokens", "model")}
    run("windows", "--count", "3", "--recordings", str(recordings), "-o", data)
    run("tokenizer", "--recipe", str(tmp_path / "tokenizer.yaml"), "--data", data, "-o", out["tokenizer"])
    run("tokens", "--data", data, "--tokenizer", out["tokenizer"], "-o", out["tokens"])
    run("specmaskgit", "--recipe", str(tmp_path / "specmaskgit.yaml"), "--data", out["tokens"], "-o", out["model"])
    run("tagger", "--data", data, "--tokenizer", out["tokenizer"], "--steps", "1", "-o", str(tmp_path / "tagger"))

    sounds, encoded = Windows(tmp_path / "windows"), TokenSet.load(tmp_path / "tokens")
    export_tokenizer(tmp_path / "tokenizer", sounds, tmp_path / "a")
    export_specmaskgit(tmp_path / "model", encoded, tmp_path / "b")
    export_tagger(tmp_path / "tagger", sounds, tmp_path / "c")
    first, weights = parts.load(tmp_path / "a", "tokenizer")
    assert MelConfig(**first["mel"]) == windows.FULL_BAND
    assert load_vqgan(first["model"], weights).config == small.model
    second, weights = parts.load(tmp_path / "b", "specmaskgit")
    assert tuple(second["tags"]) == encoded.tags
    assert load_specmaskgit(second["model"], weights).config.condition_dim == len(encoded.tags)
    third, weights = parts.load(tmp_path / "c", "tagger")
    assert load_tagger(third["model"], weights).config.num_tags == len(third["tags"])
    assert json.loads(json.dumps(second)) == second
