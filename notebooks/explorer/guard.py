"""What the explorer's server lets in: the page, its parts, and the moving of its controls.

A run-mode app of marimo has some eighty endpoints, most of which marimo itself refuses; this list
does not rely on it. Whatever is not named here is refused before it reaches marimo, and so is a
request for another host's name (DNS rebinding) or from another site's page.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from notebooks.explorer.shelf import Offer, Shelf

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

#: Names under which this machine is asked for itself.
HOSTS = ("127.0.0.1", "localhost")
#: What can be fetched, besides what the page offers for download: the page and marimo's own parts.
_PARTS = re.compile(
    r"/|/health|/favicon\.ico|/manifest\.json|/logo\.png|/apple-touch-icon\.png"
    r"|/android-chrome-(192x192|512x512)\.png"
    r"|/assets/[A-Za-z0-9_][A-Za-z0-9_.@-]*"
)
#: What can be sent: the settings of controls.
_SENT = frozenset({"/api/kernel/set_ui_element_value"})
#: What may stand behind `?`, by path.
_ASKED = {"/ws": {"session_id": r"s_[a-z0-9]{1,32}"}}
#: Settings of controls are short.
MOST_BYTES = 64 * 1024
#: Only what this server gives is loaded or run by the page, and it talks to nobody else.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' ws://{host}; object-src 'none'; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Guard:
    """An ASGI application that lets through what another needs, and nothing else.

    Args:
        app: The other.
        port: At which it is served; a Host that names another is refused.
        shelf: What is offered for download.
        written: What is written into the page in place of something else.
    """

    def __init__(
        self, app: App, *, port: int, shelf: Shelf, written: Mapping[str, str] | None = None
    ) -> None:
        self._app = app
        self._shelf = shelf
        self._hosts = {f"{name}:{port}" for name in HOSTS}
        self._written = {a.encode(): b.encode() for a, b in (written or {}).items()}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        offer = self._shelf.get(scope["path"])
        status = self._refused(scope, is_offered=offer is not None)
        if scope["type"] == "websocket":
            if status:
                await receive()
                return await send({"type": "websocket.close", "code": 1008})
            return await self._app(scope, _small(receive, "websocket.receive"), send)
        if status:
            return await _refuse(send, status)
        host = _header(scope, b"host")
        if offer is not None:
            return await _give(_sealed(send, host), offer)
        if scope["path"] == "/":
            return await self._app(scope, receive, _rewritten(self._written, _sealed(send, host)))
        # Of settings that are none, marimo says 500 and lets the error go on, into the log.
        with suppress(Exception):
            await self._app(scope, _small(receive, "http.request"), _sealed(send, host))
        return None

    def _refused(self, scope: Message, *, is_offered: bool) -> int:
        """Return the status with which a request is refused; 0 if it is let through."""
        if scope["type"] not in ("http", "websocket"):
            return 404
        hosts = _all(scope, b"host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 403
        for origin in _all(scope, b"origin"):
            if origin != f"http://{hosts[0]}":
                return 403
        if _header(scope, b"sec-fetch-site") not in ("", "none", "same-origin"):
            return 403
        path = scope["path"]
        raw = scope.get("raw_path") or path.encode()
        if raw.split(b"?")[0] != path.encode():  # something in it is written as %xx
            return 404
        if not self._is_asked_well(path, scope.get("query_string", b"").decode("latin-1")):
            return 403
        if scope["type"] == "websocket":
            return 0 if path == "/ws" else 403
        if scope["method"] in ("GET", "HEAD"):
            return 0 if is_offered or _PARTS.fullmatch(path) else 404
        if scope["method"] == "POST" and path in _SENT:
            length = _header(scope, b"content-length")
            return 0 if length.isdigit() and int(length) <= MOST_BYTES else 413
        return 403

    def _is_asked_well(self, path: str, query: str) -> bool:
        known = _ASKED.get(path, {})
        try:
            asked = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            return False
        return all(key in known and re.fullmatch(known[key], value) for key, value in asked)


def _all(scope: Message, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _header(scope: Message, name: bytes) -> str:
    return next(iter(_all(scope, name)), "")


async def _refuse(send: Send, status: int) -> None:
    body = b"The explorer does not offer this.\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _give(send: Send, offer: Offer) -> None:
    headers = [
        (b"content-type", offer.kind.encode()),
        (b"content-disposition", f'attachment; filename="{offer.name}"'.encode()),
        (b"content-length", str(len(offer.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": offer.body})


def _small(receive: Receive, kind: str) -> Receive:
    """Read no more than is allowed, whatever the length that a request says it has."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == kind:
            read += len(message.get("body") or message.get("bytes") or message.get("text") or "")
            if read > MOST_BYTES:
                gone = "http.disconnect" if kind == "http.request" else "websocket.disconnect"
                return {"type": gone, "code": 1009}
        return message

    return limited


def _sealed(send: Send, host: str) -> Send:
    """Add to a response what the page may load and whom it may talk to."""
    added = {
        b"content-security-policy": _POLICY.format(host=host).encode(),
        b"x-frame-options": b"DENY",
        b"x-content-type-options": b"nosniff",
        b"referrer-policy": b"no-referrer",
        b"cross-origin-resource-policy": b"same-origin",
    }

    async def sealed(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (key, value)
                for key, value in message["headers"]
                if not key.lower().startswith(b"access-control-") and key.lower() not in added
            ]
            message = {**message, "headers": [*kept, *added.items()]}
        await send(message)

    return sealed


def _rewritten(written: Mapping[bytes, bytes], send: Send) -> Send:
    """Write something else into a response, which is sent when it is whole."""
    start: Message = {}
    body = b""

    async def rewritten(message: Message) -> None:
        nonlocal start, body
        if message["type"] == "http.response.start":
            start = message
            return
        body += message.get("body", b"")
        if message.get("more_body"):
            return
        text = body
        for found, new in written.items():
            text = text.replace(found, new)
        headers = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
        headers.append((b"content-length", str(len(text)).encode()))
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    return rewritten
