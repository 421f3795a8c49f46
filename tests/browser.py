"""A browser for tests: Debian's Chromium, with every request written down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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


#: Returns every text of the page whose contrast with what is behind it is below the least.
#: Colours are composed from the text outwards; where a background is a picture, it is left out.
CONTRAST = """(least) => {
  const parse = (text) => {
    const canvas = CONTRAST_CANVAS.getContext('2d', {willReadFrequently: true});
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const CONTRAST_CANVAS = document.createElement('canvas');
  CONTRAST_CANVAS.width = CONTRAST_CANVAS.height = 1;
  const over = (top, below) => {
    const a = top[3] + below[3] * (1 - top[3]);
    if (a === 0) return [0, 0, 0, 0];
    const mix = (i) => (top[i] * top[3] + below[i] * below[3] * (1 - top[3])) / a;
    return [mix(0), mix(1), mix(2), a];
  };
  const light = ([r, g, b]) => {
    const part = [r, g, b].map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const found = [];
  const walk = (root) => {
    for (const element of root.querySelectorAll('*')) {
      if (element.shadowRoot) walk(element.shadowRoot);
      const own = [...element.childNodes].filter((n) => n.nodeType === 3 && n.textContent.trim());
      const box = element.getBoundingClientRect();
      const style = getComputedStyle(element);
      if (!own.length || !box.width || !box.height || style.visibility === 'hidden') continue;
      if (/^(script|style|title|desc|noscript)$/i.test(element.tagName)) continue;
      if (box.width <= 1 || box.height <= 1) continue;
      const drawn = element.namespaceURI.endsWith('svg');
      let behind = [0, 0, 0, 0], shown = 1;
      for (let at = element; at; at = at.parentElement || (at.getRootNode().host ?? null)) {
        const its = getComputedStyle(at);
        shown *= parseFloat(its.opacity);
        if (drawn && at.tagName.toLowerCase() === 'svg') behind = over(behind, [255, 255, 255, 1]);
        behind = over(behind, parse(its.backgroundColor));
      }
      if (shown === 0) continue;
      behind = over(behind, [255, 255, 255, 1]);
      const ink = parse(drawn ? style.fill : style.color);
      ink[3] *= shown;
      const [a, b] = [light(over(ink, behind)), light(behind)];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const said = own[0].textContent.trim().slice(0, 40);
      if (contrast < least) found.push(`${said}: ${contrast.toFixed(2)}`);
    }
  };
  walk(document);
  return found;
}"""


def faint(page: Page, *, minimum: float = 4.5) -> list[str]:
    """Return the texts of a page whose contrast with what is behind them is below the least."""
    return list(page.evaluate(CONTRAST, minimum))


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
