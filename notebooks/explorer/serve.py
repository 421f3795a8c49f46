"""Serves the explorer on this machine, and on nothing else."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from notebooks.explorer.guard import Guard
from notebooks.explorer.page import STYLE, Asked, Memory, respond
from notebooks.explorer.shelf import SHELF
from notebooks.explorer.state import State
from sim.cli.console import err, out

HOST = "127.0.0.1"
PORT = 8765
#: So many ports are tried, from the one that is asked for.
_TRIED = 50
_APP = Path(__file__).with_name("app.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the explorer until it is interrupted; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make explore", description="Move assumptions in a browser and see what follows."
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"{PORT}; the next free one if taken"
    )
    port = parser.parse_args(arguments).port
    if importlib.util.find_spec("marimo") is None:
        err.print('error: the explorer needs marimo: pip install "training-gaming-sim[lessons]"')
        return 2
    try:
        taken = free_socket(port)
    except OSError as error:
        err.print(f"error: --port: got {port}: {error.strerror or error}", highlight=False)
        return 2
    with taken, tempfile.TemporaryDirectory(prefix="explorer") as settings:
        # marimo's settings are its own defaults, not those that the user has (theme, keys, ...).
        os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_STATE_HOME"] = settings
        os.chdir(settings)
        with err.status("preparing the engine (it may compile, once)"):
            respond(Asked(State()), Memory())
        server = server_on(taken)
        at = f"http://{HOST}:{taken.getsockname()[1]}/"
        out.print(f"the explorer: {at}\n(Ctrl-C ends it)", highlight=False)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[taken])
    return 0


def server_on(taken: socket.socket) -> Any:
    """Return the server of the explorer (uvicorn's) for a socket."""
    import uvicorn

    port = taken.getsockname()[1]
    config = uvicorn.Config(
        guarded(port),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


def guarded(port: int) -> Guard:
    """Return the explorer as an ASGI application behind its guard."""
    import marimo

    builder = marimo.create_asgi_app(
        quiet=True, include_code=False, html_head=STYLE, show_tracebacks=False
    )
    app: Any = builder.with_app(path="", root=str(_APP)).build()
    place = _APP.parent.parent.parent
    # The page names its own place on the machine, and asks for a worker that serves files.
    written = {f"{place}/": "", str(place): "", "'serviceWorker' in navigator": "false"}
    return Guard(app, port=port, shelf=SHELF, written=written)


def free_socket(port: int) -> socket.socket:
    """Return a socket that listens on this machine at a port, or at the next free one; 0: any.

    Raises:
        OSError: There is none.
    """
    for tried in range(port, port + (_TRIED if port else 1)):
        taken = socket.socket()
        try:
            if os.name == "posix":  # the port of an explorer that has just ended is free
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((HOST, tried))
            taken.listen()
        except OverflowError:
            taken.close()
            raise OSError("must be from 0 to 65535") from None
        except OSError:
            taken.close()
            if tried == port + _TRIED - 1 or port == 0:
                raise
        else:
            return taken
    raise AssertionError
