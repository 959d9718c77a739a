"""The program: its commands, its exit codes, and what becomes of errors and signals."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import click

from foleygen import __version__
from foleygen.batch.cores import PASSIVE
from foleygen.cli.terminal import lasting
from foleygen.errors import (
    ExitCode,
    FoleygenError,
    Interrupted,
    UsageError,
    forget_stops,
    interrupt,
    printable,
    shortage,
    stop_asked,
)
from foleygen.strict import did_you_mean

COMMANDS = {
    "add-sound": "foleygen.cli.add_sound:add_sound",
    "plan": "foleygen.cli.plan:plan",
    "report": "foleygen.cli.report:report",
    "spot": "foleygen.cli.spot:spot",
    "sounds": "foleygen.cli.sounds:sounds",
    "takes": "foleygen.cli.takes:takes",
    "pick": "foleygen.cli.pick:pick",
    "lock": "foleygen.cli.lock:lock",
    "unlock": "foleygen.cli.lock:unlock",
    "deliver": "foleygen.cli.deliver:deliver",
    "review": "foleygen.cli.review:review",
    "preview": "foleygen.cli.preview:preview",
    "library": "foleygen.cli.library.commands:library",
    "ambience": "foleygen.cli.compose.ambience:ambience",
    "fill": "foleygen.cli.compose.fill:fill",
    "extend": "foleygen.cli.compose.extend:extend",
    "demo": "foleygen.cli.demo:demo",
    "config": "foleygen.cli.settings_shown:config",
    "doctor": "foleygen.cli.doctor:doctor",
    "models": "foleygen.cli.models:models",
    "cache": "foleygen.cli.cache:cache",
    "bench": "foleygen.cli.bench.clip:bench",
    "bench-ambience": "foleygen.cli.bench.ambience:bench_ambience",
    "bench-sampler": "foleygen.cli.bench.sampler:bench_sampler",
    "evaluate": "foleygen.cli.evaluate.commands:evaluate",
    "train": "foleygen.cli.train.commands:train",
}
"""Name -> where its Click command is; imported when it is asked for."""


@dataclass
class Invocation:
    """What the commands tell ``main``: how much the user wants to read about errors."""

    verbose: int = 0
    tells_of_files: bool = False
    """What it prints is of files that are there: stdout that cannot be written is no failure of its own."""


class LazyGroup(click.Group):
    """A group whose commands are imported by name, so that none costs time that is not asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"No such command {args[0]!r}, {did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Give silent clips the sound of what they show; the picture stays as it is.

    \b
    Examples:
      foleygen add-sound clips/              every clip below clips/, finished beside it
      foleygen add-sound a.mov -o finished/  one clip, finished in another folder
      foleygen preview a.mov --at 12.5       hear and see one moment first
      foleygen demo samples/                 silent sample clips to try it on

    Exit codes: 0 done, 1 internal error, 2 wrong usage, 3 some clips failed, 4 all failed, 5 no clip found,
    6 weights, codec or device missing, 75 try again later, 130 and 143 stopped by a signal.
    """
    context.color = False if os.environ.get("NO_COLOR") else None


def main() -> NoReturn:
    """Run the command line of this process and leave with its exit code."""
    lasting.secure()
    os.environ.update({name: os.environ.get(name, value) for name, value in PASSIVE.items()})
    code = run(sys.argv[1:])
    sys.stdout.flush()
    gc.freeze()  # nobody needs the memory of cycles any more
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """The exit code of ``foleygen ARGUMENTS``; every error ends here, as one sentence on stderr."""
    with _stopped_by_signals():
        code = _ended(arguments, Invocation())
        stop = stop_asked()
        return code if stop is None or code == stop.exit_code else _stopped(stop)


def _ended(arguments: Sequence[str], invocation: Invocation) -> int:
    try:
        result = cli.main(list(arguments), prog_name="foleygen", standalone_mode=False, obj=invocation)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return ExitCode.OK
    except click.ClickException as error:
        return _complain(_explained(error), ExitCode.USAGE)
    except click.Abort:
        return _complain("stopped", ExitCode.INTERRUPTED)
    except Interrupted as stop:
        return _stopped(stop)
    except FoleygenError as error:
        if invocation.verbose > 1:
            traceback.print_exc()
        return _complain(str(error), error.exit_code)
    except BrokenPipeError:
        lasting.replace_by_nothing(sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:
        lost = stop_asked()
        return _unforeseen(error, invocation.verbose) if lost is None else _stopped(lost)
    code = result if isinstance(result, int) else ExitCode.OK
    return code if lasting.STDOUT not in lasting.lost else _unprinted(code, invocation)


def _stopped(stop: Interrupted) -> ExitCode:
    name = signal.Signals(stop.signum).name
    return _complain(f"stopped by {name}; nothing is half-written, the same command goes on", stop.exit_code)


def _unforeseen(error: Exception, verbose: int) -> int:
    """What the machine lacks is said in a sentence, anything else is a bug."""
    found = _explained_by_machine(error)
    if found is None or verbose > 1:
        traceback.print_exception(error)
    if found is None:
        return _complain("internal error; please report it with the lines above", ExitCode.BUG)
    return _complain(str(found), found.exit_code)


def _explained_by_machine(error: Exception) -> FoleygenError | None:
    try:
        os.getcwd()
    except OSError:
        return UsageError("the current folder is not there any more", "go to another one")
    return shortage(error, "foleygen")


def _unprinted(code: int, invocation: Invocation) -> int:
    """The exit code where stdout could not be written: a failure, unless what is lost are paths of what was done."""
    reason = lasting.lost[lasting.STDOUT].strerror
    said = _complain(f"stdout: cannot be written ({reason}); what was to be printed there is lost", ExitCode.TRY_AGAIN)
    return code if code or invocation.tells_of_files else said


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGINT and SIGTERM clean up and end in their own exit codes; the second one ends at once.

    Processes that are forked meanwhile do as if nothing were handled, and so does this one afterwards.
    """
    process = os.getpid()
    # A shell starts background jobs with SIGINT ignored, and means it.
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    handled = {signum: handler for signum, handler in before.items() if handler is not signal.SIG_IGN}

    def stop(signum: int, frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)
        if os.getpid() != process:  # an exception would end in whatever the child was about to catch
            os.kill(os.getpid(), signum)
            return
        interrupt(signum)

    for signum in handled:
        signal.signal(signum, stop)
    try:
        yield
    finally:
        forget_stops()
        for signum, handler in handled.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)


def _explained(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".").replace("\n", " ")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "foleygen"
    return f"{message[:1].lower()}{message[1:]}; see {path} --help"


def _complain(sentence: str, code: ExitCode) -> ExitCode:
    print(f"error: {printable(sentence)}", file=sys.stderr, flush=True)
    return code
