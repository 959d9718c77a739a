"""Fetching, against a server on the loopback: whole files, checked, resumable, and only with consent."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_convert import audioldm_standin, cavp_keys, hollow, mdsgen_standin

from foleygen.errors import BundleError, SetupError, UsageError
from foleygen.weights import catalogue, fetch, store
from foleygen.weights.bundle import Bundle
from foleygen.weights.catalogue import CatalogueFile, CatalogueModel
from foleygen.weights.published.presets import PRESETS, ingredients, preset

REVISION = "0123456789abcdef0123456789abcdef01234567"
CONFIG = b'{"in_channels": 1}'
WEIGHTS = np.random.default_rng(0).bytes(3_000_000)
RELEASE = np.random.default_rng(1).bytes(2_500_000)


@dataclass
class Site:
    """What the server offers, what it was asked for, and how often it hangs up half-way."""

    files: dict[str, bytes]
    hang_ups: int = 0
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""

    def asked(self, verb: str, path: str) -> list[str]:
        return [wanted for seen, place, wanted in self.requests if (seen, place) == (verb, path)]


def handler_for(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            wanted = self.headers.get("Range", "")
            site.requests.append((self.command, self.path, wanted))
            content = site.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            part = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
            start = int(part[1]) if part else 0
            end = int(part[2]) + 1 if part and part[2] else len(content)
            self.send_response(206 if part else 200)
            if part:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            self.send_header("Content-Length", str(end - start))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.end_headers()
            if not body:
                return
            if site.hang_ups and end - start > 1_000_000:
                site.hang_ups -= 1
                self.wfile.write(content[start : start + (end - start) // 2])
                self.wfile.flush()
                self.connection.close()
                self.close_connection = True
                return
            self.wfile.write(content[start:end])

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    base = f"/someone/audio/resolve/{REVISION}"
    content = Site(
        {
            f"{base}/vae/config.json": CONFIG,
            f"{base}/vae/weights.safetensors": WEIGHTS,
            "/release.pt": RELEASE,
        }
    )
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(content))
    content.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield content
    server.shutdown()
    server.server_close()
    thread.join()


def model_at(site: Site) -> CatalogueModel:
    hub = {"repo": "someone/audio", "revision": REVISION, "folder": "Audio", "licence": "MIT", "commercial": True}
    return CatalogueModel(
        name="toy",
        summary="A toy.",
        licence="mixed",
        commercial=False,
        files=(
            CatalogueFile(name="config", file="vae/config.json", **hub),
            CatalogueFile(
                name="vae", file="vae/weights.safetensors", sha256=hashlib.sha256(WEIGHTS).hexdigest(), **hub
            ),
            CatalogueFile(
                name="release",
                folder="Release",
                file="release.pt",
                url=f"{site.address}/release.pt",
                licence="none stated",
                commercial=False,
                note="Ask the authors.",
            ),
        ),
    )


def get(site: Site, root: Path, model: CatalogueModel | None = None, **options: object) -> dict[str, Path]:
    chosen = model or model_at(site)
    return fetch.fetch(chosen, root, endpoint=site.address, **{"accept_licence": True, **options})  # type: ignore[arg-type]


def test_everything_arrives_whole_and_is_recorded(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    paths = get(site, tmp_path, on_file=lambda item, state: seen.append((item.name, state)))
    assert paths["config"].read_bytes() == CONFIG
    assert paths["vae"].read_bytes() == WEIGHTS
    assert paths["release"].read_bytes() == RELEASE
    assert seen == [(name, state) for name in ("config", "vae", "release") for state in ("started", "fetched")]
    record = json.loads((tmp_path / fetch.RECORD).read_text())
    assert record["Release/release.pt"] == {"bytes": len(RELEASE), "sha256": hashlib.sha256(RELEASE).hexdigest()}
    assert record.keys() == {"Audio/vae/config.json", "Audio/vae/weights.safetensors", "Release/release.pt"}


def test_what_is_there_is_kept_without_the_network(site: Site, tmp_path: Path) -> None:
    get(site, tmp_path)
    site.files.clear()
    site.requests.clear()
    seen: list[str] = []
    get(site, tmp_path, on_file=lambda item, state: seen.append(state))
    assert seen == ["kept"] * 3
    assert site.requests == []


def test_nothing_is_asked_of_the_network_without_consent(site: Site, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--accept-licence"):
        get(site, tmp_path, accept_licence=False)
    with pytest.raises(UsageError, match="--accept-licence"):
        fetch.install("base", accept_licence=False)
    assert site.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_place_needs_a_link_before_anything_is_fetched(site: Site, tmp_path: Path) -> None:
    model = model_at(site)
    placeless = replace(model, files=(*model.files[:2], replace(model.files[2], url=None)))
    with pytest.raises(UsageError, match=r"release\.pt.*Ask the authors.*--link release=URL"):
        get(site, tmp_path, placeless)
    assert site.requests == []
    with pytest.raises(UsageError, match="no file named 'relaese'"):
        get(site, tmp_path, placeless, links={"relaese": "x"})
    paths = get(site, tmp_path, placeless, links={"release": f"{site.address}/release.pt"})
    assert paths["release"].read_bytes() == RELEASE


def test_an_interrupted_download_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    model = model_at(site)
    only_release = replace(model, files=model.files[2:])
    site.hang_ups = 1
    with pytest.raises(SetupError, match="goes on where it stopped"):
        get(site, tmp_path, only_release)
    assert not (tmp_path / "Release" / "release.pt").exists()
    paths = get(site, tmp_path, only_release)
    assert paths["release"].read_bytes() == RELEASE
    first, *later = site.asked("GET", "/release.pt")
    assert first == ""
    assert [wanted for wanted in later if wanted.startswith("bytes=") and wanted != "bytes=0-"]
    assert sorted(path.name for path in (tmp_path / "Release").iterdir()) == ["release.pt"]


def test_an_interrupted_hub_download_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    model = model_at(site)
    only_vae = replace(model, files=(replace(model.files[1], sha256=None),))
    place = next(path for path in site.files if path.endswith("weights.safetensors"))
    site.files[place] = large = WEIGHTS * 8  # the client writes, and so resumes, in pieces of 10 MB
    site.hang_ups = 1
    paths = get(site, tmp_path, only_vae)
    assert paths["vae"].read_bytes() == large
    assert [wanted for wanted in site.asked("GET", place) if re.fullmatch(r"bytes=[1-9]\d+-", wanted)]


def test_base_is_fetched_and_becomes_an_installed_bundle(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLEYGEN_DATA_DIR", str(tmp_path / "data"))
    base = catalogue.model("base")
    audioldm_standin(tmp_path / "AudioLDM")
    standin = tmp_path / "AudioLDM" / "vocoder" / "pytorch_model.bin"
    save_file(torch.load(standin, weights_only=True), standin.with_name("model.safetensors"))
    cavp = hollow(cavp_keys()) | {key: torch.tensor(0) for key in cavp_keys() if key.endswith("num_batches_tracked")}
    torch.save({"state_dict": cavp}, tmp_path / "cavp.ckpt")
    mdsgen_standin(tmp_path / "mdsgen.pt", "release_T", (102, 8), filled=False)
    sources = {"cavp": tmp_path / "cavp.ckpt", "mdsgen": tmp_path / "mdsgen.pt"}
    for item in base.files:
        source = sources.get(item.name, tmp_path / item.folder / item.file)
        place = f"/{item.repo}/resolve/{item.revision}/{item.file}" if item.repo else "/release.pt"
        site.files[place] = source.read_bytes()
    unpinned = replace(base, files=tuple(replace(item, sha256=None) for item in base.files))
    links = {"mdsgen": f"{site.address}/release.pt"}
    folder = fetch.install(unpinned, accept_licence=True, links=links, endpoint=site.address)
    assert store.resolve("base") == folder
    made = store.load("base", Bundle)
    assert made == store.load(folder)
    assert made.parts.keys() == {"encoder", "transformer", "autoencoder", "vocoder"}
    recorded = {source.sha256 for source in made.sources}
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in sources.values()} <= recorded


def test_other_content_than_published_is_refused(site: Site, tmp_path: Path) -> None:
    place = next(path for path in site.files if path.endswith("weights.safetensors"))
    site.files[place] = WEIGHTS[:-1] + b"\0"
    with pytest.raises(SetupError, match=r"weights\.safetensors.*SHA-256.*published"):
        get(site, tmp_path)


def test_other_content_than_first_fetched_is_refused(site: Site, tmp_path: Path) -> None:
    paths = get(site, tmp_path)
    paths["release"].unlink()
    site.files["/release.pt"] = RELEASE[::-1]
    with pytest.raises(SetupError, match=r"release\.pt.*recorded when it was first fetched"):
        get(site, tmp_path)


def test_missing_files_and_unreachable_servers_are_explained(site: Site, tmp_path: Path) -> None:
    del site.files["/release.pt"]
    with pytest.raises(SetupError, match=r"release\.pt: cannot be fetched from http://127\.0\.0\.1"):
        get(site, tmp_path)
    model = model_at(site)
    with pytest.raises(SetupError, match="check the network"):
        get(site, tmp_path, replace(model, files=model.files[2:]), links={"release": "http://127.0.0.1:9/release.pt"})


def test_the_catalogue_is_sound() -> None:
    for model in catalogue.load():
        assert len({item.name for item in model.files}) == len(model.files)
        assert not (model.commercial and not all(item.commercial for item in model.files))
        for item in model.files:
            assert item.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", item.sha256)
            assert (item.repo is None) == (item.revision is None)
            assert item.repo or item.drive_id or item.url or item.note
    base = {item.name: item for item in catalogue.model("base").files}
    assert {"cavp", "mdsgen", "vae", "vocoder"} <= base.keys()
    assert base["cavp"].bytes == 1_361_483_035
    assert catalogue.place_of(base["cavp"].sha256 or "").startswith("huggingface.co/SimianLuo/Diff-Foley")
    assert catalogue.place_of("00" * 32) == ""


def test_every_published_model_is_a_row_and_its_ingredients_are_among_its_files(tmp_path: Path) -> None:
    assert {row.name for row in PRESETS} == {model.name for model in catalogue.load()}
    for row in PRESETS:
        for item in row.ingredients:
            assert tmp_path in item.among(fetched_of(row.name, tmp_path)).parents
        assert bool(row.ingredients) == (row.make is not None)
        assert preset(row.name) is row
    names = [item.name for item in ingredients()]
    assert len(set(names)) == len(names), "two options of models import have one name"
    with pytest.raises(UsageError, match="did you mean 'clap'"):
        preset("claps")
    where = {item.name: item.among(fetched_of("base", tmp_path)) for item in preset("base").ingredients}
    assert where["audioldm"] == tmp_path / "AudioLDM"
    assert where["cavp"] == tmp_path / "Diff-Foley/diff_foley_ckpt/cavp_epoch66.ckpt"
    vae = next(item for item in ingredients() if item.name == "vae")
    assert vae.among(fetched_of("paper", tmp_path)) == tmp_path / "stable-diffusion-v1-4/vae"


def fetched_of(name: str, root: Path) -> dict[str, Path]:
    return {item.name: root / item.folder / item.file for item in catalogue.model(name).files}


def test_the_notice_says_what_the_licences_allow() -> None:
    notice = fetch.licence_notice("base")
    assert "NON-COMMERCIAL" in notice.splitlines()[0]
    for item in catalogue.model("base").files:
        assert item.file in notice
        assert item.licence in notice
        assert item.place in notice
    with pytest.raises(UsageError, match="did you mean 'base'"):
        fetch.licence_notice("bass")


def test_a_catalogue_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    text = catalogue.CATALOGUE.read_text().replace("revision:", "revison:", 1)
    (tmp_path / "catalogue.yaml").write_text(text)
    with pytest.raises(BundleError, match="'revison'; did you mean 'revision'"):
        catalogue.load(tmp_path / "catalogue.yaml")
