"""Puts the explorable into the site, and beside it the report, if it was made.

Used while the site is built (mkdocs.yml), and no part of it.
"""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent


def on_files(files: Files, *, config: Any, **_: Any) -> Files:
    """Add the page that docs/explorable/build.py writes."""
    text = runpy.run_path(str(ROOT / "docs" / "explorable" / "build.py"))["page"]()
    files.append(File.generated(config, "explorable.html", content=text))
    return files


def on_post_build(*, config: Any, **_: Any) -> None:
    """Copy the report of `make report`, to whose sections the page links."""
    report = ROOT / "outputs" / "report.html"
    if report.is_file():
        shutil.copyfile(report, Path(config.site_dir) / "report.html")
