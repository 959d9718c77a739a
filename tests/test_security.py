"""Files from strangers: bundles and settings run no code, names stay in their folder, headers take no memory."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import yaml
from clips import write_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foleygen.cli import app
from foleygen.cli.config import load
from foleygen.errors import BundleError, ClipError, ExitCode, FoleygenError, UsageError
from foleygen.media.probe import probe
from foleygen.settings import MAX_PIXELS
from foleygen.weights import bundle as bundles
from foleygen.weights.files import MANIFEST, tensors

MakeClip = Callable[..., Path]
ROOT = Path(__file__).parent.parent
HOSTILE_YAML = (
    "!!python/object/apply:os.system ['touch {mark}']",
    "!!python/object/new:subprocess.Popen [[touch, '{mark}']]",
    "!!python/name:os.system",
    "!!python/module:os",
    "seed: !!python/object/apply:os.system ['touch {mark}']",
    "seed: !!python/tuple [1]",
)


BOXES = [
    struct.pack(">I4s", length, kind)
    for length in (0, 1, 7, 8, 16, 2**32 - 1)
    for kind in (b"moov", b"trak", b"trun", b"stsz", b"free")
]


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def bundle(tmp_path: Path, random_bundle: Path) -> Path:
    return shutil.copytree(random_bundle, tmp_path / "bundle")


def change(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = folder / MANIFEST
    content = yaml.safe_load(path.read_text())
    edit(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def put_part(folder: Path, content: bytes, part: str = "encoder") -> None:
    """``content`` as the weights of ``part``, with the size and checksum that belong to it."""
    (folder / f"{part}.safetensors").write_bytes(content)
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    change(folder, lambda manifest: manifest["parts"][part].update(facts))


def safetensors(header: object, size: int | None = None, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "foleygen", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


# Bundles and settings


@pytest.mark.parametrize("text", HOSTILE_YAML)
def test_yaml_makes_no_objects(tmp_path: Path, text: str) -> None:
    mark = tmp_path / "ran"
    path = tmp_path / "foleygen.yaml"
    path.write_text(text.format(mark=mark))
    with pytest.raises(UsageError, match=r"foleygen\.yaml"):
        load({}, {}, tmp_path)
    (tmp_path / MANIFEST).write_text(text.format(mark=mark))
    with pytest.raises(BundleError, match=r"bundle\.yaml"):
        bundles.load(tmp_path)
    from foleygen.training.recipe import read

    with pytest.raises(FoleygenError, match=r"foleygen\.yaml"):
        read(path)
    assert not mark.exists()


def test_yaml_that_grows_is_refused(tmp_path: Path) -> None:
    """Ten anchors of ten references each name 10**10 entries in a kilobyte."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)]
    (tmp_path / MANIFEST).write_text("\n".join([*lines, "transformer: *a10"]))
    with pytest.raises(BundleError):
        bundles.load(tmp_path)


@pytest.mark.parametrize("verify", [True, False])
def test_a_pickle_in_a_bundle_is_not_opened(tmp_path: Path, bundle: Path, verify: bool) -> None:
    mark = tmp_path / "ran"
    put_part(bundle, pickle.dumps(Touch(mark)))
    with pytest.raises(BundleError, match=r"encoder\.safetensors: cannot be read"):
        tensors(bundles.load(bundle, verify=verify), "encoder")
    for name in ("encoder.pt", "encoder.pkl", "encoder.safetensors.bin"):
        (bundle / "encoder.safetensors").rename(bundle / name)
        change(bundle, lambda manifest, name=name: manifest["parts"]["encoder"].update(file=name))  # type: ignore[misc]
        with pytest.raises(BundleError, match="safetensors file of this folder"):
            bundles.load(bundle)
        (bundle / name).rename(bundle / "encoder.safetensors")
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        safetensors({}, size=2**63),
        safetensors({}, size=2**31),
        safetensors({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, data=b"1234"),
        safetensors({"a": {"dtype": "F32", "shape": [2**50], "data_offsets": [0, 2**52]}}, data=b"1234"),
        safetensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}, data=b"1234"),
        safetensors({"a": {"dtype": "object", "shape": [1], "data_offsets": [0, 4]}}, data=b"1234"),
        b"\x00" * 7,
    ],
)
def test_safetensors_that_lie_about_sizes(bundle: Path, content: bytes) -> None:
    put_part(bundle, content)
    with pytest.raises(BundleError, match=r"encoder\.safetensors: cannot be read"):
        tensors(bundles.load(bundle), "encoder")


@pytest.mark.parametrize(
    "file", ["../out.safetensors", "/etc/out.safetensors", "a/../../out.safetensors", "link/a.safetensors"]
)
def test_no_part_is_outside_its_bundle(tmp_path: Path, bundle: Path, file: str) -> None:
    (tmp_path / "out.safetensors").write_bytes((bundle / "encoder.safetensors").read_bytes())
    (bundle / "a").mkdir()
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(bundle / "encoder.safetensors", tmp_path / "elsewhere" / "a.safetensors")
    (bundle / "link").symlink_to(tmp_path / "elsewhere")
    change(bundle, lambda manifest: manifest["parts"]["encoder"].update(file=file))
    with pytest.raises(BundleError, match="safetensors file of this folder"):
        bundles.load(bundle)


GREEDY = """
import resource, sys
from pathlib import Path
import yaml
from foleygen.engines.foley import Engine
from foleygen.errors import BundleError
from foleygen.weights import bundle
folder = Path(sys.argv[1])
manifest = folder / bundle.MANIFEST
good = manifest.read_text()
Engine.load(bundle.load(folder), "cpu", "fp32")
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
NUMBERS = (float("nan"), -1, 0, 4096, 50_000, 2**31, 10**400, [])
def leaves(value, path=()):
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from leaves(entry, (*path, key))
    elif isinstance(value, int | float | list) and not isinstance(value, bool):
        yield path
content = yaml.safe_load(good)
for path in [found for found in leaves(content) if found[0] != "parts"]:
    for number in NUMBERS:
        content = yaml.safe_load(good)
        target = content
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = [number] * len(target[path[-1]]) if isinstance(target[path[-1]], list) else number
        said = "taken"
        try:
            manifest.write_text(yaml.safe_dump(content))
            Engine.load(bundle.load(folder, verify=False), "cpu", "fp32")
        except BundleError as error:
            said = "refused"
            assert "\\n" not in str(error) and "; " in str(error), error
        except Exception as error:
            said = repr(error)[:200]
        print(".".join(path), str(number)[:20], said, sep="\\t")
status = Path("/proc/self/status")  # getrusage would tell the peak of the process that started this one, if larger
lines = status.read_text().splitlines() if status.exists() else []
peaks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
print("peak", (peaks or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss])[0] // 1024, "MiB", sep="\\t")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="memory limits are POSIX")
def test_no_number_in_a_bundle_takes_all_memory(bundle: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", GREEDY, str(bundle)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    *cases, peak = [line.split("\t") for line in ended.stdout.splitlines()]
    assert len(cases) > 300
    assert {said for _, _, said in cases} == {"taken", "refused"}, [case for case in cases if len(case[2]) > 7]
    taken = [case for case in cases if case[1] == "nan" and case[2] == "taken" and case[0] != "sources"]
    assert not taken, "no number at all"
    assert int(peak[1]) < 3000, "MiB"


# Lists, names and sidecars


def test_nothing_is_written_outside_the_output_folder(tmp_path: Path, random_bundle: Path, make_clip: MakeClip) -> None:
    """A list with paths that climb, and a sidecar that names other files."""
    source = make_clip(tmp_path / "in" / "deep" / "a.mp4")
    shutil.copy(source, tmp_path / "b.mp4")
    (tmp_path / "work").mkdir()
    victim = tmp_path / "victim.mp4"
    victim.write_bytes(b"precious")
    listing = f"../in/deep/a.mp4\n{tmp_path}/in/../b.mp4\n"
    out = tmp_path / "work" / "out"
    ended = subprocess.run(
        [sys.executable, "-m", "foleygen", "add-sound", "-", "-o", "out", "--model", str(random_bundle), "--no-cache"],
        cwd=tmp_path / "work",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=listing,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert ended.returncode == ExitCode.OK, ended.stderr
    assert sorted(path.name for path in out.rglob("*.mp4")) == ["a.foley.mp4", "b.foley.mp4"]
    sidecar = out / "a.foley.json"
    content = json.loads(sidecar.read_text())
    for output in ("../../victim.mp4", str(victim), "../work/out/a.foley.mp4"):
        sidecar.write_text(json.dumps({**content, "output": output, "input": output}))
        again = run(tmp_path / "work", "add-sound", "../in/deep/a.mp4", "-o", "out", "--model", str(random_bundle))
        assert again.returncode == ExitCode.OK, again.stderr
    assert victim.read_bytes() == b"precious"
    everything = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    outside = {"in/deep/a.mp4", "b.mp4", "victim.mp4"}
    inside = {path for path in everything if path.startswith("work/out/")}
    assert everything == inside | outside


@pytest.mark.parametrize(
    "template", ["../{stem}", "/tmp/{stem}", "{stem}/../../x", "{stem.__class__}", "{stem!r:{ext}}"]
)
def test_a_name_is_no_path_and_no_program(tmp_path: Path, template: str) -> None:
    from foleygen.batch.discover import Clip
    from foleygen.batch.plan import plan
    from foleygen.settings import Settings

    with pytest.raises(UsageError, match="--name"):
        plan([Clip(tmp_path / "a.mp4")], Settings(name=template))


def test_play_lists_and_other_protocols_are_not_followed(tmp_path: Path) -> None:
    secret = write_clip(tmp_path / "secret.mp4")
    documents = {
        "list.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile {secret}\n",
        "page.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    for name, text in documents.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ClipError, match=name):
            probe(tmp_path / name)


# Headers that promise more than there is

MEASURED = """
import resource, sys
from fractions import Fraction
from pathlib import Path
from foleygen.errors import ClipError
from foleygen.media.frames import FrameRequest, FrameRule, read
from foleygen.media.probe import probe
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    info = probe(Path(sys.argv[1]), int(sys.argv[2]))
    for _ in read(info, [FrameRequest(0, Fraction(0), 32)], Fraction(30), 64, FrameRule.LINEAR):
        pass
    print("read", info.width, info.height, info.frame_count)
except ClipError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def measured(path: Path, max_pixels: int = MAX_PIXELS) -> tuple[str, int]:
    """What probe and read say of a clip in a process of their own, and the MiB that it needed for it."""
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path), str(max_pixels)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    said, used = ended.stdout.splitlines()
    return said, int(used)


def patched(path: Path, mark: bytes, offset: int, layout: str, *values: int) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, data.index(mark) + offset, *values)
    path.write_bytes(data)
    return path


def _avi(path: Path) -> Path:
    clip = write_clip(path, 3, codec="rawvideo", b_frames=0)
    return patched(clip, b"strf", 12, "<II", 100_000, 100_000)  # BITMAPINFOHEADER


def _mov(path: Path) -> Path:
    clip = write_clip(path, 3, codec="qtrle", pixel_format="rgb24", b_frames=0)
    return patched(clip, b"stsd", 44, ">HH", 65535, 65535)  # VisualSampleEntry


def _mkv(path: Path) -> Path:
    """PixelWidth and PixelHeight, b0 and ba, in four bytes each instead of one."""
    data = write_clip(path, 3, codec="ffv1", b_frames=0).read_bytes()
    place = data.index(b"\xb0\x81\x40\xba\x81\x30")
    size = (100_000).to_bytes(4, "big")
    video = data[:place] + b"\xb0\x84" + size + b"\xba\x84" + size + data[place + 6 :]
    # The parents grow by six bytes: Video, TrackEntry, Tracks and the Segment, which ffmpeg gives eight bytes of size.
    for mark in (b"\xe0", b"\xae", b"\x16\x54\xae\x6b", b"\x18\x53\x80\x67"):
        at = video.rindex(mark, 0, place) + len(mark)
        width = 9 - video[at].bit_length()
        number = int.from_bytes(video[at : at + width], "big") + 6
        video = video[:at] + number.to_bytes(width, "big") + video[at + width :]
    path.write_bytes(video)
    return path


def _png(path: Path, width: int = 100_000, height: int = 100_000) -> Path:
    """Pictures whose own header is the one that lies."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0))
    picture = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(5000))) + chunk(b"IEND", b"")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25, width=64, height=48)
        stream.pix_fmt = "rgb24"
        for number in range(3):
            frame = av.VideoFrame(64, 48, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for made in stream.encode(frame):
                packet = av.Packet(picture)
                packet.pts, packet.dts, packet.time_base, packet.stream = made.pts, made.dts, made.time_base, stream
                container.mux(packet)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="ru_maxrss is POSIX")
@pytest.mark.parametrize(
    ("make", "name", "says"),
    [
        (_avi, "a.avi", "--max-pixels"),
        (_mov, "a.mov", "--max-pixels"),
        (_mkv, "a.mkv", "--max-pixels"),
        (_png, "png.mov", "can be decoded"),
    ],
)
def test_ten_gigapixels_take_no_memory(tmp_path: Path, make: Callable[[Path], Path], name: str, says: str) -> None:
    said, used = measured(make(tmp_path / name))
    assert said.startswith(str(tmp_path / name))
    assert says in said
    assert used < 200, "MiB"


@pytest.mark.skipif(sys.platform == "win32", reason="ru_maxrss is POSIX")
def test_max_pixels_holds_while_a_file_is_opened(tmp_path: Path) -> None:
    """libavformat decodes pictures to learn their size: 16000 x 16000 of 64 bits are 2 GB."""
    said, used = measured(_png(tmp_path / "a.mov", 16_000, 16_000), 10**6)
    assert "--max-pixels" in said
    assert used < 200, "MiB"


def test_max_pixels_is_for_the_user_to_choose(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", 5)
    assert probe(clip, 64 * 48).max_pixels == 64 * 48
    with pytest.raises(ClipError, match=r"64x48 has more pixels than --max-pixels 3071; .* raise --max-pixels"):
        probe(clip, 64 * 48 - 1)


@pytest.mark.skipif(sys.platform == "win32", reason="ru_maxrss is POSIX")
def test_max_pixels_holds_while_a_plan_reads_headers(tmp_path: Path) -> None:
    code = """if True:
        import resource, sys
        from foleygen.cli.app import run
        from foleygen.media import probe
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        code = run(["plan", sys.argv[1], "--max-pixels", "1000000"])
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, file=sys.stderr)
        sys.exit(code)
    """
    clip = _png(tmp_path / "a.mov", 16_000, 16_000)
    command = [sys.executable, "-c", code, str(clip)]
    planned = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, cwd=ROOT)
    assert planned.stdout.startswith(str(clip))
    assert int(planned.stderr.split()[-1]) < 200, "MiB"


def test_max_pixels_is_an_option_of_a_batch(tmp_path: Path, random_bundle: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", 5)
    refused = run(tmp_path, "add-sound", clip.name, "--model", str(random_bundle), "--max-pixels", "1000")
    assert refused.returncode == ExitCode.ALL_FAILED
    assert "raise --max-pixels" in " ".join(refused.stderr.split())
    assert not (tmp_path / "a.foley.mp4").exists()


@pytest.mark.parametrize("source", ["flag", "environment", "file"])
@pytest.mark.parametrize("command", ["preview", "bench", "train prepare"])
def test_max_pixels_is_a_setting_of_what_decodes_pictures(
    command: str,
    source: str,
    tmp_path: Path,
    random_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    clip = write_clip(tmp_path / "a.mp4", 5, sound=(48000,))
    arguments = [*command.split(), str(clip), "--model", str(random_bundle), "--device", "cpu"]
    if command == "train prepare":
        arguments += ["-o", str(tmp_path / "shards")]
    if source == "flag":
        arguments += ["--max-pixels", "1000"]
    elif source == "environment":
        monkeypatch.setenv("FOLEYGEN_MAX_PIXELS", "1000")
    else:
        (tmp_path / "mine.yaml").write_text("max_pixels: 1000\n")
        arguments += ["--config", str(tmp_path / "mine.yaml")]
    assert app.run(arguments) in (ExitCode.ALL_FAILED, ExitCode.NO_CLIPS)
    assert "64x48 has more pixels than --max-pixels 1000" in " ".join(capfd.readouterr().err.split())


def rebuilt(clip: Path, **tables: tuple[int, ...]) -> Path:
    """The sample tables of an MP4 replaced by 32-bit words after version and flags; every parent keeps its size."""
    data = clip.read_bytes()
    for kind, words in tables.items():
        place = data.index(kind.encode()) - 4
        old = int.from_bytes(data[place : place + 4], "big")
        box = struct.pack(f">I4s{1 + len(words)}I", 12 + 4 * len(words), kind.encode(), 0, *words)
        data = data[:place] + box + data[place + old :]
        for parent in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            at = data.index(parent) - 4
            size = int.from_bytes(data[at : at + 4], "big") + len(box) - old
            data = data[:at] + size.to_bytes(4, "big") + data[at + 4 :]
    clip.write_bytes(data)
    return clip


def fragment(clip: Path, samples: int) -> Path:
    """A fragmented MP4 whose one ``trun`` announces samples without a byte for each."""
    with av.open(str(clip), "w", container_options={"movflags": "empty_moov+frag_keyframe"}) as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48)
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", 8 + len(content)) + kind + content

    data = clip.read_bytes()
    track = box(b"tfhd", struct.pack(">IIIII", 0x020038, 1, 512, 1, 0)) + box(
        b"trun", struct.pack(">III", 1, samples, 0)
    )
    moof = box(b"moof", box(b"mfhd", bytes(8)) + box(b"traf", track))
    clip.write_bytes(data[: data.index(b"moof") - 4] + moof + box(b"mdat", bytes(2000)))
    return clip


@pytest.mark.skipif(sys.platform == "win32", reason="ru_maxrss is POSIX")
@pytest.mark.parametrize("samples", [80_000_000, 10**9])
@pytest.mark.parametrize("kind", ["constant", "table", "fragment"])
def test_a_billion_pictures_take_no_memory(tmp_path: Path, kind: str, samples: int) -> None:
    """libavformat alone makes an index of 4.7 GB of the first 80 million of them."""
    clip = tmp_path / "a.mp4"
    if kind == "fragment":
        fragment(clip, samples)
    elif kind == "constant":
        rebuilt(write_clip(clip), stsz=(1, samples), stsc=(1, 1, samples, 1), stts=(1, samples, 1))
    else:
        rebuilt(write_clip(clip), stsz=(0, samples), stts=(1, samples, 512))
    said, used = measured(clip)
    assert f"its index announces {samples} pictures" in said
    assert used < 100, "MiB"


def test_a_billion_pictures_elsewhere_are_only_a_number(tmp_path: Path) -> None:
    for mark, offset in ((b"strh", 40), (b"avih", 24)):
        clip = write_clip(tmp_path / "a.avi", codec="mpeg4", b_frames=0)
        said, used = measured(patched(clip, mark, offset, "<I", 10**9))
        assert said == "read 64 48 25"
        assert used < 200, "MiB"
    said, used = measured(rebuilt(write_clip(tmp_path / "a.mp4"), stts=(1, 10**9, 512)))
    assert said == "read 64 48 25"
    assert used < 200, "MiB"


def test_endless_rows_of_empty_boxes_are_refused(tmp_path: Path) -> None:
    from foleygen.media.boxes import MAX_BOXES

    clip = write_clip(tmp_path / "a.mp4")
    clip.write_bytes(clip.read_bytes() + struct.pack(">I4s", 8, b"free") * (MAX_BOXES + 1))
    with pytest.raises(ClipError, match="too many boxes"):
        probe(clip)


def test_time_stamps_of_years_are_refused(tmp_path: Path) -> None:
    clip = rebuilt(write_clip(tmp_path / "a.mp4", b_frames=0), stts=(1, 25, 0x7FFFFFFF))
    with pytest.raises(ClipError, match="time stamps span"):
        probe(clip)


def _box(kind: bytes, *words: int, inside: bytes = b"") -> bytes:
    return struct.pack(f">I4s{len(words)}I", 8 + 4 * len(words) + len(inside), kind, *words) + inside


def _track(handler: bytes, samples: int, unit: int) -> bytes:
    tables = _box(b"stts", 0, 1, samples, unit) + _box(b"stsz", 0, 1, samples)
    return _box(b"trak", inside=_box(b"hdlr", 0, 0, int.from_bytes(handler, "big")) + tables)


def test_samples_of_a_header_are_counted(tmp_path: Path) -> None:
    from foleygen.media.boxes import listed_samples

    path = tmp_path / "a.mp4"
    cases = {
        _track(b"vide", 9, 1): 9,
        _track(b"soun", 9, 1): 0,  # PCM: one entry per chunk, whatever it lasts
        _track(b"soun", 9, 2): 9,
        _track(b"vide", 9, 1) + _track(b"soun", 7, 1024): 16,
        _box(b"udta", inside=_track(b"vide", 9, 1)): 9,
        _box(b"free", inside=_track(b"vide", 9, 1)): 0,
        b"": 0,
    }
    for content, count in cases.items():
        path.write_bytes(_box(b"ftyp", 0) + _box(b"moov", inside=content))
        assert listed_samples(path) == count


@given(content=st.binary(max_size=200) | st.lists(st.sampled_from(BOXES), max_size=12).map(b"".join))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counting_never_fails(tmp_path: Path, content: bytes) -> None:
    from foleygen.media.boxes import listed_samples, top_level

    path = tmp_path / "any"
    path.write_bytes(content)
    assert listed_samples(path) is not None
    assert len(top_level(path)) <= len(content) / 8
