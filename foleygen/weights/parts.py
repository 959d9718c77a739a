"""One trained model in a folder: ``model.safetensors`` in half precision, and ``config.yaml``, which says its kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foleygen.atomic import publish
from foleygen.errors import BundleError
from foleygen.strict import Reader, shown
from foleygen.weights.files import halved

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, WEIGHTS = "config.yaml", "model.safetensors"


def save(folder: Path, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Write the part; ``config`` has a key ``kind`` and only what YAML can hold."""
    import yaml
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with publish(folder / WEIGHTS) as temporary:
        save_file({name: value.contiguous() for name, value in halved(state).items()}, str(temporary))
        temporary.chmod(0o644)  # safetensors would keep it to its owner
    with publish(folder / CONFIG) as temporary:
        temporary.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")


def load(folder: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """``config.yaml`` and the weights. Raises BundleError when they cannot be read or are another kind's."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = Reader(BundleError).mapping(folder / CONFIG)
    if config.get("kind") != kind:
        raise BundleError(
            f"{folder / CONFIG}: kind is {shown(config.get('kind'))}, not {kind!r}", "name another folder"
        )
    try:
        return config, load_file(str(folder / WEIGHTS))
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{folder / WEIGHTS}: cannot be read ({reason})", "fetch or train it again") from error
