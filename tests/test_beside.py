"""Chunks from another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from foleygen.media.beside import beside


def at_work() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "foleygen beside"]


def test_they_come_in_order_while_the_caller_works() -> None:
    first_is_used = threading.Event()

    def chunks() -> Iterator[int]:
        yield 0
        assert first_is_used.wait(60), "the next one is made while the caller has the first"
        yield from range(1, 50)

    found = []
    for chunk in beside(chunks()):
        first_is_used.set()
        found.append(chunk)
    assert found == list(range(50))
    assert not at_work()
    assert list(beside([])) == []


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_what_making_them_raises_is_raised_after_those_before(kind: type[BaseException]) -> None:
    def chunks() -> Iterator[int]:
        yield 1
        raise kind("broken")

    found = []
    with pytest.raises(kind, match="broken"):
        found.extend(beside(chunks()))
    assert not at_work()


def test_a_caller_who_leaves_ends_the_thread() -> None:
    closed = threading.Event()

    def chunks() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    left = beside(chunks())
    assert next(left) == 1
    left.close()
    assert not at_work()
    assert closed.wait(60)
