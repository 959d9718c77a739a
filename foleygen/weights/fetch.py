"""The only door to the network: published files, fetched with the Hugging Face Hub's client and gdown."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from foleygen.atomic import publish
from foleygen.errors import FoleygenError, RetryableError, SetupError, UsageError
from foleygen.strict import json_document
from foleygen.weights import catalogue, store
from foleygen.weights.catalogue import CatalogueFile, CatalogueModel
from foleygen.weights.files import sha256
from foleygen.weights.published import presets
from foleygen.weights.published.presets import AS_USUAL, Making

RECORD = "fetched.json"
"""Size and SHA-256 of every fetched file, kept beside them."""

OnFile = Callable[[CatalogueFile, Literal["started", "kept", "fetched"]], None]


def licence_notice(name: str) -> str:
    """What a user must read and accept before ``fetch``."""
    return catalogue.model(name).notice()


def fetch(
    model: CatalogueModel,
    root: Path,
    *,
    accept_licence: bool,
    links: Mapping[str, str] | None = None,
    endpoint: str | None = None,
    on_file: OnFile | None = None,
) -> dict[str, Path]:
    """Get every file of ``model`` into ``root`` and return their paths by name; what is there and whole is kept.

    ``links`` gives a URL for a file (by its catalogue name) that has no public place, or another one for it.
    ``endpoint`` replaces the Hugging Face Hub (as HF_ENDPOINT does). An interrupted fetch goes on where it stopped.
    Raises UsageError without ``accept_licence`` or a needed link, SetupError when a file cannot be had or differs
    from its known SHA-256, RetryableError when the disk is full.
    """
    if not accept_licence:
        raise UsageError(
            f"the licences of the model {model.name!r} are not accepted", "read them and pass --accept-licence"
        )
    links = links or {}
    if unknown := set(links) - {item.name for item in model.files}:
        raise UsageError(f"{model.name} has no file named {min(unknown)!r}", "see 'foleygen models list'")
    for item in model.files:
        _require_place(item, root, links)
    record = _read_record(root)
    paths = {}
    for item in model.files:
        path = root / item.folder / item.file
        key = f"{item.folder}/{item.file}"
        if path.is_file():
            _report(on_file, item, "kept")
        else:
            _report(on_file, item, "started")
            _get(item, root / item.folder, links.get(item.name), endpoint)
            _report(on_file, item, "fetched")
        record[key] = _verified(item, path, record.get(key))
        _write_record(root, record)
        paths[item.name] = path
    return paths


def install(
    name: str | CatalogueModel,
    *,
    accept_licence: bool,
    links: Mapping[str, str] | None = None,
    endpoint: str | None = None,
    on_file: OnFile | None = None,
    how: Making = AS_USUAL,
) -> Path:
    """Fetch a preset's files (see ``fetch``), make them what is used, and return its folder among the user's models."""
    model = catalogue.model(name) if isinstance(name, str) else name
    preset = presets.preset(model.name)
    folder = store.folder_of(preset)
    root = store.models_root() if preset.make is None else store.downloads_root()
    paths = fetch(model, root, accept_licence=accept_licence, links=links, endpoint=endpoint, on_file=on_file)
    if preset.make is not None:
        preset.made({item.name: item.among(paths) for item in preset.ingredients}, folder, how)
    return folder


def _require_place(item: CatalogueFile, root: Path, links: Mapping[str, str]) -> None:
    if item.repo or item.drive_id or item.url or item.name in links or (root / item.folder / item.file).is_file():
        return
    raise UsageError(
        f"{item.file}: has no public place ({item.note or 'ask its authors'})",
        f"pass --link {item.name}=URL, or get the files yourself and run 'foleygen models import'",
    )


def _get(item: CatalogueFile, folder: Path, link: str | None, endpoint: str | None) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if item.repo and link is None:
            _from_hub(item, folder, endpoint)
        else:
            _from_drive(item, folder / item.file, link)
    except FoleygenError:
        raise
    except ImportError as error:
        raise SetupError(f"fetching needs the package {error.name}", "pip install 'foleygen[base]'") from error
    except Exception as error:  # both clients let their transport's many exception types through
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RetryableError(f"{folder}: no space left for {item.file}", "free some and run it again") from error
        reason = " ".join(str(error).split())[:300]
        raise SetupError(
            f"{item.file}: cannot be fetched from {link or item.place} ({reason})",
            "check the network and run the same command again, it goes on where it stopped",
        ) from error


def _from_hub(item: CatalogueFile, folder: Path, endpoint: str | None) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    assert item.repo is not None
    hf_hub_download(item.repo, item.file, revision=item.revision, local_dir=folder, endpoint=endpoint)


def _from_drive(item: CatalogueFile, path: Path, link: str | None) -> None:
    import gdown

    place = {"url": link or item.url} if link or item.url else {"id": item.drive_id}
    path.parent.mkdir(parents=True, exist_ok=True)
    gdown.download(output=str(path), quiet=True, use_cookies=False, resume=True, **place)


def _verified(item: CatalogueFile, path: Path, recorded: Any) -> dict[str, Any]:
    """Size and SHA-256 of the file, after comparing them with what is known and with what was fetched before."""
    found = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    before = recorded if isinstance(recorded, dict) else {}
    for known, source in ((item.sha256, "published"), (before.get("sha256"), "recorded when it was first fetched")):
        if known and found["sha256"] != known:
            raise SetupError(
                f"{path}: its SHA-256 is {found['sha256']}, {source} was {known}", "delete the file and fetch it again"
            )
    return found


def _read_record(root: Path) -> dict[str, Any]:
    if not (root / RECORD).exists():
        return {}
    content = json_document(root / RECORD, SetupError, "delete it and fetch again")
    return content if isinstance(content, dict) else {}


def _write_record(root: Path, record: Mapping[str, Any]) -> None:
    with publish(root / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _report(on_file: OnFile | None, item: CatalogueFile, state: Literal["started", "kept", "fetched"]) -> None:
    if on_file is not None:
        on_file(item, state)
