"""Files that are written whole or not at all."""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EEXIST
from pathlib import Path
from uuid import uuid4

_files_written: deque[Path] = deque(maxlen=1)


def last_written() -> Path | None:
    """Return the file that this process was the last to finish, if there is one."""
    return _files_written[-1] if _files_written else None


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which becomes `path` when all went well and goes otherwise.

    A device, a pipe or a folder, in whose place a file would come, is refused (OSError).
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(EEXIST, "is no file that can be written anew", str(path))
    part = path.with_name(f"{path.name}{uuid4().hex[:8]}.part")
    try:
        part.touch(exist_ok=False)  # with what rights the user's umask leaves
        yield part
        part.replace(path)
        _files_written.append(path)
    except OSError as error:  # it may name no file, or that which goes
        if error.errno is None or not str(error.filename or part).startswith(str(part)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with suppress(OSError):  # that there is no such folder has been said
            part.unlink()


def write_anywhere() -> None:
    """Let output stand on terminals and in logs that cannot have some characters, with a ?."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
