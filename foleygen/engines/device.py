"""Where models run and in which arithmetic, and what it means when that device has no memory left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from foleygen.errors import ClipError, FoleygenError, RetryableError, SetupError, UsageError, printable, shortage

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Parts of the messages of the allocators that raise a plain RuntimeError: of the CPU, of Metal, of cuBLAS."""

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Arithmetic of the transformer and the autoencoder by its name."""


def choose_device(device: str) -> str:
    """``auto`` becomes cuda, mps or cpu; a device that is not there is a SetupError."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, there in available.items() if there)
    if device not in available:
        raise UsageError(f"device is {device!r}", "use auto, cpu, cuda or mps")
    if not available[device]:
        raise SetupError(f"{device}: this device is not available", "use --device cpu, or see foleygen doctor")
    return device


def choose_precision(precision: str, device: str) -> str:
    """``auto`` is bf16 on a CUDA device and fp32 elsewhere."""
    if precision == "auto":
        return "bf16" if device == "cuda" else "fp32"
    return precision


def out_of_memory(error: BaseException) -> bool:
    """True for the ways in which torch and Python say that memory ran out."""
    said = str(error)
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or any(text in said for text in OUT_OF_MEMORY)


@contextmanager
def loading(name: str) -> Iterator[None]:
    """While the models of the bundle ``name`` are loaded: memory that runs out is a RetryableError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        fact = f"{name}: memory ran out while the model was loaded"
        raise RetryableError(fact, "close other programs, or use --device cpu") from error


def explained(error: Exception, clip: Path) -> FoleygenError:
    """Any failure of one clip as an error to report; what nobody foresaw has the exit code of a bug."""
    if isinstance(error, FoleygenError):
        return error
    name = printable(clip)
    # errors knows no torch, whose devices say it in a class of their own.
    found = shortage(MemoryError() if out_of_memory(error) else error, name)
    if found is not None:
        pass
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
        found = ClipError(f"{name}: reading or writing failed ({reason})", "check the disk or the network share")
    else:
        reason = " ".join(repr(error).split())
        found = FoleygenError(f"{name}: internal error ({reason})", "report it with the output of -vv")
    found.__cause__ = error
    return found
