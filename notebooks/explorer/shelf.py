"""What the page offers for download, and nothing else: texts in memory, by what is in them.

marimo has downloads of its own, and its server looks for them by name in the shared memory of the
whole machine where no page is open; so the guard refuses those, and serves these.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

#: The oldest give way to the newest; a page needs the last two.
MOST = 200


@dataclass(frozen=True)
class Offer:
    """A file that is offered.

    Attributes:
        name: What it is saved as.
        kind: Its media type.
        body: What is in it.
    """

    name: str
    kind: str
    body: bytes


class Shelf:
    """Offers, by the path at which they are fetched."""

    def __init__(self) -> None:
        self._offers: OrderedDict[str, Offer] = OrderedDict()
        self._lock = Lock()

    def put(self, offer: Offer) -> str:
        """Offer a file; returns its path."""
        path = f"/download/{sha256(offer.name.encode() + offer.body).hexdigest()}"
        with self._lock:
            self._offers[path] = offer
            self._offers.move_to_end(path)
            while len(self._offers) > MOST:
                self._offers.popitem(last=False)
        return path

    def get(self, path: str) -> Offer | None:
        """Return what is offered at a path; None if nothing is."""
        with self._lock:
            return self._offers.get(path)


#: Of this process: the pages of all who have the explorer open.
SHELF = Shelf()
