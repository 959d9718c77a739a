"""``foleygen doctor``: can this machine do the work, and what to do where it cannot."""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from foleygen.cli.terminal.reading import byte_size
from foleygen.errors import ExitCode, FoleygenError

LEAST_FREE_BYTES = 1e9
LIBRARIES = ("torch", "diffusers", "av", "soundfile", "scipy", "safetensors")
CONTAINERS = ("mp4", "mov", "mkv")


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's; ``fix`` is what to do where it is not ``ok``."""

    name: str
    ok: bool
    fact: str
    fix: str = ""


@click.command(short_help="Check that this machine can do the work.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def doctor(as_json: bool) -> ExitCode:
    """Check Python, libraries, device, codecs, weights, cache and disk.

    Each bad line ends with what to do about it. Exit code 0 if all is well, 6 if not.

    \b
    Examples:
      foleygen doctor
      foleygen doctor --json
    """
    from foleygen.cli.terminal.streams import write_json, write_result

    findings = [finding for check in CHECKS for finding in _run(check)]
    if as_json:
        write_json([asdict(finding) for finding in findings])
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            fix = f"; {finding.fix}" if finding.fix else ""
            write_result(f"{'ok ' if finding.ok else 'BAD'}  {finding.name.ljust(width)}  {finding.fact}{fix}")
    return ExitCode.OK if all(finding.ok for finding in findings) else ExitCode.ENVIRONMENT


def _run(check: Callable[[], list[Finding]]) -> list[Finding]:
    """A check that itself cannot run is a finding too."""
    name = check.__name__.removeprefix("check_")
    try:
        return check()
    except FoleygenError as error:
        return [Finding(name, False, error.message, error.remedy)]
    except Exception as error:
        return [Finding(name, False, f"the check failed ({error!r})", "pip install --force-reinstall foleygen")]


def check_python() -> list[Finding]:
    """The interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return [Finding("python", ok, f"{version} at {sys.executable}", "" if ok else "install Python 3.11 or later")]


def check_libraries() -> list[Finding]:
    """Every library that the work needs, imported."""
    findings = []
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except Exception as error:
            findings.append(Finding(name, False, f"cannot be imported ({error})", f"pip install --upgrade {name}"))
        else:
            findings.append(Finding(name, True, importlib.metadata.version(name)))
    return findings


def check_device() -> list[Finding]:
    """What ``--device auto`` would take."""
    import torch

    from foleygen.engines.device import choose_device, choose_precision

    device = choose_device("auto")
    what = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    return [Finding("device", True, f"{device}, {what}, {choose_precision('auto', device)}")]


def check_codecs() -> list[Finding]:
    """A small clip is made, read, and written to each container with a sound track, for real."""
    import numpy as np

    from foleygen.media import movie
    from foleygen.media.mux import mux
    from foleygen.media.probe import probe

    findings = []
    with tempfile.TemporaryDirectory(prefix="foleygen-") as folder:
        clip = Path(folder) / "clip.mp4"
        movie.write(clip, (np.full((64, 64, 3), level, np.uint8) for level in range(8)), 8, (64, 64))
        info = probe(clip)
        for container in CONTAINERS:
            try:
                report = mux(info, [np.zeros(16000, np.float32)], 16000, Path(folder) / f"out.{container}")
            except FoleygenError as error:
                findings.append(Finding(container, False, error.message, "pip install --force-reinstall av"))
            else:
                findings.append(Finding(container, True, f"{info.codec} and {report.audio_codec} written and read"))
    return findings


def check_weights() -> list[Finding]:
    """The default bundle and every installed one, with their checksums, and the published ones that are not here."""
    from foleygen.settings import Settings
    from foleygen.weights import store

    findings = []
    for model in {str(store.resolve(Settings.model)), *map(str, store.installed())}:
        try:
            bundle = store.load(model)
        except FoleygenError as error:
            findings.append(Finding(Path(model).name, False, error.message, error.remedy))
        else:
            use = "commercial use allowed" if bundle.commercial else "non-commercial use only"
            findings.append(Finding(f"model {bundle.name}", True, f"whole, {bundle.licence}, {use}"))
    return sorted(findings, key=lambda finding: finding.name) + _published()


def _published() -> list[Finding]:
    """Published models that could be had, or that are here without being a bundle."""
    from foleygen.weights import store
    from foleygen.weights.published.presets import PRESETS

    findings = []
    for preset in PRESETS:
        if not store.folder_of(preset).is_dir():
            use = "commercial use allowed" if preset.published.commercial else "non-commercial use only"
            fact = f"not installed, can be had with 'foleygen models fetch {preset.name}', {use}"
            findings.append(Finding(f"model {preset.name}", True, fact))
        elif preset.make is None:
            findings.append(Finding(f"model {preset.name}", True, f"installed, {preset.published.licence}"))
    return findings


def check_cache() -> list[Finding]:
    """Whether the cache can be written, and its size."""
    from foleygen.features.cache import FeatureCache, default_root

    root = default_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=root, prefix=".foleygen-"):
            pass
    except OSError as error:
        fix = "set FOLEYGEN_CACHE_DIR to a folder that can be written, or use --no-cache"
        return [Finding("cache", False, f"{root} cannot be written ({error.strerror})", fix)]
    found = FeatureCache(root).info()
    return [Finding("cache", True, f"{root}, {byte_size(found.bytes)} of {byte_size(found.cap)}")]


def check_disk() -> list[Finding]:
    """Room for finished clips in the current folder."""
    free = shutil.disk_usage(Path.cwd()).free
    ok = free >= LEAST_FREE_BYTES
    fix = "" if ok else "free some space, or choose another disk with -o/--output"
    return [Finding("disk", ok, f"{byte_size(free)} free in {Path.cwd()}", fix)]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    check_python,
    check_libraries,
    check_device,
    check_codecs,
    check_weights,
    check_cache,
    check_disk,
)
