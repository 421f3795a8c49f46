"""The explorer as tests run it: as a user does, in a process of its own, at any free port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from commands import port_of

ROOT = Path(__file__).parent.parent


@contextmanager
def explorer(folder: Path, *arguments: str) -> Iterator[int]:
    """Serve the explorer, yield its port, and end it as a user does: with Ctrl-C."""
    running = subprocess.Popen(
        [sys.executable, "-m", "notebooks.explorer", "--port", "0", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stdout is not None
    try:
        yield port_of(running)
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=20) == 0, "Ctrl-C does not end it"
        left = running.stdout.read()
        assert "Traceback" not in left, left
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
