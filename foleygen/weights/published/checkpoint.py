"""Published checkpoints read safely, and held against the keys and shapes that they must have."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foleygen.errors import BundleError
from foleygen.strict import json_document

Shapes = dict[str, tuple[int, ...]]


def shapes_of(make: Callable[[], nn.Module]) -> Shapes:
    """Keys and shapes of the weights of the model that ``make`` makes, which takes no memory."""
    with torch.device("meta"):
        model = make()
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


@dataclass(frozen=True)
class KeyReport:
    """How a state dict differs from what a model needs."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        named = {"missing": self.missing, "unexpected": self.unexpected, "of another shape": self.mismatched}
        return "; ".join(f"{len(keys)} {what}: {', '.join(keys)}" for what, keys in named.items() if keys)


def compare(found: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> KeyReport:
    """Every key and every shape of ``found`` against ``expected``."""
    shared = [key for key in expected if key in found and tuple(found[key].shape) != tuple(expected[key])]
    return KeyReport(
        missing=tuple(key for key in expected if key not in found),
        unexpected=tuple(key for key in found if key not in expected),
        mismatched=tuple(f"{key} {tuple(found[key].shape)} instead of {tuple(expected[key])}" for key in shared),
    )


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or of a PyTorch pickle, flat or under ``state_dict``.

    ``module.`` (data parallel training) is stripped from the names. What Lightning leaves beside the tensors is put
    aside unread. Raises BundleError.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise BundleError(f"{path}: does not exist", "name the downloaded file")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            mapped = zipfile.is_zipfile(path)  # so that an optimiser's moments are never read
            with _putting_aside(_leftovers(path) if mapped else []):
                content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        fact = "is no checkpoint of tensors alone, and other Python objects are not loaded"
        raise BundleError(f"{path}: {fact}", "download it again or use a .safetensors file") from error
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, SafetensorError) as error:
        reason = str(error).split("\n")[0].partition(". ")[0]  # torch goes on to guess at causes
        raise BundleError(f"{path}: is not a readable checkpoint ({reason})", "download it again") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not any(isinstance(value, Tensor) for value in content.values()):
        raise BundleError(f"{path}: holds no named tensors", "name the file with the weights")
    return {key.replace("module.", ""): value for key, value in content.items() if isinstance(value, Tensor)}


LEFT_BY_LIGHTNING = ("pytorch_lightning.", "lightning.")
"""Modules whose classes older versions of Lightning name in a checkpoint, as the keys of their callbacks' states."""


class _PutAside:
    """What stands in place of such a class: it takes whatever the pickle gives it, and forgets it."""

    def __init__(self, *values: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _leftovers(path: Path) -> list[str]:
    """Names of Lightning's classes in a checkpoint, found without reading it as a pickle."""
    listed = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)  # new in torch 2.6
    return [name for name in listed(path) if name.startswith(LEFT_BY_LIGHTNING)] if listed else []


@contextmanager
def _putting_aside(names: Iterable[str]) -> Iterator[None]:
    """While this lasts, objects of the classes ``names`` are read as _PutAside; nothing of their own is imported."""
    stand_ins: list[Callable[..., Any] | tuple[Callable[..., Any], str]]
    stand_ins = [(type("PutAside", (_PutAside,), {}), name) for name in names]
    if not stand_ins:
        yield
        return
    with torch.serialization.safe_globals(stand_ins):
        yield


def _checked(
    path: Path, what: str, state: dict[str, Tensor], expected: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    report = compare(state, expected)
    if not report.ok:
        raise BundleError(f"{path}: does not fit {what} ({report})", "import the published file")
    return {key: state[key] for key in expected}


def _read_json(path: Path) -> dict[str, Any]:
    content = json_document(path, BundleError, "download the folder again")
    if not isinstance(content, dict):
        raise BundleError(f"{path}: is not a configuration", "download the folder again")
    return content


def _weights_in(folder: Path, names: Iterable[str]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise BundleError(f"{folder}: holds none of {', '.join(names)}", "download the folder again")
