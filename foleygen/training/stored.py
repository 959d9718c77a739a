"""What one command of training leaves for the next: settings as JSON, arrays as they lie in memory, or as .npz.

Whatever is wrong with a file is one UsageError: it may be half-written, another's, or not there.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from foleygen.errors import UsageError
from foleygen.strict import Reader, json_document, shortened

Settings = TypeVar("Settings")

AGAIN = "make its folder again"
_READER = Reader(UsageError)


def settings(path: Path, kind: type[Settings], missing: str) -> Settings:
    """The JSON object in ``path`` as the dataclass ``kind``; ``missing`` is the next step where there is no file."""
    return _READER.section(kind, json_document(path, UsageError, missing), str(path))


def mapped(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """The numbers in ``path``, which has at least ``shape`` of them, without reading them."""
    wanted = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        found = path.stat().st_size
        if found >= wanted and path.is_file():
            return np.memmap(path, dtype, "r", shape=shape)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})", AGAIN) from error
    raise UsageError(f"{path}: has {found} bytes and lacks {max(0, wanted - found)}", AGAIN)


def arrays(path: Path, names: Iterable[str], missing: str) -> dict[str, NDArray[Any]]:
    """Every array of an .npz file, ``names`` among them; ``missing`` is the next step where there is no file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise UsageError(f"{path}: does not exist", missing) from error
    # of a lone .npy there are no names
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: not a readable .npz file ({shortened(str(error))})", missing) from error
    lost = [name for name in names if name not in found]
    if lost:
        raise UsageError(f"{path}: has no array {' nor '.join(lost)}", missing)
    return found
