"""Servers that tests start."""

from __future__ import annotations

import re
import subprocess


def port_of(running: subprocess.Popen[str]) -> int:
    """Wait until a server has said its address, and return the port."""
    assert running.stdout is not None
    said = ""
    while not (found := re.search(r"http://(?:localhost|127\.0\.0\.1):(\d+)", said)):
        line = running.stdout.readline()
        assert line, f"the server ended: {said}"
        said += line
    return int(found.group(1))
