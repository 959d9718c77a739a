"""foleygen as a process of its own, whose events are read as they come."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path


def start(folder: Path, bundle: Path, environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    """``add-sound clips --json`` in ``folder``; SIGINT reaches it also where the tests run in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = ["add-sound", "clips", "--json", "--no-cache", "--model", str(bundle), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "foleygen", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
