"""A browser for tests: Debian's Chromium, with every request written down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

#: What tests of pages need, and how it gets there.
NEEDED = "Chromium; as root: apt-get install -y --no-install-recommends chromium"
#: It asks for nothing of its own accord.
_ARGUMENTS = """--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking
 --disable-component-update --disable-sync --no-first-run"""


def find_chromium() -> str | None:
    """Return where Chromium is; None if it is not there."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium without a window, and end it.

    Raises:
        RuntimeError: It is not there.
    """
    path = find_chromium()
    if path is None:
        raise RuntimeError(f"pages need {NEEDED}")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS.split())
        try:
            yield running
        finally:
            running.close()


@dataclass
class Visit:
    """A page that is open.

    Attributes:
        page: The page.
        requests: The address of every request, of websockets too.
        complaints: What it wrote as an error, and errors that nobody caught.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def strangers(self, *hosts: str) -> list[str]:
        """Return the requests to anything but some hosts (`127.0.0.1:8765`), or the page itself."""
        local = ("data", "blob", "about", "file")
        parts = [(address, urlsplit(address)) for address in self.requests]
        return [at for at, part in parts if part.scheme not in local and part.netloc not in hosts]


def visit(browser: Browser, *, width: int = 1280, height: int = 900) -> Visit:
    """Open a page, and write down from now on what it asks for."""
    size = {"width": width, "height": height}
    context = browser.new_context(viewport=size, reduced_motion="reduce", accept_downloads=True)
    opened = Visit(context.new_page())

    def complain(message: ConsoleMessage) -> None:
        if message.type == "error":
            opened.complaints.append(message.text)

    context.on("request", lambda request: opened.requests.append(request.url))
    opened.page.on("websocket", lambda socket: opened.requests.append(socket.url))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("console", complain)
    return opened


def faint(page: Page, *, minimum: float = 4.5) -> list[str]:
    """Return the texts of a page whose contrast with what is behind them is below the least."""
    code = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
    return list(page.evaluate(code, minimum))


def wordless(page: Page) -> list[str]:
    """Return the figures of a page that say nothing to who does not see them."""
    return list(
        page.evaluate(
            """() => [...document.querySelectorAll('img, svg[role=img], figure > svg')]
            .filter((one) => !['alt', 'aria-label'].some((a) => one.getAttribute(a)?.trim()))
            .map((one) => one.outerHTML.slice(0, 80))"""
        )
    )


def names_of(page: Page, role: str) -> list[str]:
    """Return the names of everything with a role, as Chromium tells them to a screen reader."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    return [
        str(node.get("name", {}).get("value", ""))
        for node in tree["nodes"]
        if node.get("role", {}).get("value") == role
    ]
