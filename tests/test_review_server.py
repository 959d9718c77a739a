"""``foleygen review --serve``: who is answered, what is saved, and that nobody overwrites anybody unseen."""

from __future__ import annotations

import errno
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from finished import finish
from reviewing import TOKEN, Served, folder_of, served

from foleygen.cli.app import run
from foleygen.errors import ExitCode
from foleygen.record import sidecar
from foleygen.settings import Settings

ROOT = Path(__file__).parent.parent
HEAD = b"seconds,timecode,strength,confidence,sound\r\n"
WAIT_S = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, random_bundle: Path) -> Path:
    made = tmp_path_factory.mktemp("served") / "clips"
    folder_of(made, random_bundle)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    with served(folder) as running:
        yield running


def raw(server: Served, path: str, method: str = "GET", **headers: str) -> int:
    """The status of a request that is sent as it is written, Host and all."""
    place = urlsplit(server.address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in named)
    for name, value in named.items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


# Who is answered


def test_the_page_is_served_with_its_policy(server: Served) -> None:
    status, content, headers = server.ask("")
    assert status == 200
    assert b'"served": true' in content
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.com"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_others_are_refused(headers: dict[str, str], method: str, server: Served) -> None:
    assert raw(server, f"/{TOKEN}/render", method, **headers) == 403


@pytest.mark.parametrize(
    "path", ["/", "/files/", f"/{TOKEN[:-1]}/", f"/{TOKEN}x/", f"/x/{TOKEN}/", "//", "/%00/", "/%ff/"]
)
def test_without_the_token_nothing_is_answered(path: str, server: Served) -> None:
    assert raw(server, path) in (400, 403)


@pytest.mark.parametrize(
    "path",
    [
        "files/../../etc/hostname",
        "files/%2e%2e%2fother",
        "files/..%5c..",
        "files/0000000000000000/video",
        "../",
        "clip/../x",
    ],
)
def test_a_path_leads_nowhere_else(path: str, server: Served) -> None:
    assert raw(server, f"/{TOKEN}/{path}") in (400, 403, 404, 405, 422)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, random_bundle: Path) -> None:
    folder = tmp_path / "clips"
    made = finish(
        folder, random_bundle, name="shot.mp4", source_folder=tmp_path / "outside", own_sound=[48000], takes=2
    )
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"secret")
    wav = folder / "shot.foley.t02.wav"
    wav.unlink()
    wav.symlink_to(secret)
    with served(folder) as server:
        clip = server.clip(made.output.name)
        for what in ("take-2", "own"):
            status, answer = server.json(f"files/{clip['id']}/{what}")
            assert status == 403
            assert "outside of the folder" in answer["message"]
        assert server.ask(f"files/{clip['id']}/video")[0] == 200


def test_a_video_is_sent_in_ranges(server: Served, folder: Path) -> None:
    clip = server.clip("door.foley.mp4")
    content = (folder / "door.foley.mp4").read_bytes()
    status, body, headers = server.ask(f"files/{clip['id']}/video?v=1", Range="bytes=10-19")
    assert (status, body, headers["content-range"]) == (206, content[10:20], f"bytes 10-19/{len(content)}")
    assert headers["content-type"] == "video/mp4"
    status, body, _ = server.ask(f"files/{clip['id']}/take-2")
    assert (status, body) == (200, (folder / "door.foley.t02.wav").read_bytes())
    for what in ("take-9", "take-0", "take-x", "wav", "take-%D9%A1"):
        assert server.ask(f"files/{clip['id']}/{what}")[0] in (403, 422)


def test_pictures_are_drawn_when_they_are_asked_for(server: Served) -> None:
    clip = server.clip("door.foley.mp4")
    seen = server.json(f"pictures/{clip['id']}/seen")[1]
    heard = server.json(f"pictures/{clip['id']}/heard")[1]
    assert seen["poster"]
    assert [sound["number"] for sound in heard["sounds"]] == [1, 2, 3]
    assert server.ask(f"pictures/{clip['id']}/felt")[0] == 422


# What is saved


def test_cues_are_saved_only_over_what_was_read(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=1)
    path = tmp_path / "shot.cues.csv"
    with served(tmp_path) as server:
        clip = server.clip(made.output.name)
        place = f"cues/{clip['id']}"
        assert server.json(place, "PUT", HEAD)[0] == 422
        status, one = server.json(place, "PUT", HEAD + b"1.0,,0.5,,glass\r\n", If_Match='"none"')
        assert status == 200
        assert one["sheet"]["rows"] == [
            {"seconds": 1.0, "strength": 0.5, "confidence": None, "sound": "glass", "name": ""}
        ]
        assert one["state"] == "stale"
        saved = path.read_bytes()
        assert saved == HEAD + b'1.000000,"01:00:01:00",0.500,,"glass"\r\n'
        status, answer = server.json(place, "PUT", HEAD + b"0.5,,,,\r\n", If_Match='"none"')
        assert (status, path.read_bytes()) == (412, saved)
        assert "changed by somebody else" in answer["message"]
        status, answer = server.json(place, "PUT", HEAD + b"0.5,,,,trumpet\r\n", If_Match=f'"{one["sheet"]["tag"]}"')
        assert (status, path.read_bytes()) == (422, saved)
        status, two = server.json(place, "PUT", HEAD + b"0.5,,,,\r\n", If_Match=f'"{one["sheet"]["tag"]}"')
        assert (status, two["sheet"]["rows"][0]["seconds"]) == (200, 0.5)
        assert raw(server, f"/{TOKEN}/{place}", "PUT", If_Match='"none"', Content_Length=str(5 * 2**20)) == 403


def test_a_take_is_picked(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=2)
    with served(tmp_path) as server:
        clip = server.clip(made.output.name)
        assert server.json(f"pick/{clip['id']}/2", "POST", If_Match='"other"')[0] == 412
        status, found = server.json(f"pick/{clip['id']}/2", "POST", If_Match=f'"{clip["hash"]}"')
        assert (status, found["picked"]) == (200, 2)
        assert sidecar.load(made.output).picked == 2
        assert server.json(f"pick/{clip['id']}/7", "POST", If_Match=f'"{found["hash"]}"')[0] == 422
        assert server.json(f"pick/{clip['id']}/1", "POST", If_Match=f'"{clip["hash"]}"')[0] == 412


def test_what_was_seen_is_kept(tmp_path: Path, random_bundle: Path) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=1)
    with served(tmp_path) as server:
        clip = server.clip(made.output.name)
        assert not clip["seen"]
        assert server.ask(f"seen/{clip['id']}", "PUT")[0] == 200
        assert server.ask("seen/0000", "PUT")[0] == 422
    with served(tmp_path) as server:
        assert server.clip(made.output.name)["seen"]


def test_a_folder_that_cannot_be_written_says_so(
    tmp_path: Path, random_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = finish(tmp_path, random_bundle, name="shot.mp4", takes=1)

    def refuse(*paths: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with served(tmp_path) as server:
        clip = server.clip(made.output.name)
        monkeypatch.setattr(os, "replace", refuse)
        assert server.ask("")[0] == 200
        status, answer = server.json(f"cues/{clip['id']}", "PUT", HEAD, If_Match='"none"')
        assert status == 422
        assert "cannot be written" in answer["message"]
        assert server.json(f"seen/{clip['id']}", "PUT")[0] == 422


# Rendering


def finished_with(folder: Path, bundle: Path) -> Path:
    """A clip that ``add-sound`` has made, with two takes."""
    from clips import write_clip

    write_clip(folder / "shot.mp4", 50, 25)
    options = ["--model", str(bundle), "--takes", "2", "--seed", "7", "--no-cache", "-q", "--device", "cpu"]
    assert run(["add-sound", str(folder / "shot.mp4"), *options]) == ExitCode.OK
    return folder / "shot.foley.mp4"


def waited(server: Served) -> dict[str, Any]:
    """What becomes of the rendering."""
    until = time.monotonic() + WAIT_S
    while True:
        found: dict[str, Any] = server.json("render")[1]
        if found["state"] != "running" or time.monotonic() > until:
            return found
        time.sleep(0.1)


@pytest.mark.slow
def test_a_clip_is_made_again_with_its_cues(tmp_path: Path, told_bundle: Path) -> None:
    output = finished_with(tmp_path, told_bundle)
    before = sidecar.load(output)
    with served(tmp_path, told_bundle) as server:
        clip = server.clip(output.name)
        assert server.json("render")[1]["state"] == "idle"
        cues = HEAD + b"0.5,,,,glass\r\n1.2,,0.9,,\r\n"
        saved = server.json(f"cues/{clip['id']}", "PUT", cues, If_Match='"none"')[1]
        assert server.ask(f"render/{clip['id']}", "POST", If_Match='"old"')[0] == 412
        assert server.ask(f"render/{clip['id']}", "POST", If_Match=f'"{saved["hash"]}"')[0] == 202
        status, answer = server.json(f"render/{clip['id']}", "POST", If_Match=f'"{saved["hash"]}"')
        assert (status, answer["message"]) == (409, "another clip is being made")
        assert waited(server)["state"] == "done"
        again = server.clip(output.name)
    after = sidecar.load(output)
    assert (again["state"], again["reason"]) == ("done", "")
    assert again["hash"] != clip["hash"]
    assert after.own.cues is not None
    assert [(cue.seconds, cue.sound) for cue in after.own.cues.cues] == [(0.5, "glass"), (1.2, None)]
    assert (after.settings, len(after.takes)) == (before.settings, 2)
    assert (
        run(["add-sound", str(tmp_path / "shot.mp4"), "--model", str(told_bundle), "--takes", "2", "--seed", "7", "-q"])
        == 0
    )
    assert sidecar.load(output).seconds == after.seconds  # nothing was left to do


@pytest.mark.slow
def test_a_rendering_that_fails_says_why(tmp_path: Path, random_bundle: Path) -> None:
    output = finish(tmp_path, random_bundle, name="shot.mp4", takes=1).output
    with served(tmp_path, random_bundle) as server:
        clip = server.clip(output.name)
        saved = server.json(f"cues/{clip['id']}", "PUT", HEAD + b"0.5,,,,\r\n", If_Match='"none"')[1]
        assert server.ask(f"render/{clip['id']}", "POST", If_Match=f'"{saved["hash"]}"')[0] == 202
        found = waited(server)
    assert found["state"] == "failed"
    assert "cannot be told" in found["message"]


def test_what_decided_the_sound_is_kept(tmp_path: Path, random_bundle: Path) -> None:
    from foleygen.review.rendering import settings_for

    chosen = Settings(seed=3, takes=2, loudness="ebu", audio="mix", duck=6.0, overlap=0.5)
    output = finish(tmp_path, random_bundle, name="a {b}.mp4", settings=chosen, takes=2, own_sound=[48000]).output
    record = sidecar.load(output)
    found = settings_for(Settings(model="tiny"), output, record, None)
    assert (found.seed, found.takes, found.audio, found.duck, found.overlap) == (3, 2, "mix", 6.0, 0.5)
    assert (found.loudness, found.true_peak, found.cues, found.model) == ("-23.0", -1.0, None, "tiny")
    from foleygen.batch.plan import output_name

    assert output_name(found.name, Path("a {b}.mp4"), found) == output.name


# The command


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_in_its_exit_code(signum: signal.Signals, tmp_path: Path, told_bundle: Path) -> None:
    output = finished_with(tmp_path, told_bundle)
    command = [sys.executable, "-m", "foleygen", "review", str(tmp_path), "--serve", "--model", str(told_bundle)]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert process.stdout is not None
    server = Served(process.stdout.readline().strip(), None)
    assert urlsplit(server.address).hostname == "127.0.0.1"
    page = server.ask("")[1].decode()
    clip = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["clips"][0]
    if signum == signal.SIGINT:
        # A rendering is under way when it ends.
        (tmp_path / "shot.cues.csv").write_bytes(HEAD + b"0.5,,,,\r\n")
        assert server.ask(f"render/{clip['id']}", "POST", If_Match=f'"{clip["hash"]}"')[0] == 202
    process.send_signal(signum)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 128 + signum
    assert f"stopped by {signum.name}" in err
    assert sidecar.read(output) is not None
    assert not list(tmp_path.glob(".part-*"))


def test_a_port_that_is_taken_is_one_sentence(server: Served, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = run(["review", str(folder), "--serve", "--port", str(urlsplit(server.address).port)])
    err = capfd.readouterr().err
    assert code == ExitCode.ENVIRONMENT
    assert "choose another --port" in err
    assert len(err.splitlines()) == 1


def test_without_its_libraries_it_says_what_to_install(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run(["review", str(folder), "--serve"]) == ExitCode.ENVIRONMENT
    assert "pip install 'foleygen[review]'" in capfd.readouterr().err
