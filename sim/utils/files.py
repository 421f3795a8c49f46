"""Files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which becomes `path` when all went well and goes otherwise."""
    part = path.with_name(f"{path.name}{uuid4().hex[:8]}.part")
    part.touch(exist_ok=False)  # with what rights the user's umask leaves
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
