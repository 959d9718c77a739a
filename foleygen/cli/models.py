"""``foleygen models``: the bundles of weights on this machine, and those that can be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foleygen.cli.terminal.reading import byte_size
from foleygen.errors import ExitCode, FoleygenError, UsageError
from foleygen.weights.published import presets

if TYPE_CHECKING:
    from foleygen.weights.ambience import AmbienceBundle
    from foleygen.weights.bundle import Bundle
    from foleygen.weights.catalogue import CatalogueFile
    from foleygen.weights.spec import StudentSpec


@click.group()
def models() -> None:
    """List, show, fetch, import and verify bundles of weights.

    A bundle is a folder with bundle.yaml, one safetensors file per part, its licence and a model card. --model of
    the other commands takes a bundle's name or folder.

    \b
    Examples:
      foleygen models list
      foleygen models fetch base --accept-licence --link mdsgen=URL
      foleygen models import base --cavp cavp_epoch66.ckpt --mdsgen mdsgen_audioldm.pt --audioldm audioldm/
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_models(as_json: bool) -> None:
    """List the installed bundles, and what can be fetched.

    \b
    Example:
      foleygen models list
    """
    from foleygen.cli.terminal.streams import write_json, write_table
    from foleygen.weights import store

    rows = [_listed(path) for path in store.installed()]
    have = {row["name"] for row in rows}
    for known in presets.PRESETS:
        row = {"name": known.name, "commercial": known.published.commercial}
        if known.make is None and store.folder_of(known).is_dir():
            rows.append({**row, "state": "installed", "path": str(store.folder_of(known))})
        elif known.name not in have:
            rows.append({**row, "state": "to fetch", "path": known.published.summary})
    if as_json:
        write_json(rows)
        return
    uses = {True: "commercial use", False: "non-commercial", None: "unknown"}
    table = [("NAME", "STATE", "USE", "PLACE")]
    write_table(table + [(row["name"], row["state"], uses[row["commercial"]], row["path"]) for row in rows])


def _listed(path: Path) -> dict[str, Any]:
    from foleygen.weights import store

    try:
        found = store.load(path, verify=False)
    except FoleygenError:
        return {"name": path.name, "state": "damaged", "commercial": None, "path": str(path)}
    return {"name": found.name, "state": "installed", "commercial": found.commercial, "path": str(path)}


@models.command()
@click.argument("model", metavar="NAME|DIR")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(model: str, as_json: bool) -> None:
    """Print a bundle's parts, settings, licence and checksums.

    \b
    Example:
      foleygen models show tiny
    """
    from foleygen.cli.terminal.streams import write_json, write_table
    from foleygen.strict import plain
    from foleygen.weights import store

    found = store.load(model, verify=False)
    if as_json:
        write_json({**plain(found), "path": str(found.path)})
        return
    write_table(_facts(found))


def _facts(found: Bundle | AmbienceBundle) -> list[tuple[str, str]]:
    from foleygen.weights.ambience import AmbienceBundle

    facts = [
        ("name", found.name),
        ("folder", str(found.path)),
        ("hash", found.hash),
        ("licence", f"{found.licence} ({'commercial use allowed' if found.commercial else 'non-commercial use only'})"),
    ]
    facts += _ambience_facts(found) if isinstance(found, AmbienceBundle) else _picture_facts(found)
    facts += [(name, f"{byte_size(part.bytes)}  SHA-256 {part.sha256}") for name, part in found.parts.items()]
    sources = () if isinstance(found, AmbienceBundle) else found.sources
    return facts + [("made from", f"{source.file}  SHA-256 {source.sha256}") for source in sources]


def _ambience_facts(found: AmbienceBundle) -> list[tuple[str, str]]:
    return [
        ("sound", f"{found.sample_rate} Hz"),
        ("makes", "ambience"),
        ("knows", ", ".join(found.tags) if found.conditioning == "tags" else "any words, through CLAP"),
        ("steps", str(found.decoding.steps)),
        ("guidance", f"{found.decoding.guidance_scale:g}"),
    ]


def _picture_facts(found: Bundle) -> list[tuple[str, str]]:
    window = found.window_samples / found.sample_rate
    return [
        ("sound", f"{found.sample_rate} Hz, windows of {window:.3f} s"),
        ("pictures", f"{float(found.encoder.frame_rate):g} per second, {found.encoder.frame_size} pixels square"),
        ("steps", str(found.sampling.num_inference_steps)),
        ("student", "none" if found.student is None else _student(found.student)),
        ("guidance", f"{found.sampling.guidance_scale:g}"),
        ("classifier", "none" if found.classifier is None else f"guides with {found.classifier.scale:g}"),
    ]


def _student(found: StudentSpec) -> str:
    least, most = found.guidance
    counts = ", ".join(str(len(times)) for times in found.times)
    when = "unless --steps says otherwise" if found.usual else "where --steps says so"
    return f"{counts} evaluations {when}, guidance {least:g} to {most:g}"


def _making_options(command: Callable[..., None]) -> Callable[..., None]:
    """How a bundle is made: the fields of presets.Making."""
    for name, text in (
        ("--as-published", "diff-foley: also with the demo's error, by which all sounds 5.5 semitones too low."),
        ("--half", "Keep the weights in half precision, which takes half the room."),
    ):
        command = click.option(name, is_flag=True, help=text)(command)
    return command


@models.command()
@click.argument("model", metavar="NAME")
@click.option("--accept-licence", is_flag=True, help="You have read the notice, and the use you make is allowed by it.")
@click.option("--link", "links", metavar="FILE=URL", multiple=True, help="Where a file is that has no public place.")
@_making_options
def fetch(model: str, accept_licence: bool, links: tuple[str, ...], **how: bool) -> None:
    """Fetch published weights and make them a bundle; the only command that uses the network.

    The names, places and licences of the files are shown first. Needs pip install 'foleygen[base]'.

    \b
    Examples:
      foleygen models fetch diff-foley --accept-licence --half
      foleygen models fetch base --accept-licence --link mdsgen=https://drive.google.com/uc?id=...
    """
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.weights import fetch as fetching

    given = dict(_link(text) for text in links)
    write_note(fetching.licence_notice(model))

    def told(item: CatalogueFile, state: str) -> None:
        write_note(f"{item.folder}/{item.file}: {state}")

    chosen = presets.Making(**how)
    write_result(str(fetching.install(model, accept_licence=accept_licence, links=given, on_file=told, how=chosen)))


def _link(text: str) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if not (name and equals and url):
        raise UsageError(f"--link: {text!r} is not FILE=URL", "write for example mdsgen=https://...")
    return name, url


_PATH = click.Path(path_type=Path)


def _ingredient_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each thing that published models are made from; required where all of them are."""
    makes = [row.name for row in presets.PRESETS if row.make is not None]
    for item, users in reversed(presets.ingredients().items()):
        everyone = len(users) == len(makes)
        text = item.help if everyone else f"{', '.join(users)}: {item.help}"
        option = click.option(f"--{item.name}", type=_PATH, metavar=item.metavar, required=everyone, help=text)
        command = option(command)
    return command


@models.command("import")
@click.argument("preset", type=click.Choice([row.name for row in presets.PRESETS if row.make is not None]))
@_ingredient_options
@_making_options
@click.option("-o", "--output", type=_PATH, metavar="DIR", help="The bundle's folder; else the user's data folder.")
def import_weights(preset: str, output: Path | None, half: bool, as_published: bool, **given: Path | None) -> None:
    """Make a bundle from published weight files that are on this machine already.

    Every key and shape is checked; pickles are read without running code in them, once.

    \b
    Examples:
      foleygen models import diff-foley --cavp cavp_epoch66.ckpt --ldm ldm_epoch240.ckpt --half
      foleygen models import base --cavp cavp_epoch66.ckpt --mdsgen mdsgen_audioldm.pt --audioldm audioldm-s-full-v2/
      foleygen models import paper --cavp cavp_epoch66.ckpt --mdsgen my_paper_grid.pt --vae sd-v1/vae/
    """
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.weights import store

    chosen = presets.preset(preset)
    write_note(chosen.published.notice())
    files = {item.name: path for item in chosen.ingredients if (path := given.pop(item.name)) is not None}
    for item in chosen.ingredients:
        if item.name not in files and not item.optional:
            raise UsageError(f"the preset {preset!r} needs --{item.name}", "name the files that you have")
    for name, path in given.items():
        if path is not None:
            raise UsageError(f"the preset {preset!r} has no use for --{name}", "leave it out")
    how = presets.Making(half, as_published)
    write_result(str(chosen.made(files, output or store.folder_of(chosen), how).path))


@models.command()
@click.argument("names", metavar="[NAME|DIR]...", nargs=-1)
def verify(names: tuple[str, ...]) -> ExitCode:
    """Compare every file of the named bundles (else of all installed ones) with its recorded SHA-256.

    \b
    Examples:
      foleygen models verify
      foleygen models verify tiny my-bundle/
    """
    from foleygen.cli.terminal.streams import write_note, write_result
    from foleygen.weights import store

    code = ExitCode.OK
    for model in names or [str(path) for path in store.installed()]:
        try:
            found = store.load(model)
        except FoleygenError as error:
            write_note(f"error: {error}")
            code = ExitCode.ENVIRONMENT
        else:
            write_result(f"{found.name}: whole, {found.hash}")
    return code
