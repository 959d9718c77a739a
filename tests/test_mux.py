"""media.mux: the picture is copied bit for bit and the sound lies on it to the sample."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet
from av.stream import Disposition, Stream
from clips import TICKS, decoded_sound, default_sound, impulses, packets_of, pictures, turn, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from foleygen.errors import ClipError, ExitCode
from foleygen.media.containers import container_for
from foleygen.media.frames import FrameRequest, FrameRule, read
from foleygen.media.mux import mux
from foleygen.media.probe import ClipInfo, probe
from foleygen.media.resample import resampled
from foleygen.media.soundtrack import Soundtrack

RATE = 16000
RATE_25, RULE = Fraction(25), FrameRule.FPS_FILTER
ADDED_BY_CODEC = {"pcm_s24le": 0, "pcm_s16le": 0, "libopus": 0, "aac": 1024}
"""Most samples that a decoder gives beyond the track's own."""


def silence(info: ClipInfo) -> Iterator[NDArray[np.float32]]:
    yield np.zeros(round(info.duration * RATE), np.float32)


def assert_same_picture(clip: ClipInfo, output: ClipInfo) -> None:
    before, after = packets_of(clip.path, clip.video_index), packets_of(output.path, output.video_index)
    assert [packet[0] for packet in before] == [packet[0] for packet in after], "packet for packet"
    assert [packet[2] for packet in before] == [packet[2] for packet in after], "key frames"
    slack = 0.00101 if ".mkv" in output.path.suffixes + clip.path.suffixes or output.path.suffix == ".webm" else 1e-9
    for (_, time, _), (_, new_time, _) in zip(before, after, strict=True):
        if time is not None and new_time is not None:
            assert float(time - clip.start) == pytest.approx(float(new_time - output.start), abs=slack)
    assert output.content_id == clip.content_id
    assert (output.rotation, output.width, output.height, output.frame_count) == (
        clip.rotation,
        clip.width,
        clip.height,
        clip.frame_count,
    )


MAKERS = {
    ".mp4": {"codec": "libx264"},
    ".m4v": {"codec": "libx264"},
    ".mov": {"codec": "prores_ks", "pixel_format": "yuv422p10le"},
    ".mkv": {"codec": "libx264"},
    ".webm": {"codec": "libvpx-vp9"},
    ".avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    ".ts": {"codec": "libx264"},
}


@pytest.mark.parametrize("audio", ["keep", "replace"])
@pytest.mark.parametrize("suffix", list(MAKERS))
def test_every_container_keeps_the_picture_and_gets_the_sound(tmp_path: Path, suffix: str, audio: str) -> None:
    clip = probe(write_clip(tmp_path / f"a{suffix}", 30, 25, sound=(48000,), **MAKERS[suffix]))
    output = tmp_path / f"out{suffix}"
    places = [0, 8000, 12345]
    report = mux(clip, impulses(round(clip.duration * RATE), *places), RATE, output, audio=audio)
    result = probe(output)
    assert_same_picture(clip, result)
    assert report.samples_48k == round(clip.duration * 48000)
    assert report.audio_codec == container_for(output).audio_codec
    assert result.audio_streams == (2 if audio == "keep" else 1)
    samples, start = decoded_sound(output)
    priming = float(result.start - start) * 48000
    beyond = len(samples) - priming - report.samples_48k
    # Matroska and MPEG transport streams round the times of packets.
    assert -2 <= beyond < max(2, ADDED_BY_CODEC[report.audio_codec])
    for place in places:
        expected = round(place * 3 + priming)
        near = np.abs(samples[max(0, expected - 200) : expected + 200])
        assert int(near.argmax()) + max(0, expected - 200) == pytest.approx(expected, abs=2)


def test_exact_sound_in_lossless_tracks(tmp_path: Path) -> None:
    clip = probe(write_clip(tmp_path / "a.mov", 31, Fraction(30000, 1001)))
    total = round(clip.duration * 48000)
    sound = np.random.default_rng(0).uniform(-0.3, 0.3, total).astype(np.float32)
    for suffix in (".mov", ".mkv"):
        mux(clip, np.array_split(sound, 7), 48000, tmp_path / f"out{suffix}")
        found, _ = decoded_sound(tmp_path / f"out{suffix}")
        assert len(found) == total
        assert np.abs(found - sound).max() <= 2**-23


@pytest.mark.parametrize(("given_samples", "kept"), [(100, 100), (10**5, 48000)])
def test_wrong_lengths_are_cut_or_padded(tmp_path: Path, given_samples: int, kept: int) -> None:
    clip = probe(write_clip(tmp_path / "a.mov", 25, 25))
    mux(clip, [np.full(given_samples, 0.5, np.float32)], 48000, tmp_path / "out.mov")
    found, _ = decoded_sound(tmp_path / "out.mov")
    assert len(found) == 48000
    assert np.count_nonzero(found > 0.4) == kept


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("shift", [Fraction(227, 1000), Fraction(1001, 30000)])
def test_the_sound_begins_with_a_late_picture(tmp_path: Path, suffix: str, shift: Fraction) -> None:
    clip = probe(write_clip(tmp_path / "a.mp4", 30, 25, shift=Fraction(round(shift * TICKS), TICKS)))
    report = mux(clip, impulses(round(clip.duration * RATE), 0), RATE, tmp_path / f"out{suffix}")
    result = probe(tmp_path / f"out{suffix}")
    assert float(clip.start) == pytest.approx(float(shift), abs=0.001)
    assert float(result.start) == pytest.approx(float(clip.start), abs=0.0005 if suffix == ".mkv" else 1e-9)
    samples, start = decoded_sound(result.path)
    first = float(start) + int(np.abs(samples[:4000]).argmax()) / 48000
    assert first == pytest.approx(float(result.start), abs=0.0011 if suffix == ".mkv" else 2.5 / 48000)
    assert report.samples_48k == round(clip.duration * 48000)


@pytest.mark.parametrize("source", [".mkv", ".ts"])
def test_a_late_picture_of_any_source_keeps_its_place(tmp_path: Path, source: str) -> None:
    clip = probe(write_clip(tmp_path / f"a{source}", 30, Fraction(30000, 1001), shift=Fraction(7, 3)))
    mux(clip, impulses(round(clip.duration * RATE), 0), RATE, tmp_path / "out.mp4")
    result = probe(tmp_path / "out.mp4")
    samples, start = decoded_sound(result.path)
    clicked = float(start) + int(np.abs(samples[:4000]).argmax()) / 48000
    assert clicked == pytest.approx(float(result.start), abs=2.5 / 48000)
    assert float(result.duration) == pytest.approx(float(clip.duration), abs=1e-4)
    if source == ".mkv":
        assert result.start == clip.start


@pytest.mark.parametrize("times", [[0, 40, 300, 310, 900], [0], [0, 1000, 2000]])
def test_variable_rates(tmp_path: Path, times: list[int]) -> None:
    seconds = [Fraction(time, 1000) for time in times]
    clip = probe(write_clip(tmp_path / "a.mp4", times=seconds, frames=pictures(len(times)), b_frames=0))
    for suffix in (".mp4", ".mov", ".mkv"):
        mux(clip, silence(clip), RATE, tmp_path / f"out{suffix}")
        assert_same_picture(clip, probe(tmp_path / f"out{suffix}"))


def test_frames_of_the_copy_are_the_frames_of_the_clip(tmp_path: Path) -> None:
    clip = probe(write_clip(tmp_path / "a.mp4", 30, 25))
    mux(clip, silence(clip), RATE, tmp_path / "out.ts")
    request = [FrameRequest(0, Fraction(0), 16)]
    ((_, before),) = read(clip, request, Fraction(16), 32, FrameRule.LINEAR)
    ((_, after),) = read(probe(tmp_path / "out.ts"), request, Fraction(16), 32, FrameRule.LINEAR)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_rotation_is_kept(tmp_path: Path, suffix: str) -> None:
    clip = probe(turn(write_clip(tmp_path / "a.mp4", 10), 0, 1, -1, 0))
    mux(clip, silence(clip), RATE, tmp_path / f"out{suffix}")
    assert probe(tmp_path / f"out{suffix}").rotation == 90
    assert_same_picture(clip, probe(tmp_path / f"out{suffix}"))


@pytest.mark.parametrize(("codec", "pixel_format"), [("libx264", "yuv420p"), ("prores_ks", "yuv422p10le")])
def test_the_shape_of_pixels_is_kept(tmp_path: Path, codec: str, pixel_format: str) -> None:
    made = write_clip(
        tmp_path / "a.mov", 10, codec=codec, pixel_format=pixel_format, pixel_aspect=Fraction(4, 3), size=(60, 48)
    )
    clip = probe(made)
    assert (clip.width, clip.height) == (80, 48)
    mux(clip, silence(clip), RATE, tmp_path / "out.mov")
    assert_same_picture(clip, probe(tmp_path / "out.mov"))
    assert mux(clip, silence(clip), RATE, tmp_path / "out.mkv").warnings == ()
    assert_same_picture(clip, probe(tmp_path / "out.mkv"))


def test_colours_are_kept(tmp_path: Path) -> None:
    made = write_clip(tmp_path / "a.mov", 5, codec="prores_ks", pixel_format="yuv422p10le", colours=(9, 16, 9))
    clip = probe(made)
    for suffix in (".mov", ".mkv"):
        mux(clip, silence(clip), RATE, tmp_path / f"out{suffix}")
        with av.open(str(tmp_path / f"out{suffix}")) as container:
            video = container.streams.video[0]
            assert (video.color_primaries, video.color_trc, video.colorspace) == (9, 16, 9)


def test_hidden_pictures_stay_hidden_or_are_refused(tmp_path: Path) -> None:
    clip = probe(write_clip(tmp_path / "a.mp4", 50, 25, shift=-Fraction(18, 25)))
    for suffix in (".mp4", ".mov"):
        mux(clip, silence(clip), RATE, tmp_path / f"out{suffix}")
        result = probe(tmp_path / f"out{suffix}")
        assert_same_picture(clip, result)
        assert (result.duration, result.start) == (clip.duration, 0)
    with pytest.raises(ClipError, match=r"hides pictures.*\.mov or \.mp4"):
        mux(clip, silence(clip), RATE, tmp_path / "out.mkv")


@pytest.mark.parametrize("codec", ["libx264", "prores_ks"])
@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_timecode_is_kept(tmp_path: Path, suffix: str, codec: str) -> None:
    if (suffix, codec) == (".mp4", "prores_ks"):
        suffix = ".mov"
    pixel_format = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    tags = {"timecode": "01:02:03:04"}
    clip = probe(write_clip(tmp_path / "a.mov", 10, codec=codec, pixel_format=pixel_format, metadata=tags))
    report = mux(clip, silence(clip), RATE, tmp_path / f"out{suffix}")
    result = probe(tmp_path / f"out{suffix}")
    assert result.timecode == "01:02:03:04"
    assert report.warnings == ()
    with av.open(str(result.path)) as container:
        assert [stream.type for stream in container.streams].count("data") == 1, "one timecode track"
    assert_same_picture(clip, result)


def test_timecode_in_matroska_is_told(tmp_path: Path) -> None:
    clip = probe(write_clip(tmp_path / "a.mov", 10, metadata={"timecode": "01:02:03:04"}))
    report = mux(clip, silence(clip), RATE, tmp_path / "out.mkv")
    assert any("timecode" in warning for warning in report.warnings)
    assert probe(tmp_path / "out.mkv").timecode == "01:02:03:04"


def test_other_streams_and_tags_are_kept_and_the_new_track_is_the_default(tmp_path: Path) -> None:
    text = tmp_path / "text.srt"
    text.write_text("1\n00:00:00,100 --> 00:00:00,500\nthe door\n\n")
    clip = probe(
        write_clip(
            tmp_path / "a.mkv",
            25,
            sound=(48000, 16000),
            subtitles=text,
            second_size=(96, 64),
            metadata={"title": "Door", "location": "hall"},
        )
    )
    mux(clip, silence(clip), RATE, tmp_path / "out.mkv", metadata={"comment": "made by foleygen"})
    with av.open(str(clip.path)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        assert [stream.type for stream in after.streams] == ["video", "video", "audio", "audio", "audio", "subtitle"]
        tags = {key.lower(): value for key, value in after.metadata.items()}
        assert (tags["title"], tags["location"], tags.get("comment")) == ("Door", "hall", None)
        track, *own = after.streams.audio
        assert default_sound(after).index == track.index
        assert (track.metadata["title"], track.metadata["COMMENT"]) == ("Foley", "made by foleygen")
        assert not any(stream.disposition & Disposition.default for stream in own)
        kept = [stream.index for stream in before.streams], [s.index for s in after.streams if s.index != track.index]
    for old, new in zip(*kept, strict=True):
        assert [p[0] for p in packets_of(clip.path, old)] == [p[0] for p in packets_of(tmp_path / "out.mkv", new)]


def test_names_and_tags_in_quicktime(tmp_path: Path) -> None:
    clip = probe(write_clip(tmp_path / "a.mov", 10, sound=(48000,)))
    mux(clip, silence(clip), RATE, tmp_path / "out.mov", metadata={"foleygen_seed": "7"})
    with av.open(str(tmp_path / "out.mov")) as container:
        assert default_sound(container).metadata["handler_name"] == "Foley"
        assert container.metadata["foleygen_seed"] == "7"


def test_cover_and_chapters(tmp_path: Path) -> None:
    clip = probe(write_clip(tmp_path / "a.mp4", 25, sound=(48000,), cover=True))
    report = mux(clip, silence(clip), RATE, tmp_path / "out.mp4")
    assert report.warnings == ()
    with av.open(str(tmp_path / "out.mp4")) as container:
        covers = [stream for stream in container.streams.video if stream.disposition & Disposition.attached_pic]
        assert len(covers) == 1
    assert_same_picture(clip, probe(tmp_path / "out.mp4"))
    assert any("cover" in warning for warning in mux(clip, silence(clip), RATE, tmp_path / "out.mkv").warnings)


def test_chapters_are_kept(tmp_path: Path) -> None:
    clip_path = tmp_path / "a.mkv"
    chapter = {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "In"}}
    with av.open(str(write_clip(tmp_path / "plain.mkv", 25))) as source, av.open(str(clip_path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        target.set_chapters([chapter])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    clip = probe(clip_path)
    mux(clip, silence(clip), RATE, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        (found,) = container.chapters()
        assert found["metadata"]["title"] == "In"
        assert found["end"] * found["time_base"] == Fraction(1, 2)
    again = probe(tmp_path / "out.mp4")
    assert mux(again, silence(again), RATE, tmp_path / "again.mp4", audio="replace").warnings == ()


@pytest.mark.parametrize(
    ("source", "made", "target", "said"),
    [
        (".mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le"}, ".mp4", "(prores) does not fit in .mp4"),
        (".mkv", {"codec": "libx264"}, ".webm", "(h264) does not fit in .webm"),
        (".webm", {"codec": "libvpx-vp9"}, ".ts", "(vp9) does not fit in .ts"),
        (".webm", {"codec": "libvpx-vp9"}, ".mov", "(vp9) does not fit in .mov"),
        (".mp4", {"codec": "libx264"}, ".avi", ".avi cannot hold"),
        (".mp4", {"codec": "libx264"}, ".xyz", "not a kind of file"),
        (".mp4", {"codec": "libx264"}, "", "without suffix"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_way_out(
    tmp_path: Path, source: str, made: dict[str, str], target: str, said: str
) -> None:
    clip = probe(write_clip(tmp_path / f"a{source}", 10, **made))
    with pytest.raises(ClipError) as caught:
        mux(clip, silence(clip), RATE, tmp_path / f"out{target}")
    message = str(caught.value)
    assert said in message
    assert "write to ." in message
    assert os.listdir(tmp_path) == [f"a{source}"]


def test_uneven_rates_are_refused_by_avi(tmp_path: Path) -> None:
    times = [Fraction(k, 1000) for k in (0, 40, 130, 200)]
    made = write_clip(tmp_path / "a.mkv", times=times, frames=pictures(4), codec="mjpeg", pixel_format="yuvj420p")
    clip = probe(made)
    with pytest.raises(ClipError, match=r"uneven.*\.mkv"):
        mux(clip, silence(clip), RATE, tmp_path / "out.avi")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_mirrored_pictures_stay_mirrored(tmp_path: Path, suffix: str) -> None:
    clip = probe(turn(write_clip(tmp_path / "a.mp4", 10), 0, 1, 1, 0))
    mux(clip, silence(clip), RATE, tmp_path / f"out{suffix}")
    assert probe(tmp_path / f"out{suffix}").content_id == clip.content_id


def test_attachments_of_matroska_are_kept(tmp_path: Path) -> None:
    with av.open(str(write_clip(tmp_path / "plain.mkv", 5))) as source, av.open(str(tmp_path / "a.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        target.add_attachment("letters.ttf", "font/ttf", b"123456")
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    clip = probe(tmp_path / "a.mkv")
    assert mux(clip, silence(clip), RATE, tmp_path / "out.mkv").warnings == ()
    with av.open(str(tmp_path / "out.mkv")) as container:
        (attachment,) = (stream for stream in container.streams if stream.type == "attachment")
        assert attachment.data == b"123456"
        assert attachment.metadata["filename"] == "letters.ttf"
    assert any("attachment" in warning for warning in mux(clip, silence(clip), RATE, tmp_path / "out.mp4").warnings)


def test_a_turned_picture_is_refused_by_what_cannot_turn_it(tmp_path: Path) -> None:
    clip = probe(turn(write_clip(tmp_path / "a.mp4", 10), 0, 1, -1, 0))
    with pytest.raises(ClipError, match=r"turned.*\.mp4"):
        mux(clip, silence(clip), RATE, tmp_path / "out.ts")


def test_the_clip_itself_is_never_the_output(tmp_path: Path) -> None:
    clip = probe(write_clip(tmp_path / "a.mp4", 10))
    (tmp_path / "link.mp4").symlink_to(clip.path)
    content = clip.path.read_bytes()
    for output in (clip.path, tmp_path / "." / "a.mp4", tmp_path / "link.mp4"):
        with pytest.raises(ClipError, match="the clip itself"):
            mux(clip, silence(clip), RATE, output)
    assert clip.path.read_bytes() == content


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_in_the_sound_leaves_nothing_behind(tmp_path: Path, error: type[BaseException]) -> None:
    clip = probe(write_clip(tmp_path / "a.mp4", 100))
    (tmp_path / "out.mp4").write_bytes(b"older")

    def failing() -> Iterator[NDArray[np.float32]]:
        yield np.zeros(RATE, np.float32)
        raise error

    with pytest.raises(error):
        mux(clip, failing(), RATE, tmp_path / "out.mp4")
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"older"


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from foleygen.media.mux import mux
from foleygen.media.probe import probe
from foleygen.media import wav
folder = Path(sys.argv[1])
clip = probe(folder / "a.mov")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = [np.random.default_rng(0).uniform(-1, 1, 48000).astype(np.float32)] * 4
for write in (lambda: mux(clip, noise, 48000, folder / "out.mov"), lambda: wav.write(folder / "out.wav", noise, 48000)):
    try:
        write()
    except Exception as error:
        print(type(error).__name__, int(error.exit_code), error)
"""


def test_a_full_disk_is_temporary_and_leaves_nothing(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mov", 100, 25)
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    for line in lines:
        assert line.startswith(f"RetryableError {ExitCode.TRY_AGAIN:d} ")
        assert "no space left" in line
    assert os.listdir(tmp_path) == ["a.mov"]


def test_unusual_names(tmp_path: Path) -> None:
    clip = probe(write_clip(tmp_path / "a.mp4", 10))
    output = tmp_path / os.fsdecode(b"out\n\xe9%d.mp4")
    mux(clip, silence(clip), RATE, output)
    assert probe(output).frame_count == 10


def test_sound_is_written_as_it_comes_and_lies_beside_its_picture(tmp_path: Path) -> None:
    clip = probe(write_clip(tmp_path / "a.mov", 500, 25))
    sizes: list[int] = []

    class Sound:
        def __iter__(self) -> Iterator[NDArray[np.float32]]:
            for _ in range(20):
                sizes.extend(part.stat().st_size for part in tmp_path.glob(".*.mov"))
                yield np.zeros(48000, np.float32)

    mux(clip, Sound(), 48000, tmp_path / "out.mov")
    assert len(sizes) == 20, "it is measured before the file is begun"
    second = 48000 * 3
    assert all(size >= (k - 3) * second for k, size in enumerate(sizes)), "seconds of sound held in memory"
    with av.open(str(tmp_path / "out.mov")) as container:
        placed = sorted((p.pos, float(p.pts * p.time_base), p.stream.type) for p in container.demux() if p.size)
    reached = {"video": 0.0, "audio": 0.0}
    for _, time, kind in placed:
        reached[kind] = time
        assert abs(reached["video"] - reached["audio"]) < 2.5


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_elementary_streams_are_given_times(tmp_path: Path, suffix: str) -> None:
    made = write_clip(tmp_path / "a.ts", 25)
    with av.open(str(made)) as source:
        (tmp_path / "a.h264").write_bytes(b"".join(bytes(packet) for packet in source.demux(video=0)))
    clip, timed = probe(tmp_path / "a.h264"), probe(made)
    assert (clip.frame_count, clip.duration, clip.start) == (25, 1, 0)
    mux(clip, silence(clip), RATE, tmp_path / f"out{suffix}")
    result = probe(tmp_path / f"out{suffix}")
    assert (result.frame_count, result.duration, result.start) == (25, 1, 0)
    shown = [
        np.concatenate([pictures for _, pictures in read(info, [FrameRequest(0, Fraction(0), 25)], RATE_25, 32, RULE)])
        for info in (timed, clip, result)
    ]
    np.testing.assert_array_equal(shown[0], shown[1])
    np.testing.assert_array_equal(shown[0], shown[2])


def test_a_clip_that_shrinks_while_it_is_copied_is_an_error(tmp_path: Path) -> None:
    clip = probe(write_clip(tmp_path / "a.mkv", 100))
    clip.path.write_bytes(clip.path.read_bytes()[: clip.path.stat().st_size // 2])
    with pytest.raises(ClipError, match="could be read"):
        mux(clip, silence(clip), RATE, tmp_path / "out.mkv")
    assert os.listdir(tmp_path) == ["a.mkv"]


@settings(max_examples=30, deadline=None)
@given(
    rate=st.sampled_from([8000, 16000, 22050, 32000, 44100, 48000]),
    samples=st.integers(1, 30000),
    cuts=st.lists(st.integers(0, 30000), max_size=6),
)
def test_resampling_does_not_depend_on_the_chunks(rate: int, samples: int, cuts: list[int]) -> None:
    sound = np.random.default_rng(samples).uniform(-1, 1, samples).astype(np.float32)
    total = round(Fraction(samples * 48000, rate))
    whole = np.concatenate(list(resampled([sound], rate, 48000, total)))
    pieces = np.concatenate(list(resampled(np.split(sound, sorted(cuts)), rate, 48000, total)))
    assert len(whole) == len(pieces) == total
    np.testing.assert_array_equal(whole, pieces)


@pytest.mark.parametrize("rate", [8000, 16000, 32000, 44100, 48000])
def test_resampling_keeps_time_and_tone(rate: int) -> None:
    seconds = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 440 * seconds).astype(np.float32)
    expected = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    found = np.concatenate(list(resampled(np.array_split(tone, 5), rate, 48000, 48000)))
    assert np.abs(found - expected)[1000:-1000].max() < 1e-4
    for place in (0, 1, rate // 2, rate // 4 * 3):
        click = np.concatenate(list(resampled(impulses(rate, place), rate, 48000, 48000)))
        assert int(np.abs(click).argmax()) == pytest.approx(place * 48000 / rate, abs=1)


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
def test_what_was_encoded_to_be_measured_is_what_is_written(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = probe(write_clip(tmp_path / f"a{suffix}", 50, 25, shift=Fraction(1, 2), **MAKERS[suffix]))
    noise = np.random.default_rng(0).uniform(-1, 1, round(clip.duration * RATE)).astype(np.float32)
    given: list[int] = []
    encoding = Soundtrack.encoded

    def encoded(track: Soundtrack, samples: NDArray[np.float32]) -> list[Packet[Stream]]:
        given.append(samples.shape[-1])
        return encoding(track, samples)

    monkeypatch.setattr(Soundtrack, "encoded", encoded)
    files, counts = [], []
    for number, kept in enumerate((2**23, 0)):
        monkeypatch.setattr("foleygen.media.encoded._KEPT_BYTES", kept)
        given.clear()
        report = mux(clip, [noise], RATE, tmp_path / f"{number}{suffix}", audio="replace")
        assert report.samples_48k == round(clip.duration * 48000)
        files.append((tmp_path / f"{number}{suffix}").read_bytes())
        counts.append(sum(given))
    assert files[0] == files[1]
    assert counts[1] - counts[0] == round(clip.duration * 48000), "an encoding fewer"
