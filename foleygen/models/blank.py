"""Modules without initial values, for weights that are about to be loaded.

Initialising costs more than loading: on the meta device alone it makes PyTorch import its compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Self

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_entered: ContextVar[bool] = ContextVar("blank", default=False)
FILLING = frozenset({"normal_", "uniform_", "zero_", "fill_", "erfinv_", "mul_", "add_", "clamp_"})
"""What the functions of ``torch.nn.init`` do to a tensor in place; some come here themselves, others only by these."""
INIT = nn.init.__name__


class Blank(TorchFunctionMode):
    """While it is entered, parameters are allocated and keep whatever they held; buffers are computed as always.

    Tensors on the meta device have nothing to fill.
    """

    def __enter__(self) -> Self:
        self._token = _entered.set(True)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        _entered.reset(self._token)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        filled = args[0] if args else named.get("tensor")
        if _is_blank(filled) and (getattr(func, "__module__", "") == INIT or getattr(func, "__name__", "") in FILLING):
            return filled
        return func(*args, **named)


def is_entered() -> bool:
    """Whether a module that is being made may leave out to fill its parameters."""
    return _entered.get()


def _is_blank(value: Any) -> bool:
    return isinstance(value, nn.Parameter) or (isinstance(value, Tensor) and value.is_meta)
