"""The files of a bundle: read, checked, hashed, written whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from foleygen.atomic import PART_MARK, publish
from foleygen.errors import BundleError, RetryableError
from foleygen.strict import Reader, did_you_mean, shortened, shown
from foleygen.weights.spec import Part

if TYPE_CHECKING:
    from torch import Tensor

MANIFEST = "bundle.yaml"
FORMAT = 1
HASH_LENGTH = 16
READER = Reader(BundleError, least=1)


class Weights(Protocol):
    """A bundle of any kind, as far as its files go."""

    @property
    def path(self) -> Path: ...

    @property
    def parts(self) -> Mapping[str, Part]: ...


def kind_of(path: Path) -> str | None:
    """What the bundle in folder ``path`` says it is; None for those of this module. Raises BundleError."""
    kind = _manifest(path).get("kind")
    return kind if kind is None or isinstance(kind, str) else shown(kind)


def opened(
    path: Path, kind: str | None, known: tuple[str, ...], verify: bool
) -> tuple[dict[str, Any], dict[str, Part]]:
    """The settings and the checked parts of a bundle of one kind, whose parts are among ``known``."""
    manifest = path / MANIFEST
    content = _manifest(path)
    version = content.pop("format", None)
    if version != FORMAT:
        fact = (
            "has no format number" if version is None else f"has format {shown(version)}, this foleygen reads {FORMAT}"
        )
        raise BundleError(f"{manifest}: {fact}", "update foleygen or fetch the bundle again")
    found = content.pop("kind", None)
    if found != kind:
        uses = {str(None): "makes sound from pictures", "specmaskgit": "makes ambience"}
        unknown = f"is of a kind {shown(found)} that this foleygen does not know"
        fact = uses.get(str(found), unknown) if found is None or isinstance(found, str) else unknown
        raise BundleError(f"{manifest}: {fact}", f"name a bundle that {uses[str(kind)]}")
    listed = content.pop("parts", None)
    if not isinstance(listed, dict):
        raise BundleError(f"{manifest}: the section 'parts' is missing", "fetch or export the bundle again")
    named = {shortened(name) if isinstance(name, str) else shown(name): part for name, part in listed.items()}
    parts = {name: READER.section(Part, part, f"{manifest}: parts.{name}") for name, part in named.items()}
    for name, part in parts.items():
        if name not in known:
            raise BundleError(f"{manifest}: parts has an unknown key {name!r}", did_you_mean(name, known))
        _check_part(path, part, verify)
    return content, parts


def written(
    folder: Path,
    manifest: Callable[[Mapping[str, Part]], Mapping[str, Any]],
    tensors: Mapping[str, Mapping[str, Tensor]],
    *,
    licence_text: str,
    model_card: str,
) -> None:
    """Write the files of a bundle of any kind; ``manifest`` makes the content of bundle.yaml from the parts."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"{folder}: holds something that is not a bundle", "choose an empty or a new folder")
    staging = folder.parent / f".{PART_MARK}{folder.name}-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        staging.mkdir(parents=True)
        parts = {}
        for name, state in tensors.items():
            file = staging / f"{name}.safetensors"
            with publish(file) as temporary:
                save_file(_owned(state), temporary, {"format": "pt"})
                temporary.chmod(0o644)  # safetensors would keep it to its owner
            parts[name] = Part(file=file.name, sha256=sha256(file), bytes=file.stat().st_size)
        text = yaml.safe_dump(dict(manifest(parts)), sort_keys=False, allow_unicode=True, width=120)
        for name, content in (("LICENSE", licence_text), ("README.md", model_card), (MANIFEST, text)):
            with publish(staging / name) as temporary:
                temporary.write_text(content, encoding="utf-8")
        _swap(staging, folder)
    except SafetensorError as error:  # its input and output errors are no OSErrors
        raise RetryableError(f"{folder}: cannot be written ({error})", "free some space and try again") from error
    except OSError as error:
        raise BundleError(f"{folder}: cannot be written ({error.strerror})", "choose another folder") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def tensors(bundle: Weights, part: str) -> dict[str, Tensor]:
    """The state dict of ``part`` on the CPU, in the dtypes that were stored. Raises BundleError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if part not in bundle.parts:
        raise BundleError(f"{bundle.path}: the bundle has no weights for the {part}", "fetch or export it again")
    file = bundle.path / bundle.parts[part].file
    try:
        state: dict[str, Tensor] = load_file(file, device="cpu")
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{file}: cannot be read ({error})", "fetch or export the bundle again") from error
    return state


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with its floating point numbers in half precision, as bundles are written."""
    return {name: value.half() if value.is_floating_point() else value for name, value in state.items()}


def sha256(path: Path) -> str:
    """SHA-256 of a file in hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(content: Mapping[str, Any]) -> str:
    """16 hex digits of the SHA-256 over ``content`` as JSON with sorted keys, so layout and comments do not count."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:HASH_LENGTH]


def _manifest(folder: Path) -> dict[str, Any]:
    """The content of a folder's bundle.yaml, which lies in the folder itself."""
    path, name = folder / MANIFEST, f"name a folder that holds a {MANIFEST}"
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"{path}: is a link that leads out of its folder", "put the file itself there")
    return READER.mapping(path, name)


def _check_part(folder: Path, part: Part, verify: bool) -> None:
    relative = PurePosixPath(part.file)
    file = folder / relative
    inside = not relative.is_absolute() and file.resolve().is_relative_to(folder.resolve())
    if not inside or relative.suffix != ".safetensors":
        raise BundleError(
            f"{folder / MANIFEST}: {shown(part.file)} is not a .safetensors file of this folder", "correct it"
        )
    if not file.is_file():
        raise BundleError(f"{file}: does not exist", "fetch or export the bundle again")
    if file.stat().st_size != part.bytes:
        fact = f"has {file.stat().st_size} bytes where {MANIFEST} says {part.bytes}"
        raise BundleError(f"{file}: {fact}", "fetch or export the bundle again")
    if verify and sha256(file) != part.sha256:
        raise BundleError(f"{file}: its SHA-256 is not the one in {MANIFEST}", "fetch or export the bundle again")


def _owned(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory, which safetensors refuses; those that have their own are not copied."""
    import torch

    owned, places = {}, set[int]()
    for key, tensor in state.items():
        value = tensor.detach().to("cpu")
        whole = value.is_contiguous() and value.untyped_storage().nbytes() == value.nbytes
        if not whole or value.data_ptr() in places:
            value = value.clone(memory_format=torch.contiguous_format)
        places.add(value.data_ptr())
        owned[key] = value
    return owned


def _swap(staging: Path, folder: Path) -> None:
    """Put ``staging`` in the place of ``folder``, whose old content is removed afterwards."""
    if folder.exists():
        old = staging.with_name(f"{staging.name}-old")
        os.replace(folder, old)
        os.replace(staging, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(staging, folder)
