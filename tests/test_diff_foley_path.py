"""Diff-Foley from its published files, of reduced width, to finished clips; and what goes wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import decoded_sound, packets_of, write_clip
from diff_foley_files import classifier_standin, ldm_standin
from test_convert import Payload, cavp_standin, mdsgen_standin
from test_fetch import Site, site  # noqa: F401

from foleygen.batch import run as batch
from foleygen.batch.discover import discover
from foleygen.cli.app import run
from foleygen.engines.foley import Engine
from foleygen.errors import ExitCode
from foleygen.media.probe import probe
from foleygen.sampling.noise import WindowKey
from foleygen.settings import Settings
from foleygen.weights import bundle as bundles
from foleygen.weights import catalogue, fetch, store
from foleygen.weights.files import tensors
from foleygen.weights.published.presets import Making

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    cavp_standin(folder / "cavp_epoch66.ckpt")
    ldm_standin(folder / "ldm_epoch240.ckpt")
    classifier_standin(folder / "double_guidance_classifier.ckpt")
    return folder


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """``command(*words)``: the exit code, and what came out on stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run([str(word) for word in words])
        return (int(code), *capfd.readouterr())

    return call


def importing(folder: Path, ldm: Path | None = None, classifier: Path | None = None) -> list[object]:
    return [
        *("models", "import", "diff-foley", "--cavp", folder / "cavp_epoch66.ckpt"),
        *("--ldm", ldm or folder / "ldm_epoch240.ckpt"),
        *("--classifier", classifier or folder / "double_guidance_classifier.ckpt"),
    ]


@pytest.fixture(scope="module")
def model(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "diff-foley"
    assert run([*map(str, importing(files)), "-o", str(folder)]) == ExitCode.OK
    return folder


def test_the_bundle_is_the_published_model(model: Path) -> None:
    found = bundles.load(model)
    assert found.commercial
    assert "OpenRAIL" in found.licence
    assert found.transformer_kind == "diff_foley"
    assert found.sampling.schedule == "scaled_linear"
    sampling = found.sampling.num_inference_steps, found.sampling.guidance_scale, found.sampling.guidance_power
    assert sampling == (25, 4.5, 0.0)
    assert (found.autoencoder.latent_scale, found.autoencoder.channel) == (0.18215, "R")
    assert (found.encoder.frame_rate, found.encoder.num_features, found.window_samples) == (4, 32, 131072)
    assert found.vocoder.options == {}
    assert found.classifier is not None
    assert (found.classifier.scale, found.classifier.features) == (50.0, "raw")
    assert {source.file for source in found.sources} == {
        "cavp_epoch66.ckpt", "ldm_epoch240.ckpt", "double_guidance_classifier.ckpt"
    }  # fmt: skip
    assert "Diff-Foley" in (model / "README.md").read_text()


def test_it_is_shown_with_its_classifier(model: Path, command: Command) -> None:
    code, out, _ = command("models", "show", model)
    assert code == ExitCode.OK
    assert "guides with 50" in out
    assert "commercial use allowed" in out


def test_other_ways_to_make_it(files: Path, model: Path, tmp_path: Path, command: Command) -> None:
    bare = tmp_path / "bare"
    words = ["models", "import", "diff-foley", "--cavp", files / "cavp_epoch66.ckpt"]
    words += ["--ldm", files / "ldm_epoch240.ckpt", "--half", "--as-published", "-o", bare]
    code, out, err = command(*words)
    assert (code, out) == (0, f"{bare}\n")
    assert "MIT" in err
    found, whole = bundles.load(bare), bundles.load(model)
    assert found.classifier is None
    assert found.vocoder.options == {"basis_rate": 22050}
    assert found.parts["transformer"].bytes < 0.51 * whole.parts["transformer"].bytes
    halves, weights = tensors(found, "transformer"), tensors(whole, "transformer")
    assert all(value.dtype == torch.float16 for value in halves.values())
    torch.testing.assert_close(
        halves["unet.conv_in.weight"].float(), weights["unet.conv_in.weight"], rtol=1e-3, atol=1e-4
    )
    engine = Engine.load(found, "cpu")
    assert engine.transformer.latent_shape == (4, 16, 64)


@pytest.mark.slow
def test_a_long_and_a_short_clip_get_their_sound(model: Path, tmp_path: Path, command: Command) -> None:
    """The published code fails below 8 s and drops what is left over; here both are covered, to the sample."""
    clips = tmp_path / "clips"
    clips.mkdir()
    long = write_clip(clips / "long.mov", count=20, rate=2)
    short = write_clip(clips / "short.mov", count=10, rate=30)
    code, out, err = command("add-sound", clips, "--model", model, "--steps", 1, "--device", "cpu", "--takes", 2)
    assert code == ExitCode.OK, err
    assert len(out.splitlines()) == 2
    for clip, windows in ((long, 2), (short, 1)):
        finished, sidecar = clip.with_name(f"{clip.stem}.foley.mov"), sidecar_of(clip)
        assert (len(sidecar["windows"]), len(sidecar["takes"])) == (windows, 2)
        assert (sidecar["settings"]["seams"], sidecar["settings"]["classifier_guidance"]) == ("joint", 50.0)
        sound, start = decoded_sound(finished)
        assert (len(sound), start) == (round(probe(clip).duration * 48000), 0)
        assert np.isfinite(sound).all()
        assert sound.std() > 1e-4
        assert packets_of(finished, probe(finished).video_index) == packets_of(clip, 0)
    made = decoded_sound(short.with_name("short.foley.mov"))[0]

    # alone, and again: the long clip is skipped while it fits, the short one sounds as it did beside the long one
    short.with_name("short.foley.mov").unlink()
    settings = Settings(model=str(model), steps=1, device="cpu")
    report = batch.run(discover([clips]), settings, lambda event: None)
    assert (len(report.done), len(report.skipped)) == (1, 1)
    assert np.array_equal(decoded_sound(short.with_name("short.foley.mov"))[0], made)

    other = replace(settings, seams="crossfade", classifier_guidance=0.0)
    assert batch.run(discover([long]), other, lambda event: None).exit_code == ExitCode.OK
    told = sidecar_of(long)["settings"]
    assert (told["seams"], told["classifier_guidance"]) == ("crossfade", None)


def sidecar_of(clip: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(clip.with_name(f"{clip.stem}.foley.json").read_text())
    return found


@pytest.mark.slow
def test_the_papers_transformer_is_led_by_the_same_classifier(files: Path, tmp_path: Path, command: Command) -> None:
    mdsgen_standin(tmp_path / "mine.pt", "paper_T", (8, 32))
    parts = [
        "--cavp",
        files / "cavp_epoch66.ckpt",
        "--mdsgen",
        tmp_path / "mine.pt",
        "--vae",
        files / "ldm_epoch240.ckpt",
    ]
    judge = ["--classifier", files / "double_guidance_classifier.ckpt"]
    code, _, err = command("models", "import", "paper", *parts, *judge, "-o", tmp_path / "paper")
    assert code == ExitCode.OK, err
    found = bundles.load(tmp_path / "paper")
    assert found.classifier is not None
    assert found.classifier.scale == 2.0
    engine = Engine.load(found, "cpu")
    features = torch.nn.functional.normalize(torch.randn(1, 32, 512, generator=torch.Generator().manual_seed(0)), dim=2)
    key = [WindowKey(0, "clip", 0, 1)]
    led, plain = (engine.latents(features, key, steps=2, classifier_guidance=scale) for scale in (None, 0.0))
    assert led.isfinite().all()
    assert not torch.equal(led, plain)


def test_an_engine_without_a_classifier_says_so(random_bundle: Path, tmp_path: Path, command: Command) -> None:
    clip = write_clip(tmp_path / "clip.mov", count=10, rate=30)
    words = ["add-sound", clip, "--model", random_bundle, "--classifier-guidance", 2]
    code, out, err = command(*words)
    assert (code, out) == (ExitCode.USAGE, "")
    (said,) = (line for line in err.splitlines() if line.startswith("error:"))
    assert "has no classifier that could guide it" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mov"]


@pytest.fixture
def spoilt(files: Path, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file that is not what its option wants."""

    def make(how: str) -> Path:
        path = tmp_path / "ldm_epoch240.ckpt"
        if how == "truncated":
            content = (files / "ldm_epoch240.ckpt").read_bytes()
            path.write_bytes(content[: len(content) // 2])
        elif how == "malicious":
            ldm_standin(path, hyper_parameters=Payload(tmp_path / "ran"))
        else:
            path.write_bytes((files / "double_guidance_classifier.ckpt").read_bytes())
        return path

    yield make
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("truncated", "is not a readable checkpoint"),
        ("malicious", "is no checkpoint of tensors alone"),
        ("wrong", "is not Diff-Foley's latent diffusion checkpoint"),
    ],
)
def test_bad_files_install_nothing(
    files: Path, tmp_path: Path, command: Command, spoilt: Callable[[str], Path], how: str, says: str
) -> None:
    path = spoilt(how)
    code, out, err = command(*importing(files, ldm=path), "-o", tmp_path / "made" / "diff-foley")
    assert (code, out) == (ExitCode.ENVIRONMENT, "")
    (said,) = (line for line in err.splitlines() if line.startswith("error:"))
    assert says in said
    assert "ldm_epoch240.ckpt" in said
    assert not (tmp_path / "made").exists()


def test_the_classifiers_place_takes_no_other_file(files: Path, tmp_path: Path, command: Command) -> None:
    code, _, err = command(*importing(files, classifier=files / "ldm_epoch240.ckpt"), "-o", tmp_path / "made")
    assert code == ExitCode.ENVIRONMENT
    assert "name double_guidance_classifier.ckpt" in err
    assert not (tmp_path / "made").exists()


def test_what_a_preset_has_no_use_for_is_refused(files: Path, command: Command, tmp_path: Path) -> None:
    base = ["models", "import", "base", "--cavp", "a", "--mdsgen", "b", "--audioldm", "c", "-o", tmp_path / "x"]
    code, _, err = command(*base, "--ldm", "d")
    assert code == ExitCode.USAGE
    assert "'base' has no use for --ldm" in err
    code, _, err = command(*base, "--as-published")
    assert code == ExitCode.USAGE
    assert "'base' has no error of its publication" in err
    code, _, err = command("models", "import", "diff-foley", "--cavp", files / "cavp_epoch66.ckpt")
    assert code == ExitCode.USAGE
    assert "'diff-foley' needs --ldm" in err


def test_it_is_fetched_with_its_licences_shown(
    site: Site,  # noqa: F811
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOLEYGEN_DATA_DIR", str(tmp_path / "data"))
    model = catalogue.model("diff-foley")
    notice = fetch.licence_notice("diff-foley")
    assert "may be used commercially" in notice
    assert "OpenRAIL" in notice
    for item in model.files:
        site.files[f"/{item.repo}/resolve/{item.revision}/{item.file}"] = (files / Path(item.file).name).read_bytes()
    unpinned = replace(model, files=tuple(replace(item, sha256=None) for item in model.files))
    site.hang_ups = 1
    folder = fetch.install(unpinned, accept_licence=True, endpoint=site.address, how=Making(half=True))
    assert store.resolve("diff-foley") == folder
    found = bundles.load(folder)
    assert found.parts.keys() == {"encoder", "transformer", "autoencoder", "classifier"}
    assert tensors(found, "classifier")["model.classifier.bias"].dtype == torch.float16
