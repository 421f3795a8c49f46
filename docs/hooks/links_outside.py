"""Links to files of the checkout that are no pages, as on GitHub: the site names the file instead.

Used while the site is built (mkdocs.yml), and no part of it. A link to what is not there stays, and
the strict build refuses it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Write the path of a file beside, or as, the words of a link that leaves docs/."""
    here = posixpath.dirname(page.file.src_uri)
    root = Path(config.config_file_path).parent

    def outside(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", here, link[2]))
        if path.startswith("docs/") or not (root / path).exists():
            return link[0]
        return f"`{path}`" if link[1] in (path, f"`{path}`") else f"{link[1]} (`{path}`)"

    return _LINK.sub(outside, markdown)
