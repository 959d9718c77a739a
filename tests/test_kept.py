"""What stands around the packets of a clip: four letters, pixels' shape, timecode, tags, tracks of cameras, lengths."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition
from av.video.frame import VideoFrame
from clips import packets_of, pictures, write_clip
from numpy.typing import NDArray

from foleygen.errors import ClipError
from foleygen.media import graft, matroska, moov, riff
from foleygen.media.containers import is_bdav
from foleygen.media.mux import MuxReport, mux
from foleygen.media.probe import probe
from foleygen.media.suffix import suffix_for

NTSC = Fraction(30000, 1001)


def silent(clip: Path, output: Path, **options: object) -> MuxReport:
    """The clip with a silent track."""
    info = probe(clip)
    return mux(info, [np.zeros(round(info.duration * 16000), np.float32)], 16000, output, **options)  # type: ignore[arg-type]


def make(
    path: Path,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    *,
    letters: str | None = None,
    sound: tuple[str, int, str] | None = None,
    tags: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    size: tuple[int, int] = (64, 48),
    count: int = 10,
    rate: Fraction = Fraction(25),
    muxer: str | None = None,
) -> Path:
    """A clip of any codecs; ``sound``: codec, rate in Hz and layout; ``letters``: those of the picture's codec."""
    with av.open(str(path), "w", format=muxer, container_options=container_options or {}) as target:
        target.metadata.update(tags or {})
        video = target.add_stream(codec, rate=rate, width=size[0], height=size[1], options=options or {})
        video.pix_fmt = pixel_format
        video.codec_context.time_base = 1 / rate
        if letters:
            video.codec_context.codec_tag = letters
        audio = target.add_stream(sound[0], rate=sound[1], layout=sound[2], bit_rate=128_000) if sound else None
        for number, picture in enumerate(pictures(count, *size)):
            frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = number, 1 / rate
            target.mux(video.encode(frame))
        target.mux(video.encode(None))
        if audio is not None and sound is not None:
            samples = round(count / rate * sound[1])
            channels = len(audio.codec_context.layout.channels)
            tone = np.tile(0.1 * np.sin(np.arange(samples) / 20).astype(np.float32), (channels, 1))
            frame = AudioFrame.from_ndarray(tone, "fltp", sound[2])
            frame.sample_rate, frame.pts, frame.time_base = sound[1], 0, Fraction(1, sound[1])
            target.mux([*audio.encode(frame), *audio.encode(None)])
    return path


def refusal(clip: Path, output: Path) -> str | None:
    """What is said when the clip cannot become ``output``; None if it can."""
    try:
        silent(clip, output)
    except ClipError as error:
        return str(error)
    return None


def shown(path: Path) -> tuple[str, str | None, list[NDArray[np.uint8]]]:
    """Four letters of the picture's codec, its pixel format, and all pictures as RGB."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return stream.codec_context.codec_tag, stream.codec_context.pix_fmt, frames


def assert_shown_alike(before: Path, after: Path) -> None:
    (letters, pixels, old), (new_letters, new_pixels, new) = shown(before), shown(after)
    assert (new_letters, new_pixels, len(new)) == (letters, pixels, len(old))
    assert old
    np.testing.assert_array_equal(old, new)


def hap_alpha(path: Path) -> Path:
    """HAP Alpha of one plain section each: DXT5 blocks of one colour (no encoder of libavcodec's is needed)."""
    with av.open(str(path), "w") as target:
        stream = target.add_mux_stream("hap", rate=25, width=16, height=16)
        stream.time_base = Fraction(1, 25)
        for number in range(5):
            block = bytes([200 - 10 * number, 0, *bytes(6), 0xE0, 0x07, *bytes(2), *bytes(4)])
            texture = block * 16
            packet = av.Packet(len(texture).to_bytes(3, "little") + b"\xae" + texture)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
            packet.is_keyframe = True
            target.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"Hap1", b"Hap5"))
    return path


LETTERS = [
    ("a.mov", {"codec": "libx265", "letters": "hvc1", "options": {"x265-params": "log-level=none"}}),
    ("a.mov", {"codec": "libx265", "letters": "hev1", "options": {"x265-params": "log-level=none"}}),
    ("a.mp4", {"codec": "libx265", "letters": "hvc1", "options": {"x265-params": "log-level=none"}}),
    *(
        ("a.mov", {"codec": "prores_ks", "pixel_format": pixels, "options": {"profile": profile}})
        for profile, pixels in (
            ("proxy", "yuv422p10le"),
            ("lt", "yuv422p10le"),
            ("standard", "yuv422p10le"),
            ("hq", "yuv422p10le"),
            ("4444", "yuva444p10le"),
            ("4444xq", "yuv444p10le"),
        )
    ),
    ("a.mov", {"codec": "rawvideo", "pixel_format": "uyvy422"}),
    ("a.avi", {"codec": "utvideo", "pixel_format": "yuv420p"}),
    ("a.avi", {"codec": "utvideo", "pixel_format": "gbrp"}),
    ("a.avi", {"codec": "rawvideo", "pixel_format": "yuyv422"}),
    ("a.avi", {"codec": "rawvideo", "pixel_format": "yuv420p"}),
    ("a.avi", {"codec": "rawvideo", "pixel_format": "bgr24"}),
    ("a.avi", {"codec": "huffyuv", "pixel_format": "yuv422p"}),
    ("a.avi", {"codec": "mpeg4", "letters": "XVID"}),
    ("a.avi", {"codec": "mpeg4", "letters": "DX50"}),
    ("a.mkv", {"codec": "ffv1", "pixel_format": "yuv420p"}),
    ("a.mkv", {"codec": "rawvideo", "pixel_format": "yuyv422"}),
]


@pytest.mark.parametrize(("name", "made"), LETTERS, ids=lambda value: value if isinstance(value, str) else None)
def test_the_four_letters_of_a_codec_are_kept(tmp_path: Path, name: str, made: dict[str, object]) -> None:
    clip = make(tmp_path / name, **made)  # type: ignore[arg-type]
    silent(clip, tmp_path / f"out{clip.suffix}")
    assert_shown_alike(clip, tmp_path / f"out{clip.suffix}")


def test_hap_keeps_its_alpha(tmp_path: Path) -> None:
    clip = hap_alpha(tmp_path / "a.mov")
    assert shown(clip)[:2] == ("Hap5", "rgba")
    silent(clip, tmp_path / "out.mov")
    assert_shown_alike(clip, tmp_path / "out.mov")


@pytest.mark.parametrize("suffix", [".avi", ".mov"])
def test_palettes_are_kept(tmp_path: Path, suffix: str) -> None:
    clip = tmp_path / f"a{suffix}"
    palette = np.stack([np.full(256, 255), *np.random.default_rng(0).integers(0, 255, (3, 256))], axis=1)
    with av.open(str(clip), "w") as target:
        video = target.add_stream("rawvideo", rate=25, width=64, height=48)
        video.pix_fmt = "pal8"
        for number in range(5):
            indices = (np.arange(64 * 48) + number).reshape(48, 64) % 256
            frame = VideoFrame.from_ndarray((indices.astype(np.uint8), palette.astype(np.uint8)), format="pal8")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            target.mux(video.encode(frame))
        target.mux(video.encode(None))
    assert shown(clip)[1] == "pal8"
    silent(clip, tmp_path / f"out{suffix}")
    assert_shown_alike(clip, tmp_path / f"out{suffix}")


@pytest.mark.parametrize("profile", ["proxy", "4444"])
def test_prores_comes_back_from_matroska_as_what_it_was(tmp_path: Path, profile: str) -> None:
    pixels = "yuva444p10le" if profile == "4444" else "yuv422p10le"
    clip = make(tmp_path / "a.mov", "prores_ks", pixels, options={"profile": profile})
    silent(clip, tmp_path / "between.mkv")
    assert shown(tmp_path / "between.mkv")[:2] == shown(clip)[:2]
    silent(tmp_path / "between.mkv", tmp_path / "out.mov")
    assert_shown_alike(clip, tmp_path / "out.mov")


@pytest.mark.parametrize("source", [".mkv", ".ts"])
@pytest.mark.parametrize("target", [".mp4", ".mov"])
def test_hevc_becomes_what_quicktime_plays(tmp_path: Path, source: str, target: str) -> None:
    clip = make(tmp_path / f"a{source}", "libx265", options={"x265-params": "log-level=none"})
    silent(clip, tmp_path / f"out{target}")
    assert shown(tmp_path / f"out{target}")[0] == "hvc1"
    np.testing.assert_array_equal(shown(clip)[2], shown(tmp_path / f"out{target}")[2])


def test_a_picture_that_does_not_come_back_is_a_failure_that_leaves_nothing(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.y4m", "wrapped_avframe", muxer="yuv4mpegpipe")
    with pytest.raises(ClipError, match=r"does not come back from \.mov; write to \.mkv"):
        silent(clip, tmp_path / "out.mov")
    assert [path.name for path in tmp_path.iterdir()] == ["a.y4m"]
    silent(clip, tmp_path / "out.mkv")
    np.testing.assert_array_equal(shown(clip)[2], shown(tmp_path / "out.mkv")[2])


@pytest.mark.parametrize(
    ("name", "made", "suffix"),
    [
        ("a.wmv", {"codec": "wmv2", "sound": ("wmav2", 44100, "mono"), "muxer": "asf"}, ".mkv"),
        ("a.flv", {"codec": "flv", "sound": ("libmp3lame", 44100, "mono")}, ".mkv"),
        ("a.gif", {"codec": "gif", "pixel_format": "rgb8"}, ".mov"),
        ("a.mxf", {"codec": "mpeg2video", "sound": ("pcm_s16le", 48000, "mono")}, ".mov"),
        ("a.3gp", {"codec": "h263", "size": (176, 144), "sound": ("aac", 8000, "mono")}, ".mp4"),
        ("a.mpg", {"codec": "mpeg2video", "sound": ("mp2", 48000, "mono"), "muxer": "mpeg"}, ".mkv"),
        ("a.webm", {"codec": "libx264", "muxer": "matroska"}, ".mkv"),
        ("a.mp4", {"codec": "prores_ks", "pixel_format": "yuv422p10le", "muxer": "mov"}, ".mov"),
        ("a.m4v", {"codec": "libx264"}, ".m4v"),
        ("a.avi", {"codec": "mpeg4"}, ".avi"),
        ("a.qt", {"codec": "libx264", "muxer": "mov"}, ".qt"),
        ("a.m2t", {"codec": "mpeg2video", "muxer": "mpegts"}, ".m2t"),
    ],
)
def test_auto_is_a_container_that_holds_the_clip(
    tmp_path: Path, name: str, made: dict[str, object], suffix: str
) -> None:
    clip = make(tmp_path / name, **made)  # type: ignore[arg-type]
    found = suffix_for(clip)
    assert found in ((suffix, ".mov") if name == "a.3gp" else (suffix,))
    report = silent(clip, tmp_path / f"out{found}")
    assert report.warnings == ()
    before, after = probe(clip), probe(tmp_path / f"out{found}")
    assert after.content_id == before.content_id
    assert after.audio_streams == before.audio_streams + 1


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_cannot_be_opened_has_a_name_too(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wmv").write_bytes(content)
    (tmp_path / "a.mp4").write_bytes(content)
    assert (suffix_for(tmp_path / "a.wmv"), suffix_for(tmp_path / "a.mp4")) == (".mkv", ".mp4")
    assert suffix_for(tmp_path / "missing.webm") == ".webm"


def test_the_own_container_is_no_option_but_a_way_out(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.m2ts", "mpeg2video", sound=("pcm_bluray", 48000, "stereo"), muxer="mpegts")
    with pytest.raises(
        ClipError, match=r"\(pcm_bluray\) does not fit in \.mp4; leave --container at auto, which keeps"
    ):
        silent(clip, tmp_path / "out.mp4")


def test_what_no_container_holds_is_to_be_exported_again(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.apng", "apng", "rgb24")
    for suffix in (suffix_for(clip), ".mov", ".mp4"):
        with pytest.raises(ClipError, match=r"\(apng\) does not fit in .*; export it again as H.264 or ProRes"):
            silent(clip, tmp_path / f"out{suffix}")


@pytest.mark.parametrize("wanted", [".mp4", ".webm", ".mov", ".mkv"])
def test_advice_is_true(tmp_path: Path, wanted: str) -> None:
    """Who follows it is not refused again."""
    for name, made in (
        ("a.mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le"}),
        ("b.wmv", {"codec": "wmv2", "sound": ("wmav2", 44100, "mono"), "muxer": "asf"}),
        ("c.mkv", {"codec": "ffv1"}),
    ):
        clip = make(tmp_path / f"{wanted}{name}", **made)  # type: ignore[arg-type]
        found = refusal(clip, tmp_path / f"out{wanted}")
        if found is not None:
            _, told, advice = found.partition("write to ")
            assert told, found
            assert refusal(clip, tmp_path / f"again{advice.split(' ')[0]}") is None


@pytest.mark.parametrize(("name", "codec", "muxer"), [("a.vob", "pcm_dvd", "vob"), ("a.m2ts", "pcm_bluray", "mpegts")])
@pytest.mark.parametrize("target", [".mkv", ".mov"])
def test_plain_sound_of_discs_is_the_same_to_the_sample(
    tmp_path: Path, name: str, codec: str, muxer: str, target: str
) -> None:
    clip = make(tmp_path / name, "mpeg2video", sound=(codec, 48000, "stereo"), muxer=muxer, count=25)
    assert suffix_for(clip) == (".mkv" if name == "a.vob" else ".m2ts")
    assert silent(clip, tmp_path / f"out{target}").warnings == ()
    sounds = []
    for path, number in ((clip, 0), (tmp_path / f"out{target}", 1)):
        with av.open(str(path)) as container:
            stream = container.streams.audio[number]
            frames = list(container.decode(stream))
            sounds.append(np.concatenate([frame.to_ndarray() for frame in frames], axis=1))
    np.testing.assert_array_equal(*sounds)
    assert np.abs(sounds[0]).max() > 0


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_own_comment_is_not_touched(tmp_path: Path, suffix: str) -> None:
    workflow = '{"prompt": "slate 12A", "nodes": []}'
    clip = make(tmp_path / f"a{suffix}", tags={"comment": workflow})
    silent(clip, tmp_path / f"out{suffix}", metadata={"comment": "sound by foleygen"})
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
        track = {key.lower(): value for key, value in container.streams.audio[0].metadata.items()}
    assert tags["comment"] == workflow
    assert suffix != ".mkv" or track["comment"] == "sound by foleygen"


def test_a_clip_without_comment_says_where_its_sound_is_from(tmp_path: Path) -> None:
    silent(make(tmp_path / "a.mp4"), tmp_path / "out.mp4", metadata={"comment": "sound by foleygen"})
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["comment"] == "sound by foleygen"


def test_a_place_in_a_language_leaves_the_titles_where_programs_look(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.mp4", tags={"title": "Shot 12", "artist": "Unit B", "location": "+10.0000+020.0000/"})
    with av.open(str(clip)) as container:
        assert any(key.startswith("location-") for key in container.metadata)
    silent(clip, tmp_path / "out.mp4")
    assert b"\xa9nam" in (tmp_path / "out.mp4").read_bytes()
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["title"] == "Shot 12"
        assert container.metadata["location"] == "+10.0000+020.0000/"


def shaped(path: Path, told: Fraction, coded: Fraction | None) -> Path:
    """H.264 whose file says one shape of pixels and whose packets say another."""
    write_clip(path.with_name("square.mov"), 5, pixel_aspect=coded)
    with av.open(str(path.with_name("square.mov"))) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.codec_context.sample_aspect_ratio = told
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return path


@pytest.mark.parametrize("told", [Fraction(1), Fraction(16, 11), Fraction(4, 3), Fraction(10, 11)])
@pytest.mark.parametrize("coded", [None, Fraction(16, 11)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_shape_of_pixels_is_that_of_the_file(
    tmp_path: Path, suffix: str, told: Fraction, coded: Fraction | None
) -> None:
    clip = shaped(tmp_path / "a.mov", told, coded)
    assert silent(clip, tmp_path / f"out{suffix}").warnings == ()
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        found = container.streams.video[0].sample_aspect_ratio
    assert found == told
    before, after = probe(clip), probe(tmp_path / f"out{suffix}")
    assert (after.width, after.height, after.content_id) == (before.width, before.height, before.content_id)
    if suffix == ".mkv":
        silent(tmp_path / "out.mkv", tmp_path / "again.mkv")
        assert probe(tmp_path / "again.mkv").width == before.width


def test_a_matroska_header_of_its_own_length_has_no_room_to_spare(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", 3)
    content = clip.read_bytes()
    assert matroska.set_pixel_shapes(clip, {1: Fraction(16, 11)})
    assert len(clip.read_bytes()) == len(content)
    once = clip.read_bytes()
    assert matroska.set_pixel_shapes(clip, {1: Fraction(16, 11)})
    assert clip.read_bytes() == once, "the same again"
    (tmp_path / "b.mkv").write_bytes(b"\x1a\x45\xdf\xa3")
    assert not matroska.set_pixel_shapes(tmp_path / "b.mkv", {1: Fraction(2)})


def test_a_transport_stream_cannot_tell_a_shape(tmp_path: Path) -> None:
    clip = shaped(tmp_path / "a.mov", Fraction(4, 3), None)
    (warning,) = silent(clip, tmp_path / "out.ts").warnings
    assert warning == ".ts cannot say that its pixels are 4/3 times as wide as high"


def uneven(path: Path, label: str, rate: Fraction) -> Path:
    """Pictures at 29.97 of which some are missing, with a timecode track at ``rate``."""
    times = [k / NTSC for k in range(30) if k % 7 != 3]
    write_clip(path, times=times, frames=pictures(len(times)), b_frames=0, rate=rate, metadata={"timecode": label})
    return path


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
@pytest.mark.parametrize("label", ["01:00:00;17", "01:00:00:17"])
def test_the_timecode_of_uneven_pictures_is_kept(tmp_path: Path, suffix: str, label: str) -> None:
    info = probe(uneven(tmp_path / "a.mov", label, NTSC))
    assert (info.timecode, info.timecode_rate) == (label, NTSC)
    assert silent(info.path, tmp_path / f"out{suffix}").warnings == ()
    found = probe(tmp_path / f"out{suffix}")
    assert (found.timecode, found.timecode_rate) == (label, NTSC)


@pytest.mark.parametrize(("pictures_s", "labels"), [(Fraction(60000, 1001), NTSC), (Fraction(30), Fraction(30))])
def test_labels_have_a_rate_of_their_own(tmp_path: Path, pictures_s: Fraction, labels: Fraction) -> None:
    clip = tmp_path / "a.mov"
    write_clip(tmp_path / "b.mov", 30, pictures_s)
    with av.open(str(tmp_path / "b.mov")) as source, av.open(str(clip), "w") as target:
        target.metadata["timecode"] = "01:00:00;29"
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.codec_context.framerate = labels
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert silent(clip, tmp_path / "out.mov").warnings == ()
    for path in (clip, tmp_path / "out.mov"):
        info = probe(path)
        assert (info.timecode, info.timecode_rate) == ("01:00:00;29", labels)
        assert float(info.average_rate) == pytest.approx(float(pictures_s), rel=1e-3)


def test_a_timecode_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.mkv", tags={"timecode": "01:00:00;10"})
    assert silent(clip, tmp_path / "out.mov").warnings == ("its timecode 01:00:00;10 could not be kept in .mov",)


def test_the_reel_is_kept(tmp_path: Path) -> None:
    clip = tmp_path / "a.mov"
    with av.open(str(write_clip(tmp_path / "b.mov", 5))) as source, av.open(str(clip), "w") as target:
        target.metadata["timecode"] = "01:02:03:04"
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.codec_context.framerate = Fraction(25)
        stream.metadata["reel_name"] = "A001C003_261128"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert probe(clip).reel == "A001C003_261128"
    silent(clip, tmp_path / "out.mov")
    assert probe(tmp_path / "out.mov").reel == "A001C003_261128"


def test_own_tracks_of_quicktime_stay_enabled(tmp_path: Path) -> None:
    for suffix, enabled in ((".mov", True), (".mkv", False)):
        clip = make(tmp_path / f"a{suffix}", sound=("pcm_s16le", 48000, "stereo"))
        silent(clip, tmp_path / f"out{suffix}")
        with av.open(str(tmp_path / f"out{suffix}")) as container:
            new, own = container.streams.audio
            assert new.disposition & Disposition.default
            assert bool(own.disposition & Disposition.default) == enabled


def recorded(path: Path, code: bytes, count: int = 1) -> Path:
    """A clip with ``count`` tracks of what a camera records, under the four letters ``code``."""
    with av.open(str(write_clip(path.with_name("plain.mp4"), 10))) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        tracks = [target.add_data_stream("bin_data") for _ in range(count)]
        for track in tracks:
            track.time_base = Fraction(1, 1000)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
        for number in range(2 * count):
            packet = av.Packet(b"DEVC" + bytes([number] * 20))
            packet.stream, packet.time_base = tracks[number % count], Fraction(1, 1000)
            packet.pts = packet.dts = number // count * 200
            packet.duration = 200
            target.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"gpmd", code))
    return path


@pytest.mark.parametrize("code", [b"gpmd", b"rtmd", b"camm"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_what_cameras_record_is_copied(tmp_path: Path, code: bytes, suffix: str) -> None:
    clip = recorded(tmp_path / "a.mp4", code)
    assert silent(clip, tmp_path / f"out{suffix}").warnings == ()
    (before,), (after,) = (
        [header for header in moov.tracks(path) if header.handler == "meta"]
        for path in (clip, tmp_path / f"out{suffix}")
    )
    assert (after.code, after.description) == (before.code, before.description) == (code.decode(), before.description)
    data = [_data(path) for path in (clip, tmp_path / f"out{suffix}")]
    assert data[0] == data[1]
    assert len(data[0]) == 2


def _data(path: Path) -> list[tuple[bytes, Fraction | None, bool]]:
    number = next(header.id for header in moov.tracks(path) if header.handler == "meta")
    with av.open(str(path)) as container:
        index = next(stream.index for stream in container.streams if stream.id == number)
    return packets_of(path, index)


def test_what_cannot_be_copied_is_told_in_one_line(tmp_path: Path) -> None:
    clip = recorded(tmp_path / "a.mp4", b"mebx", count=4)
    (warning,) = silent(clip, tmp_path / "out.mp4").warnings
    assert warning == "left out, since .mp4 cannot be given them: 4 data (mebx)"
    (warning,) = silent(recorded(tmp_path / "b.mp4", b"gpmd"), tmp_path / "out.mkv").warnings
    assert warning == "left out, since .mkv cannot be given them: data (gpmd)"


def test_sound_that_nobody_can_decode_is_left_out_by_name(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.mov", sound=("pcm_s16le", 48000, "stereo"))
    clip.write_bytes(clip.read_bytes().replace(b"sowt", b"apac"))
    (warning,) = silent(clip, tmp_path / "out.mov").warnings
    assert warning == "left out, since .mov cannot be given them: sound (apac)"


@pytest.mark.parametrize("audio", ["keep", "replace"])
def test_sound_without_decoder_in_avi_has_no_name(tmp_path: Path, audio: str) -> None:
    clip = make(tmp_path / "a.avi", "mjpeg", "yuvj420p", sound=("pcm_s16le", 48000, "mono"))
    content = bytearray(clip.read_bytes())
    place = content.index(b"strf", content.index(b"auds")) + 8
    content[place : place + 2] = b"\x99\x99"
    clip.write_bytes(content)
    told = silent(clip, tmp_path / "out.avi", audio=audio).warnings
    assert told == (("left out, since .avi cannot be given them: sound (unknown codec)",) if audio == "keep" else ())


def test_boxes_that_no_muxer_writes_are_taken_over(tmp_path: Path) -> None:
    """Here one that nobody knows; so are Dolby Vision in QuickTime and pictures all around."""
    clip = write_clip(tmp_path / "a.mov", 5, index_first=False)
    unknown = struct.pack(">I4s8s", 16, b"vexx", b"see this")
    found = graft.cut(clip, 1, whole=False)
    assert found is not None
    box = bytearray(found.description + unknown)
    struct.pack_into(">I", box, 0, len(box))
    struct.pack_into(">I", box, 16, len(box) - 16)
    assert graft.set_in(clip, {1: graft.Graft(bytes(box))})
    assert unknown in clip.read_bytes()
    silent(clip, tmp_path / "out.mov")
    assert unknown in (tmp_path / "out.mov").read_bytes()
    assert_shown_alike(clip, tmp_path / "out.mov")
    silent(clip, tmp_path / "out.mp4")
    assert unknown not in (tmp_path / "out.mp4").read_bytes(), "another kind of file has its own boxes"


def test_boxes_beside_the_description_are_taken_over(tmp_path: Path) -> None:
    """Pictures all around were told in RDF, in a box of its own right in the track."""
    name = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
    told = b"<rdf:SphericalVideo><GSpherical:Spherical>true</GSpherical:Spherical></rdf:SphericalVideo>"
    beside = struct.pack(">I4s", 8 + len(name) + len(told), b"uuid") + name + told
    clip = write_clip(tmp_path / "a.mp4", 5)
    found = graft.cut(clip, 1, whole=False)
    assert found is not None
    assert graft.set_in(clip, {1: graft.Graft(found.description, beside=beside)})
    silent(clip, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes().count(beside) == 1
    assert_shown_alike(clip, tmp_path / "out.mp4")


def test_grafts_need_a_movie_at_the_end(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "a.mov", 5, index_first=True)
    found = graft.cut(first, 1, whole=True)
    assert found is not None
    assert not graft.set_in(first, {1: found})
    assert graft.cut(first, 9, whole=False) is None


def test_boxes_and_lists_in_each_other_without_end_are_not_followed(tmp_path: Path) -> None:
    boxes = b""
    for _ in range(3000):
        boxes = struct.pack(">I4s", len(boxes) + 8, b"mdia") + boxes
    track = struct.pack(">I4s", len(boxes) + 8, b"trak") + boxes
    (tmp_path / "a.mp4").write_bytes(struct.pack(">I4s", len(track) + 8, b"moov") + track)
    assert moov.tracks(tmp_path / "a.mp4") == []
    assert graft.cut(tmp_path / "a.mp4", 0, whole=False) is None
    lists = b""
    for _ in range(3000):
        lists = struct.pack("<4sI4s", b"LIST", len(lists) + 4, b"hdrl") + lists
    (tmp_path / "a.avi").write_bytes(struct.pack("<4sI4s", b"RIFF", len(lists) + 4, b"AVI ") + lists)
    assert riff.clocks(tmp_path / "a.avi") == []


AVI_SOUNDS = [
    ("libmp3lame", 48000),
    ("libmp3lame", 44100),
    ("ac3", 48000),
    ("adpcm_ima_wav", 48000),
    ("pcm_s16le", 44100),
]


@pytest.mark.parametrize(("codec", "rate"), AVI_SOUNDS)
def test_sounds_in_avi_have_the_length_that_they_had(tmp_path: Path, codec: str, rate: int) -> None:
    clip = make(tmp_path / "a.avi", "mjpeg", "yuvj420p", sound=(codec, rate, "mono"), count=50)
    assert silent(clip, tmp_path / "out.avi").warnings == ()
    old, new = riff.clocks(clip)[1], riff.clocks(tmp_path / "out.avi")[2]
    assert new == old
    assert new.length * new.scale / new.rate == pytest.approx(2, abs=0.08)
    before, after = packets_of(clip, 1), packets_of(tmp_path / "out.avi", 2)
    assert b"".join(packet for packet, *_ in before) == b"".join(packet for packet, *_ in after)


def test_pictures_that_a_camera_dropped_are_no_damage(tmp_path: Path) -> None:
    kept = [k for k in range(50) if k % 5 != 1]
    clip = tmp_path / "a.avi"
    write_clip(
        clip, times=[Fraction(k, 25) for k in kept], frames=pictures(len(kept)), codec="mjpeg", pixel_format="yuvj420p"
    )
    info = probe(clip)
    assert (info.frame_count, info.duration, info.warnings) == (40, 2, ())
    silent(clip, tmp_path / "out.avi")
    after = probe(tmp_path / "out.avi")
    assert (after.content_id, after.warnings, after.duration) == (info.content_id, (), 2)


def test_reordered_pictures_of_avi_stay_in_avi(tmp_path: Path) -> None:
    clip = tmp_path / "a.avi"
    made = write_clip(tmp_path / "a.mp4", 20)
    with av.open(str(made)) as source, av.open(str(clip), "w") as target:
        stream = target.add_mux_stream("h264", rate=25)
        BitStreamFilterContext("h264_mp4toannexb", source.streams.video[0], stream)
        stream.time_base = Fraction(1, 25)
        filtered = BitStreamFilterContext("h264_mp4toannexb", source.streams.video[0])
        read = [packet for packet in source.demux(video=0) if packet.size]
        for number, packet in enumerate(after for before in read for after in filtered.filter(before)):
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            target.mux(packet)
    silent(clip, tmp_path / "out.avi")
    assert [p[0] for p in packets_of(clip, 0)] == [p[0] for p in packets_of(tmp_path / "out.avi", 0)]
    assert_shown_alike(clip, tmp_path / "out.avi")


@pytest.mark.parametrize("suffix", [".mts", ".m2ts"])
def test_avchd_stays_avchd(tmp_path: Path, suffix: str) -> None:
    clip = make(
        tmp_path / f"a{suffix}",
        sound=("ac3", 48000, "stereo"),
        muxer="mpegts",
        container_options={"mpegts_m2ts_mode": "1"},
        rate=NTSC,
    )
    assert is_bdav(clip)
    report = silent(clip, tmp_path / f"out{suffix}")
    assert (report.audio_codec, report.warnings) == ("ac3", ())
    assert is_bdav(tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["ac3", "ac3"]


def test_plain_packets_stay_plain_whatever_the_suffix(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.mts", sound=("aac", 48000, "stereo"), muxer="mpegts")
    clip.rename(tmp_path / "b.m2ts")
    silent(tmp_path / "b.m2ts", tmp_path / "out.m2ts")
    assert not is_bdav(tmp_path / "out.m2ts")


def test_discs_keep_plain_sound_and_subtitles_of_pictures(tmp_path: Path) -> None:
    clip = tmp_path / "a.m2ts"
    options = {"mpegts_m2ts_mode": "1"}
    plain = make(tmp_path / "b.m2ts", sound=("pcm_bluray", 48000, "stereo"), muxer="mpegts", container_options=options)
    with av.open(str(plain)) as source, av.open(str(clip), "w", format="mpegts", container_options=options) as target:
        copies = []
        for stream in source.streams:
            copies.append(target.add_mux_stream("h264", rate=25))
            BitStreamFilterContext("null", stream, copies[-1])
        texts = target.add_mux_stream("pgssub")
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                target.mux(packet)
        segment = b"\x80\x00\x00"
        packet = av.Packet(segment)
        packet.stream, packet.pts, packet.dts, packet.time_base = texts, 130000, 130000, Fraction(1, 90000)
        target.mux(packet)
    report = silent(clip, tmp_path / "out.m2ts")
    assert report.warnings == ()
    with av.open(str(tmp_path / "out.m2ts")) as container:
        names = [stream.codec_context.name for stream in container.streams]
    assert names == ["h264", "ac3", "pcm_bluray", "pgssub"]


def frozen(path: Path, until: Fraction) -> Path:
    """Ten pictures and a last one of two seconds, shown for ``until`` seconds in all by its edit list."""
    with (
        av.open(str(write_clip(path.with_name("b.mp4"), 11, 25, b_frames=0))) as source,
        av.open(str(path), "w") as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        read = [packet for packet in source.demux(video=0) if packet.size]
        for packet in read:
            packet.stream = stream
            if packet is read[-1]:
                packet.duration = round(2 / packet.time_base)
            target.mux(packet)
    data = bytearray(path.read_bytes())
    scale = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    struct.pack_into(">I", data, data.index(b"elst") + 12, round(until * scale))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_an_edit_that_ends_within_a_long_picture_ends_there(tmp_path: Path, suffix: str) -> None:
    info = probe(frozen(tmp_path / "a.mp4", Fraction(1)))
    assert (info.frame_count, info.duration) == (11, 1)
    report = silent(info.path, tmp_path / f"out{suffix}")
    assert report.samples_48k == 48000
    after = probe(tmp_path / f"out{suffix}")
    assert (after.frame_count, after.content_id) == (11, info.content_id)
    assert float(after.duration) == pytest.approx(1, abs=0.002)


def test_the_last_packet_does_not_make_the_clip_longer(tmp_path: Path) -> None:
    """What is decoded last may be shown before the end, and bring the time of the freeze behind it."""
    whole = write_clip(tmp_path / "b.mp4", 20, 25)
    clip = tmp_path / "a.mp4"
    with av.open(str(whole)) as source, av.open(str(clip), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        read = [packet for packet in source.demux(video=0) if packet.size]
        read = read[: 1 + max(k for k in range(1, len(read)) if read[k].pts < max(p.pts for p in read[:k]))]
        for packet in read:
            packet.stream = stream
            packet.duration = 12800 if packet is read[-1] else packet.duration
            target.mux(packet)
    info = probe(clip)
    silent(clip, tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").duration == info.duration
    with av.open(str(tmp_path / "out.mp4")) as container:
        video = container.streams.video[0]
        assert float(video.duration * video.time_base) == pytest.approx(float(info.duration), abs=0.09)


def joined(path: Path, second: float) -> Path:
    """Two transport streams of a second with sound, one behind the other; the later one begins at ``second`` s."""
    parts = []
    for number, start in enumerate((0.0, second)):
        part = path.with_name(f"part{number}.ts")
        with av.open(str(part), "w", container_options={"output_ts_offset": f"{start:f}"}) as target:
            video = target.add_stream("libx264", rate=25, width=64, height=48, options={"bf": "0", "g": "5"})
            video.pix_fmt = "yuv420p"
            audio = target.add_stream("aac", rate=48000, layout="mono")
            for k, picture in enumerate(pictures(25)):
                frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = k, Fraction(1, 25)
                target.mux(video.encode(frame))
            target.mux(video.encode(None))
            frame = AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
            target.mux([*audio.encode(frame), *audio.encode(None)])
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize(("second", "said"), [(0.5, "go from"), (3600.0, "go from")])
@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mp4"])
def test_joined_transport_streams_follow_each_other(tmp_path: Path, second: float, said: str, suffix: str) -> None:
    """Neither does the second half disappear, nor is the hole of an hour between them filled."""
    clip = joined(tmp_path / "a.ts", second)
    info = probe(clip)
    assert info.frame_count == 50
    assert float(info.duration) == pytest.approx(2, abs=0.05)
    assert any(said in warning and "joined" in warning for warning in info.warnings)
    report = silent(clip, tmp_path / f"out{suffix}")
    assert report.samples_48k == round(info.duration * 48000)
    after = probe(tmp_path / f"out{suffix}")
    assert (after.frame_count, after.warnings) == (50, ())
    assert float(after.duration) == pytest.approx(float(info.duration), abs=0.002)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        times = [frame.time for frame in container.decode(container.streams.audio[1])]
    assert 1.8 < times[-1] - times[0] < 2.1


def test_a_hole_of_an_hour_is_not_filled(tmp_path: Path) -> None:
    times = [Fraction(0), Fraction(1, 25), Fraction(3600)]
    clip = write_clip(tmp_path / "a.mkv", times=times, frames=pictures(3), b_frames=0)
    with pytest.raises(ClipError, match=r"its times jump by 3600 s .*; cut it there"):
        probe(clip)
