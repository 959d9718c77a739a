"""Training the vocoder: what it hears, what its adversary learns apart from it, and the commands around it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_training
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from foleygen import scenes
from foleygen.audio.mel import MelConfig, MelSpectrogram
from foleygen.audio.vocos import VocosVocoder
from foleygen.cli import app
from foleygen.errors import UsageError
from foleygen.evaluation import vocoding
from foleygen.strict import plain
from foleygen.training.data.dataset import DatasetConfig
from foleygen.training.data.sounds import Crops, recording_sounds, scene_sounds, struck_sounds
from foleygen.training.discriminators import AdversaryConfig
from foleygen.training.loop import CHECKPOINT, CURVE, Loop, load_checkpoint, step_generator
from foleygen.training.recipe import VocoderModel, VocoderRecipe, VocoderWeights, load, read
from foleygen.training.vocoder import SpectralDistance, VocoderInTraining, make_loss, vocoder_loop, vocoder_weights
from foleygen.weights import bundle as bundles

ADVERSARY = AdversaryConfig(sizes=(256, 1024), channels=(4, 4, 4))


def recipe(adversary: AdversaryConfig | None = None, **changes: object) -> VocoderRecipe:
    return VocoderRecipe(
        kind="vocoder",
        loop=tiny_training.loop(**changes),  # type: ignore[arg-type]
        model=VocoderModel(hidden_size=8, depth=1, corrections=1),
        crop_frames=16,
        scenes=2,
        sizes=(256, 1024),
        adversary=adversary,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_training.write_dataset(tmp_path_factory.mktemp("vocoder") / "data")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings to learn from, one of them ceramic and one at 8 kHz; and one of the fold test."""
    folder = tmp_path_factory.mktemp("recordings")
    rows = [("knock.wav", "train", 44100), ("ceramic-cup.wav", "train", 44100), ("dull.wav", "train", 8000)]
    rng = np.random.default_rng(0)
    lines = ["file\tclass\tfold"]
    for name, fold, rate in [*rows, ("kept.wav", "test", 44100)]:
        decay = np.exp(-np.arange(rate) / (0.05 * rate))
        soundfile.write(folder / name, 0.3 * decay * rng.standard_normal(rate), rate)
        lines.append(f"{name}\tknock\t{fold}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return folder


def curve(folder: Path) -> list[dict[str, str]]:
    with open(folder / CURVE, newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("adversary", [None, ADVERSARY])
def test_a_stopped_run_goes_on_bit_for_bit(
    adversary: AdversaryConfig | None, data: Path, recordings: Path, tmp_path: Path
) -> None:
    def make(name: str) -> Loop:
        return vocoder_loop(recipe(adversary, steps=4), [data], recordings, tmp_path / name, "cpu")

    class KilledError(Exception):
        pass

    def stop(step: int, total: int, means: Mapping[str, float], rate: float) -> None:
        if step == 3:
            raise KilledError

    make("whole").run()
    with pytest.raises(KilledError):
        make("stopped").run(stop)
    again = make("stopped")
    assert again.step == 2
    again.run()
    whole, stopped = (load_checkpoint(tmp_path / name / CHECKPOINT) for name in ("whole", "stopped"))
    for group in ("model", "average"):
        for key, value in whole[group].items():
            assert torch.equal(value, stopped[group][key]), key
    assert curve(tmp_path / "whole") == curve(tmp_path / "stopped")


def test_the_two_sides_do_not_train_each_other() -> None:
    """The adversary's own loss moves the adversary alone; what persuades it moves the vocoder alone."""
    mel = MelConfig()
    torch.manual_seed(0)
    model = VocoderInTraining(VocosVocoder(mel, hidden_size=8, depth=1), ADVERSARY)
    true = 0.1 * torch.randn(2, 16 * 256, generator=torch.Generator().manual_seed(0))
    given_mel = MelSpectrogram(mel)(true)
    only = VocoderWeights(stft=0, roughness=0, mel=0, magnitude=0)
    grads = {}
    for name, config in (
        ("adversary", AdversaryConfig(ADVERSARY.sizes, ADVERSARY.channels, weight=0, feature_weight=0)),
        ("both", AdversaryConfig(ADVERSARY.sizes, ADVERSARY.channels, weight=1, feature_weight=1)),
    ):
        model.zero_grad()
        make_loss(mel, only, (256,), config)(model, (true, given_mel), step_generator(0, 0))["loss"].backward()
        assert model.adversary is not None
        grads[name] = [
            [torch.zeros_like(value) if value.grad is None else value.grad.clone() for value in side.parameters()]
            for side in (model.vocoder, model.adversary)
        ]
    (quiet, judging), (persuaded, judging_too) = grads["adversary"], grads["both"]
    assert max(float(grad.abs().max()) for grad in quiet) == 0
    assert max(float(grad.abs().max()) for grad in persuaded) > 0
    assert max(float(grad.abs().max()) for grad in judging) > 0
    assert all(torch.equal(one, other) for one, other in zip(judging, judging_too, strict=True))
    assert all(value.requires_grad for value in model.parameters())


def test_it_learns(data: Path, tmp_path: Path) -> None:
    loop = vocoder_loop(recipe(steps=40, learning_rate=5e-3), [data], None, tmp_path, "cpu")
    batch = loop.draw(step_generator(1, 0), 8)

    def loss() -> float:
        with torch.no_grad():
            return float(loop.loss(loop.model, batch, step_generator(1, 0, 1))["loss"])

    before = loss()
    loop.run()
    assert loss() < 0.85 * before


def test_a_run_begins_where_another_ended(data: Path, tmp_path: Path) -> None:
    vocoder_loop(recipe(steps=2), [data], None, tmp_path / "first", "cpu").run()
    loop = vocoder_loop(recipe(ADVERSARY), [data], None, tmp_path / "second", "cpu", init=tmp_path / "first")
    vocoder = loop.model.vocoder
    assert isinstance(vocoder, VocosVocoder)
    assert vocoder.corrections == 1  # the model's own, fewer than those of the recipe
    for name, value in vocoder_weights(tmp_path / "first").items():
        assert torch.equal(value, vocoder.network.state_dict()[name])
    other = recipe()
    other = VocoderRecipe(kind="vocoder", loop=other.loop, model=VocoderModel(hidden_size=12, depth=1), scenes=2)
    with pytest.raises(UsageError, match="another size or mel"):
        vocoder_loop(other, [data], None, tmp_path / "third", "cpu", init=tmp_path / "first")


def test_mels_that_an_autoencoder_spoiled_are_in_the_batch(data: Path, random_bundle: Path, tmp_path: Path) -> None:
    bundle = bundles.load(random_bundle)
    loop = vocoder_loop(recipe(), [data], None, tmp_path, "cpu", decoder=bundle)
    sound, mel = loop.draw(step_generator(0, 0), 5)
    true = MelSpectrogram(MelConfig())(sound)
    same = [torch.allclose(ours, theirs) for ours, theirs in zip(mel, true, strict=True)]
    assert same == [False, False, True, True, True]


def test_recordings_that_are_kept_apart_stay_apart(recordings: Path) -> None:
    assert len(recording_sounds(recordings, "train", 8000)) == 3
    assert len(recording_sounds(recordings, "train", 16000)) == 2
    (knock,) = recording_sounds(recordings, "train", 16000, without=scenes.HELD_OUT_MATERIAL)
    assert (knock.dtype, len(knock)) == (np.float16, 16000)
    assert float(np.abs(knock).max()) == pytest.approx(0.7, rel=1e-3)
    (kept,) = recording_sounds(recordings, "test", 16000)
    assert not np.array_equal(kept, knock)
    with pytest.raises(UsageError, match="no recording of the fold 'train' at 96000 Hz"):
        recording_sounds(recordings, "train", 96000)


def test_scenes_sound_as_they_are_composed(tmp_path: Path) -> None:
    config = DatasetConfig(count=2, first_seed=7, num_frames=32)
    cache = tmp_path / "scenes.npy"
    first = scene_sounds(config, 2, 16000, cache)
    np.testing.assert_array_equal(first[1], scenes.compose(8, duration_s=32 / 31.25).sound(16000).astype(np.float16))
    changed = np.load(cache)
    changed[0] = 0
    np.save(cache, changed)
    assert not scene_sounds(config, 2, 16000, cache)[0].any()  # the file is read, not made again
    assert len(scene_sounds(config, 1, 16000, cache)) == 1


def test_struck_tones_are_tones() -> None:
    sounds = struck_sounds(4, 16000, seed=3)
    assert all(np.array_equal(one, again) for one, again in zip(sounds, struck_sounds(4, 16000, seed=3), strict=True))
    for sound in sounds:
        power = np.abs(np.fft.rfft(sound.astype(np.float64)[-16384:] * np.hanning(16384))) ** 2
        loudest = np.sort(power)[::-1]
        assert loudest[:200].sum() > 0.95 * power.sum()  # of 8193 bins


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=4))
def test_crops_have_their_length_and_range_and_are_seeded(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(0)
    source = [rng.uniform(-1, 1, length).astype(np.float16) for length in lengths]
    crops = Crops([source], [1.0], 1024)
    first, again = (crops.draw(torch.Generator().manual_seed(seed), 3) for _ in range(2))
    assert first.shape == (3, 1024)
    assert float(first.abs().max()) <= 1.0 + 1e-6
    assert torch.equal(first, again)


def test_the_distance_is_zero_for_the_sound_itself_and_grows_with_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    true = 0.1 * torch.randn(2, 4096, generator=generator)
    noise = torch.randn(2, 4096, generator=generator)
    distance = SpectralDistance((256, 1024))
    found = [float(distance(true + level * noise, true)[0]) for level in (0, 0.01, 0.1)]
    assert found[0] == 0
    assert found[0] < found[1] < found[2]


def test_noise_is_as_rough_as_other_noise_and_rougher_than_a_smooth_sound() -> None:
    true, other = 0.1 * torch.randn(2, 2, 4096, generator=torch.Generator().manual_seed(0))
    clicks = torch.zeros(2, 4096)
    clicks[:, 64::256] = 1.0
    distance = SpectralDistance((256,))
    alike, smooth = distance(other, true)[1], distance(clicks, true)[1]
    assert 0 < alike < 0.5 * smooth


@pytest.mark.parametrize(
    ("change", "message"),
    [({"crop_frames": 20}, "crop_frames is 20"), ({"decoded": 1.5}, "are shares"), ({"sizes": [65536]}, "sizes are")],
)
def test_recipes_that_cannot_be_are_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**plain(recipe()), **change}))
    with pytest.raises(UsageError, match=message):
        read(path)


def test_the_packaged_adversarial_recipe_continues_the_plain_one() -> None:
    plain_one, adversarial = (load(name, VocoderRecipe) for name in ("vocoder-16k", "vocoder-16k-adversarial"))
    assert (plain_one.model, plain_one.mel) == (adversarial.model, adversarial.mel)
    assert plain_one.adversary is None
    assert adversarial.adversary is not None


def test_a_comparison_tells_a_good_vocoder_from_a_bad_one() -> None:
    class Constant:
        """Plays one sound whatever the mel."""

        sample_rate, hop_length = 16000, 256

        def __init__(self, samples: torch.Tensor) -> None:
            self.samples = samples

        def __call__(self, mel: torch.Tensor, generators: object) -> torch.Tensor:
            return self.samples[None]

    age = np.arange(32768) / 16000 - 1.0
    sound = np.where(age >= 0, 0.3 * np.exp(-age / 0.05) * np.sin(5000 * age), 0).astype(np.float32)
    contenders = {"true": Constant(torch.from_numpy(sound)), "silent": Constant(torch.zeros(32768))}
    report, voicings = vocoding.compare(contenders, [sound], MelSpectrogram(MelConfig()))
    true, silent = report.scores["true"], report.scores["silent"]
    assert (true.mel_l1, true.stft, true.onset_f1, true.frequency_gradient_ratio) == (0, 0, 1, 1)
    assert silent.mel_l1 > 0
    assert silent.onset_f1 == 0
    assert "onset F1" in report.table()
    assert len(voicings) == 1
    with pytest.raises(UsageError, match="no sound"):
        vocoding.compare(contenders, [], MelSpectrogram(MelConfig()))


def test_the_commands_train_pack_and_compare(
    data: Path, recordings: Path, random_bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(plain(recipe(ADVERSARY))))
    run, packed = tmp_path / "run", tmp_path / "packed"
    command = ["train", "vocoder", "--data", str(data), "--recipe", str(tmp_path / "small.yaml"), "-o", str(run)]
    command += ["--recordings", str(recordings), "--decoder", str(random_bundle)]
    assert app.run(command) == 0
    out, _ = capfd.readouterr()
    assert out == f"{run / CHECKPOINT}\n"
    pack = ["train", "bundle", "--vocoder", str(run), "--base", str(random_bundle), "--name", "neural"]
    assert app.run([*pack, "-o", str(packed)]) == 0
    made = bundles.load(packed)
    assert (made.vocoder.kind, made.name) == ("vocos", "neural")
    assert "kind: vocoder" in (packed / "README.md").read_text()
    capfd.readouterr()
    picture = tmp_path / "picture.png"
    compare = ["evaluate", "vocoder", str(run), "--model", str(packed), "--count", "1"]
    assert app.run([*compare, "--recordings", str(recordings), "--picture", str(picture), "--json"]) == 0
    out, _ = capfd.readouterr()
    reports = json.loads(out)
    assert list(reports) == ["scenes", "scenes, decoded mels", "recordings", "recordings, decoded mels"]
    assert list(reports["scenes"]["scores"]) == ["Griffin-Lim", "neural", "run"]
    assert all(score["milliseconds"] > 0 for score in reports["scenes"]["scores"].values())
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_packing_without_parts_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert app.run(["train", "bundle", "--vocoder", "run", "--name", "mine", "-o", str(tmp_path / "mine")]) == 2
    _, err = capfd.readouterr()
    assert "give it, or --vocoder, --cues or --student and --base" in err
    assert app.run(["evaluate", "vocoder"]) == 2
    _, err = capfd.readouterr()
    assert "no vocoder was named" in err
