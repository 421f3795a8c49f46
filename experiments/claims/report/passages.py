"""Where the post says what a claim is about, in a word or two."""

from __future__ import annotations

import re


def short_passage(passage: str) -> str:
    """Return a passage in short: the footnote if there is one, else what follows the heading."""
    footnote = re.search(r"[Ff]ootnote \d", passage)
    if footnote:
        return footnote.group().capitalize().replace(" ", "\u00a0")
    short = passage.rpartition("? ")[2]
    return re.sub(r" (?=\d)", "\u00a0", re.sub(r" \(.*\)$", "", short))
