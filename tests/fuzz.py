"""Mutated clips and what becomes of them: ``python -m tests.fuzz DIR --count 300``.

Copies of the files below DIR are damaged, each by a generator seeded with its number, and go through probe, frames and
mux in another process, which is watched. The outcomes are counted; the exit code is 1 if one is worse than a refusal.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from random import Random

from foleygen.settings import AudioPolicy

PATIENCE_S = 60
"""Longest that a clip may take."""
LONG_S = 600
"""Clips whose damaged time stamps say that they last longer are read, but get no sound here."""
ODD_WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x00FFFFFF, 0x40000000)

AUDIO: tuple[AudioPolicy, ...] = ("keep", "replace", "mix")

Mutator = Callable[[bytearray, Random], bytearray]
Span = tuple[int, int]


def flip_bits(data: bytearray, rng: Random) -> bytearray:
    for _ in range(rng.choice((1, 4, 32, 256))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def truncate(data: bytearray, rng: Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def blank(data: bytearray, rng: Random) -> bytearray:
    start = rng.randrange(len(data))
    stop = min(len(data), start + rng.choice((16, 512, 16384)))
    data[start:stop] = bytes(stop - start)
    return data


def change_fields(data: bytearray, rng: Random) -> bytearray:
    """Words of 32 bits in the headers become others: zero, one, the largest, or any."""
    span = rng.choice(_headers(data))
    for _ in range(rng.choice((1, 2, 4))):
        place = rng.randrange(span[0], max(span[0] + 1, span[1] - 4))
        word = rng.choice((*ODD_WORDS, rng.getrandbits(32)))
        size = min(4, len(data) - place)
        data[place : place + size] = word.to_bytes(4, rng.choice(("big", "little")))[:size]
    return data


def swap_elements(data: bytearray, rng: Random) -> bytearray:
    siblings = rng.choice(_families(data))
    first, second = sorted(rng.sample(siblings, 2))
    return (
        data[: first[0]]
        + data[second[0] : second[1]]
        + data[first[1] : second[0]]
        + data[first[0] : first[1]]
        + data[second[1] :]
    )


def repeat_element(data: bytearray, rng: Random) -> bytearray:
    start, stop = rng.choice(rng.choice(_families(data)))
    return data[:stop] + data[start:]


def drop_element(data: bytearray, rng: Random) -> bytearray:
    start, stop = rng.choice(rng.choice(_families(data)))
    return data[:start] + data[stop:]


MUTATORS: tuple[Mutator, ...] = (
    flip_bits,
    truncate,
    blank,
    change_fields,
    swap_elements,
    repeat_element,
    drop_element,
)


def mutated(content: bytes, number: int, seed: int = 0) -> tuple[str, bytes]:
    """The name of the mutation, and ``content`` after it: the same for the same number and seed."""
    rng = Random(f"{seed}/{number}")
    mutator = rng.choice(MUTATORS)
    return mutator.__name__, bytes(mutator(bytearray(content), rng))


def _families(data: bytes) -> list[list[Span]]:
    """Spans of elements that stand beside each other: boxes, EBML elements, RIFF chunks; else blocks of 188 bytes."""
    found: list[list[Span]] = []
    if data[:4] == b"\x1aE\xdf\xa3":
        _collect(data, 0, len(data), _ebml, found)
    elif data[:4] == b"RIFF":
        _collect(data, 12, len(data), _chunks, found)
    elif data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        _collect(data, 0, len(data), _boxes, found)
    blocks = [(start, min(start + 188, len(data))) for start in range(0, len(data), 188)]
    return [family for family in found if len(family) > 1] or [blocks if len(blocks) > 1 else blocks * 2]


def _headers(data: bytes) -> list[Span]:
    """Where the small elements are, which describe the large ones; else the first kilobyte."""
    small = [span for family in _families(data) for span in family if 16 <= span[1] - span[0] <= 65536]
    return small or [(0, min(len(data), 1024))]


Parser = Callable[[bytes, int, int], Iterator[tuple[int, int, int]]]
"""Elements between two places: (start, start of its children or 0, stop)."""


def _collect(data: bytes, start: int, stop: int, parser: Parser, found: list[list[Span]]) -> None:
    elements = list(parser(data, start, stop))[:1000]
    found.append([(begin, end) for begin, _, end in elements])
    for _, inside, end in elements:
        if inside and len(found) < 100:
            _collect(data, inside, end, parser, found)


def _boxes(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    while start + 8 <= stop:
        length, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        if not 8 <= length <= stop - start:
            return
        folder = kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"edts", b"udta")
        yield start, start + 8 if folder else 0, start + length
        start += length


def _chunks(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    while start + 8 <= stop:
        length = int.from_bytes(data[start + 4 : start + 8], "little")
        end = start + 8 + length + length % 2
        if end > stop:
            return
        yield start, start + 12 if data[start : start + 4] == b"LIST" else 0, end
        start = end


def _ebml(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    folders = (0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675, 0xA0, 0x1C53BB6B, 0x114D9B74)
    while start + 2 <= stop:
        first = 9 - data[start].bit_length()
        place = start + first
        if data[start] == 0 or first > 4 or place >= stop or data[place] == 0:
            return
        width = 9 - data[place].bit_length()
        size = int.from_bytes(data[place : place + width], "big") & ((1 << 7 * width) - 1)
        inside = place + width
        end = stop if size == (1 << 7 * width) - 1 else inside + size
        if end > stop:
            return
        known = int.from_bytes(data[start:place], "big") in folders
        yield start, inside if known else 0, end
        start = end


@dataclass(frozen=True)
class Verdict:
    """What became of a clip: done, long, refused, bug, crashed or hung, and what was said of it."""

    outcome: str
    said: str = ""
    peak_mib: int = 0


def examine(clip: Path, folder: Path) -> Verdict:
    """Probe, read and mux one clip into ``folder``, which must hold nothing else; what is left there is judged too."""
    from foleygen.errors import FoleygenError
    from foleygen.media.frames import FrameRequest, FrameRule, read
    from foleygen.media.mux import mux
    from foleygen.media.probe import probe

    same = clip.suffix in (".mp4", ".mov", ".webm", ".ts", ".avi")
    output = folder / f"out{clip.suffix if same else '.mov' if clip.suffix == '.gif' else '.mkv'}"
    try:
        info = probe(clip)
        seconds = min(10, int(info.duration) + 1)
        requests = [FrameRequest(second, Fraction(second), 8) for second in range(seconds)]
        for _, pictures in read(info, requests, Fraction(8), 64, FrameRule.LINEAR):
            assert pictures.shape == (8, 64, 64, 3)
        if info.duration > LONG_S:
            return Verdict("long", "its time stamps make it longer than ten minutes")
        audio = AUDIO[clip.stat().st_size % len(AUDIO)]
        report = mux(info, (), 16000, output, audio=audio)
        assert report.samples_48k == round(info.duration * 48000)
        again = probe(output)
        assert again.audio_streams > 0, "the new track is not there"
        verdict = Verdict("done")
    except FoleygenError as error:
        said = str(error)
        plain = said.startswith((str(clip), str(output))) and "; " in said and "\n" not in said
        verdict = Verdict("refused" if plain and not output.exists() else "bug", said)
    except Exception as error:
        verdict = Verdict("bug", repr(error))
    left = [path.name for path in folder.iterdir() if path != output or verdict.outcome != "done"]
    output.unlink(missing_ok=True)
    return Verdict("bug", f"left behind: {left}") if left else verdict


def work() -> None:
    """A worker: examine the clips named on stdin, one verdict per line on stdout."""
    for line in sys.stdin:
        clip = Path(json.loads(line))
        with tempfile.TemporaryDirectory() as folder:
            verdict = examine(clip, Path(folder))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({**asdict(verdict), "peak_mib": peak}), flush=True)


class Watched:
    """A worker process, started anew when a clip kills it or takes too long."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def examine(self, clip: Path) -> Verdict:
        process = self._process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(str(clip)).encode() + b"\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            answered = bool(selector.select(PATIENCE_S))
        line = process.stdout.readline() if answered else b""
        if line:
            return Verdict(**json.loads(line))
        self.close()
        if not answered:
            return Verdict("hung", f"more than {PATIENCE_S} s")
        code = process.returncode
        return Verdict("crashed", signal.Signals(-code).name if code < 0 else f"exit code {code}")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        root = Path(__file__).parent.parent
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz", "--work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            env=environment,
        )


@dataclass(frozen=True)
class Case:
    """One mutated copy and its verdict."""

    number: int
    source: str
    mutation: str
    verdict: Verdict


def campaign(sources: Sequence[Path], count: int, seed: int, folder: Path) -> Iterator[Case]:
    """``count`` mutated copies of the ``sources`` in turn, written to ``folder`` one after the other."""
    worker = Watched()
    try:
        for number in range(count):
            source = sources[number % len(sources)]
            mutation, content = mutated(source.read_bytes(), number, seed)
            clip = folder / f"{number}{source.suffix}"
            clip.write_bytes(content)
            case = Case(number, source.name, mutation, worker.examine(clip))
            clip.unlink()
            yield case
    finally:
        worker.close()


def sentence(said: str) -> str:
    """What was said without names and numbers, so that it can be counted."""
    after = said.partition(": ")[2] if said.startswith(os.sep) else said
    return re.sub(r"\d+(\.\d+)?", "N", after)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--largest", type=int, default=1_000_000, help="bytes; larger files are left out")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        work()
        return 0
    files = sorted(path for path in options.folder.rglob("*") if path.is_file() and path.suffix != ".tsv")
    sources = [path for path in files if 0 < path.stat().st_size <= options.largest]
    outcomes: Counter[str] = Counter()
    sentences: Counter[str] = Counter()
    by_mutation: Counter[tuple[str, str]] = Counter()
    peak = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in campaign(sources, options.count, options.seed, Path(folder)):
            verdict = case.verdict
            outcomes[verdict.outcome] += 1
            by_mutation[case.mutation, verdict.outcome] += 1
            peak = max(peak, verdict.peak_mib)
            if verdict.outcome == "refused":
                sentences[sentence(verdict.said)] += 1
            elif verdict.outcome != "done":
                print(f"{case.number} {case.source} {case.mutation}: {verdict.outcome}: {verdict.said}", flush=True)
    print(f"{options.count} mutated copies of {len(sources)} files: {dict(outcomes)}; at most {peak} MiB")
    for (mutation, outcome), number in sorted(by_mutation.items()):
        print(f"{number:5} {mutation} {outcome}")
    for said, number in sentences.most_common():
        print(f"{number:5} {said}")
    return int(not outcomes.keys() <= {"done", "refused", "long"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
