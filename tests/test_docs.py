"""README and docs are true where a machine can tell: commands, links, keys, lists of names."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from foleygen import scenes
from foleygen.cli import config
from foleygen.cli.app import cli
from foleygen.cli.reference import commands_page, walk
from foleygen.errors import ExitCode, UsageError
from foleygen.facts import WindowFact
from foleygen.models.diff_foley import DiffFoleyConfig
from foleygen.models.transformer import TransformerConfig
from foleygen.record.schema import BedRecord, Sidecar, SoundSettings, TakeRecord
from foleygen.settings import ClipSettings, Settings, specs
from foleygen.weights.spec import (
    AutoencoderSpec,
    BundleSpec,
    ClassifierSpec,
    EncoderSpec,
    MelSpec,
    Part,
    SamplingSpec,
    Source,
    VocoderSpec,
)

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
MADE_WITH = "8.5."
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
ROW = re.compile(r"^\| (.*?) \| (.*) \|$", re.MULTILINE)
PARTS: dict[str, type] = {
    "windows": WindowFact,
    "takes": TakeRecord,
    "bed": BedRecord,
    "settings": SoundSettings,
    **({"own": ClipSettings} if fields(ClipSettings) else {}),
}
"""The parts of a sidecar that have fields of their own."""
SEPARATORS = frozenset({"|", "||", "&&", ";", ">", ">>", "<", "&"})


def test_the_command_reference_is_fresh() -> None:
    if not importlib.metadata.version("click").startswith(MADE_WITH):
        pytest.skip(f"the page was made with Click {MADE_WITH}x, another one formats help in another way")
    written = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert written == commands_page(), "run python -m foleygen.cli.reference"


def test_the_command_reference_is_complete() -> None:
    written = (DOCS / "commands.md").read_text(encoding="utf-8")
    for path, command in walk(cli, "foleygen"):
        section = written.partition(f"## {path}\n")[2].partition("\n## ")[0]
        assert section, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert all(name in section for name in parameter.opts), (path, parameter.name)
    for name in specs():
        assert f"`{config.ENVIRONMENT_PREFIX}{name.upper()}`" in written
    for code in ExitCode:
        assert f"| {int(code)} |" in written


def test_every_setting_is_an_option_of_add_sound() -> None:
    (command,) = (command for path, command in walk(cli, "foleygen") if path == "foleygen add-sound")
    assert set(specs()) <= {parameter.name for parameter in command.params}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = (page.parent / place).resolve() if place else page
        assert file.exists(), f"{page.name} -> {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} -> {target}"


def test_every_page_is_linked_from_the_index() -> None:
    linked = set(re.findall(r"\]\((\w[\w-]*\.md)\)", (DOCS / "index.md").read_text(encoding="utf-8")))
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} == linked
    assert "](docs/index.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def shown_lines() -> Iterator[tuple[str, list[str]]]:
    """(page, words behind ``foleygen``) of every command in a shell block or an unnamed one; lines are joined."""
    for page in PAGES:
        for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
            lines = block.replace("\\\n", " ").splitlines() if language in ("sh", "") else []
            for line in lines:
                if language == "sh" or line.startswith(("foleygen ", "torchrun ")):
                    yield from ((page.name, words) for words in invocations(line))


def invocations(line: str) -> list[list[str]]:
    """The words behind each ``foleygen`` that a shell line runs, by itself or by ``python -m``."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    found: list[list[str]] = []
    current: list[str] | None = None
    for word in reader:
        if word in SEPARATORS:
            current = None
        elif current is not None:
            current.append(word)
        elif word == "foleygen":
            current = []
            found.append(current)
    return found


def test_shell_lines_are_taken_apart() -> None:
    assert invocations("find . | foleygen add-sound - --json  # why") == [["add-sound", "-", "--json"]]
    assert invocations("torchrun -m foleygen train cavp; foleygen doctor > out") == [["train", "cavp"], ["doctor"]]
    assert invocations("pip install 'foleygen[base]'") == []


@pytest.mark.parametrize(("page", "words"), list(shown_lines()), ids=lambda value: str(value)[:40])
def test_every_shown_command_line_parses(page: str, words: list[str], tmp_path: Path) -> None:
    """Its command and options exist, what it needs is given, and the settings that it types are valid."""
    command, path, rest = resolved(words)
    assert not isinstance(command, click.Group), f"{page}: foleygen {' '.join(words)}"
    with command.make_context(path, list(rest)) as context:
        given = context.params if "config_file" in context.params else {}
        typed = {name: value for name, value in given.items() if name in specs() and value is not None}
    nothing = tmp_path / config.PROJECT_FILE
    nothing.touch()
    config.load(typed, environ={}, config_file=nothing)


def test_a_wrong_command_line_does_not_parse(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError):
        test_every_shown_command_line_parses("page", ["add-sound", "clips/", "--misspelt"], tmp_path)
    with pytest.raises(UsageError):
        test_every_shown_command_line_parses("page", ["add-sound", "clips/", "--steps", "many"], tmp_path)
    with pytest.raises(AssertionError):
        test_every_shown_command_line_parses("page", ["misspelt", "clips/"], tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_in_the_text_exist(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for code in INLINE.findall(text):
        for words in invocations(code) if re.match(r"(time )?foleygen( |$)", code) else []:
            command, _, rest = resolved(words)
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            for word in rest:
                if word.startswith("-") and word != "-" and word not in ("-h", "--help", "--version"):
                    assert word in known, f"{page.name}: {code}"


def resolved(words: list[str]) -> tuple[click.Command, str, list[str]]:
    """The command that ``words`` name, its path, and what is left of them."""
    command: click.Command = cli
    path, rest = "foleygen", list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"{path} {name}: no such command"
        command, path = found, f"{path} {name}"
    return command, path, rest


def test_shown_settings_files_are_valid(tmp_path: Path) -> None:
    found = 0
    for page in PAGES:
        for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language == "yaml" and block.startswith(f"# {config.PROJECT_FILE}"):
                file = tmp_path / config.PROJECT_FILE
                file.write_text(block, encoding="utf-8")
                assert config.load({}, environ={}, config_file=file) != Settings()
                found += 1
    assert found


def test_make_targets_that_are_shown_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {
        word
        for page in PAGES
        for language, block in BLOCK.findall(page.read_text(encoding="utf-8"))
        if language == "sh"
        for word in re.findall(r"^make ([\w-]+)", block, re.MULTILINE)
    }
    assert {"run", "test"} <= shown <= targets


def test_every_key_of_a_bundle_is_explained() -> None:
    page = (DOCS / "bundles.md").read_text(encoding="utf-8")
    sections = (MelSpec, EncoderSpec, AutoencoderSpec, VocoderSpec, SamplingSpec, ClassifierSpec)
    for kind in (BundleSpec, *sections, Source, Part, TransformerConfig, DiffFoleyConfig):
        for item in fields(kind):
            assert f"`{item.name}`" in page or f"`{item.name}:" in page, f"{kind.__name__}.{item.name}"


def sidecar_rows() -> dict[str, set[str]]:
    """The first names of each row of the sidecar's table, and the names that stand behind each."""
    table = (DOCS / "batches.md").read_text(encoding="utf-8").partition("## The sidecar")[2].partition("## Events")[0]
    rows = [(INLINE.findall(first), set(INLINE.findall(rest))) for first, rest in ROW.findall(table)]
    return {name: inner for names, inner in rows for name in names}


def test_every_field_of_a_sidecar_is_explained() -> None:
    rows = sidecar_rows()
    assert set(rows) == sidecar_fields()
    for name, kind in PARTS.items():
        assert rows[name] == {item.name for item in fields(kind)}, name


def test_the_schema_of_a_sidecar_is_its_dataclass() -> None:
    schema = json.loads((DOCS / "sidecar.schema.json").read_bytes())
    assert set(schema["properties"]) == sidecar_fields()
    for name, kind in PARTS.items():
        assert set(properties(schema, schema["properties"][name])) == {item.name for item in fields(kind)}, name


def sidecar_fields() -> set[str]:
    """``own`` is there as soon as anything can be set for one clip alone."""
    unused = set() if fields(ClipSettings) else {"own"}
    return {"schema", "output", "output_bytes", "output_sha256", "output_stamp"} | {
        item.name for item in fields(Sidecar)
    } - unused


def properties(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """What an object, the items of an array, or the object that may also be null, may hold."""
    if "$ref" in part:
        return properties(schema, schema["$defs"][part["$ref"].rpartition("/")[2]])
    inner = part.get("items") or next(iter(part.get("anyOf", part.get("oneOf", []))), None)
    return properties(schema, inner) if inner is not None else part["properties"]


def test_every_family_is_listed_with_its_materials() -> None:
    page = (DOCS / "scenes.md").read_text(encoding="utf-8")
    table = page.partition("## Families")[2].partition("## Styles")[0]
    listed: dict[str, set[str]] = {}
    for names, materials in re.findall(r"^\| (`.*?`) \|.*\| (.*?) \|$", table, re.MULTILINE):
        families = re.findall(r"`(\w+)`", names)
        parts = materials.split("; ")
        for index, family in enumerate(families):
            listed[family] = set(parts[index if len(parts) > 1 else 0].split(", "))
    assert listed == {family: set(materials) for family, materials in scenes.FAMILY_MATERIALS.items()}


def test_what_is_held_out_is_named() -> None:
    page = (DOCS / "scenes.md").read_text(encoding="utf-8").partition("## Held out")[2]
    seeds = f"{scenes.TEST_SEEDS.start:_} to {scenes.TEST_SEEDS.stop - 1:_}"
    for fact in (seeds, f"`{scenes.HELD_OUT_FAMILY}`", f"`{scenes.HELD_OUT_MATERIAL}`"):
        assert fact in page


def anchors(page: Path) -> set[str]:
    """The anchors that headings of a page get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
