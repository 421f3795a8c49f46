"""What the explorer's server lets in: no code, no file, no stranger; by raw requests."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explorers import explorer
from notebooks.explorer import serve
from notebooks.explorer.guard import MOST_BYTES, Guard
from notebooks.explorer.shelf import MOST, Offer, Shelf

ROOT = Path(__file__).parent.parent
PORT = 8765
SHELF = Shelf()
OFFERED = SHELF.put(Offer("a.csv", "text/csv", b"let through: 1"))


# ---------------------------------------------------------------- the guard, in front of anything


async def answer(
    path: str = "/",
    *,
    method: str = "GET",
    kind: str = "http",
    headers: dict[str, str] | None = None,
    query: str = "",
    body: bytes = b"",
    raw: str | None = None,
) -> tuple[int, bytes, dict[bytes, bytes]]:
    """Return the status (for a websocket: 101 or 403), the body and the headers of an answer."""
    given = {"host": f"127.0.0.1:{PORT}", **(headers or {})}
    if method == "POST" and "content-length" not in given:
        given["content-length"] = str(len(body))
    scope = {
        "type": kind,
        "path": path,
        "raw_path": (path if raw is None else raw).encode(),
        "query_string": query.encode(),
        "method": method,
        "headers": [(k.encode(), v.encode()) for k, v in given.items() if v],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.request" if kind == "http" else "websocket.connect", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        message = await receive()
        said = b"let through, gone" if message["type"] == "http.disconnect" else b"let through"
        allowed = (b"access-control-allow-origin", b"*")
        await send({"type": "http.response.start", "status": 200, "headers": [allowed]})
        await send({"type": "http.response.body", "body": said + b" /place/on/disk/x"})

    await Guard(behind, port=PORT, shelf=SHELF, written={"/place/on/disk/": ""})(
        scope, receive, send
    )
    if kind == "websocket":
        return (101 if sent[0]["type"] == "websocket.accept" else 403), b"", {}
    return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])


def status(path: str = "/", **how: Any) -> int:
    return asyncio.run(answer(path, **how))[0]


@pytest.mark.parametrize("path", ["/", "/health", "/favicon.ico", "/assets/index-abc.js", OFFERED])
def test_what_the_page_needs_is_let_through(path: str) -> None:
    assert status(path) == 200


def test_controls_can_be_moved_and_the_socket_opened() -> None:
    assert status("/api/kernel/set_ui_element_value", method="POST", body=b"{}") == 200
    assert status("/ws", kind="websocket", query="session_id=s_abc123") == 101
    own = {"origin": f"http://127.0.0.1:{PORT}", "sec-fetch-site": "same-origin"}
    assert status("/ws", kind="websocket", query="session_id=s_abc123", headers=own) == 101
    named = {"host": f"localhost:{PORT}", "origin": f"http://localhost:{PORT}"}
    assert status(headers=named) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": f"evil.example:{PORT}"},
        {"host": f"127.0.0.1.evil.example:{PORT}"},
        {"host": f"evil.example@127.0.0.1:{PORT}"},
        {"host": "127.0.0.1:1"},
        {"host": "127.0.0.1"},
        {"host": f"[::1]:{PORT}"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": f"http://localhost:{PORT}"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_strangers_are_refused(headers: dict[str, str]) -> None:
    assert status(headers=headers) == 403
    assert status("/ws", kind="websocket", query="session_id=s_a", headers=headers) == 403
    sent = "/api/kernel/set_ui_element_value"
    assert status(sent, method="POST", body=b"{}", headers=headers) == 403


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/../../etc/passwd",
        "/assets/../index.html",
        "/assets/../../_server/asgi.py",
        "/assets//etc/passwd",
        "/assets/.hidden",
        "/assets/a/b.js",
        "/assets/a\\b.js",
        "/assets/a\x00.js",
        "/assets/a.js\n",
        "/assets/",
        "/@file/12-passwd.txt",
        "/@file/12-../../etc/passwd",
        "/download/",
        "/download/../x",
        OFFERED[:-1],
        OFFERED + "0",
        "/public/x",
        "/public-files-sw.js",
        "/index.html",
        "/sse",
        "//",
    ],
)
def test_no_other_file_is_fetched(path: str) -> None:
    assert status(path) == 404


@pytest.mark.parametrize("raw", ["/%2e%2e/x", "/assets/%2e%2e%2fx", "/assets%2fx.js", "/%00"])
def test_no_path_is_written_in_another_way(raw: str) -> None:
    assert status("/assets/x.js", raw=raw) == 404


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/", "file=/etc/passwd"),
        ("/", "access_token=x"),
        ("/", "x"),
        ("/ws", "session_id=s_a&file=/etc/passwd"),
        ("/ws", "session_id=s_a&kiosk=true"),
        ("/ws", "session_id=../x"),
        (OFFERED, "file=/etc/passwd"),
    ],
)
def test_nothing_else_is_asked_for(path: str, query: str) -> None:
    assert status(path, query=query, kind="websocket" if path == "/ws" else "http") == 403


@pytest.mark.parametrize("path", ["/ws_sync", "/terminal/ws", "/lsp/pylsp", "/"])
def test_no_other_socket_is_opened(path: str) -> None:
    assert status(path, kind="websocket") == 403


def test_long_messages_are_refused_whatever_length_they_say() -> None:
    moved = "/api/kernel/set_ui_element_value"
    long = b"x" * (MOST_BYTES + 1)
    assert status(moved, method="POST", body=long) == 413
    assert status(moved, method="POST", body=b"{}", headers={"content-length": ""}) == 413
    lying = {"content-length": "2"}
    _, body, _ = asyncio.run(answer(moved, method="POST", body=long, headers=lying))
    assert body.startswith(b"let through, gone")


def test_the_page_may_load_and_tell_nothing_elsewhere() -> None:
    _, body, headers = asyncio.run(answer("/"))
    policy = headers[b"content-security-policy"].decode()
    assert set(re.findall(r"[a-z]+://[^ ;]+", policy)) == {f"ws://127.0.0.1:{PORT}"}
    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert b"access-control-allow-origin" not in headers
    assert body == b"let through x"
    assert headers[b"content-length"] == str(len(body)).encode()


# ------------------------------------------------------------------------------ the real server


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with explorer(tmp_path_factory.mktemp("explorer")) as port:
        yield port


def raw_request(port: int, head: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request as it is written, and return the status and all of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(head.encode() + body)
        answered = b""
        while part := wire.recv(65536):
            answered += part
    return int(answered.split(b" ", 2)[1]), answered


def ask(port: int, path: str, *, method: str = "GET", body: Any = None) -> tuple[int, bytes]:
    data = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nMarimo-Session-Id: s_abcdef\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    return raw_request(port, head, data)


def routes() -> list[tuple[str, str]]:
    """Return every endpoint that the installed marimo has, with a method it takes."""
    from marimo._server.api.router import build_routes

    found = []
    waiting = [("", route) for route in build_routes()]
    while waiting:
        above, route = waiting.pop()
        path = above + re.sub(r"\{[^}]*\}", "x", str(getattr(route, "path", "")))
        below = getattr(route, "routes", None)
        if below:
            waiting += [(path, one) for one in below]
            continue
        methods = sorted(set(getattr(route, "methods", None) or ["GET"]) - {"HEAD"})
        found += [(method, path or "/") for method in methods]
    return found


def test_no_endpoint_but_those_that_the_page_needs(port: int) -> None:
    code = {
        "cellIds": ["a"],
        "codes": ["open('/etc/passwd').read()"],
        "code": "1",
        "path": "/etc/passwd",
        "objectIds": [],
        "values": [],
        "autoRun": True,
        "functionName": "x",
        "namespace": "x",
        "functionCallId": "x",
        "args": {},
        "filename": "x.py",
    }
    let_in = set()
    tried = routes()
    assert len(tried) > 60
    for method, path in tried:
        found, answered = ask(port, path, method=method, body=code if method != "GET" else None)
        assert b"root:" not in answered
        if found < 400:
            let_in.add((method, path))
    # `set_ui_element_value` is let in, and finds no session of that name.
    assert let_in <= {("GET", "/"), ("GET", "/health")}
    assert ("GET", "/") in let_in


@pytest.mark.parametrize(
    "path",
    [
        "/api/kernel/run",
        "/api/kernel/execute",
        "/api/kernel/scratchpad/run",
        "/api/kernel/save",
        "/api/kernel/instantiate",
        "/api/kernel/function_call",
        "/api/kernel/set_model_value",
        "/api/kernel/read_code",
        "/api/kernel/save_app_config",
        "/api/kernel/install_missing_packages",
        "/api/files/list_files",
        "/api/files/file_details",
        "/api/files/create",
        "/api/files/update",
        "/api/export/html",
        "/api/terminal",
        "/api/ai/chat",
    ],
)
def test_no_code_can_be_sent(port: int, path: str) -> None:
    found, _ = ask(port, path, method="POST", body={"code": "1", "codes": ["1"], "path": "/"})
    assert found == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2f..%2fpyproject.toml",
        "/assets/%252e%252e/x",
        "/@file/9-..%2f..%2fetc%2fpasswd",
        "/public/app.py",
        "/app.py",
        "/notebooks/explorer/app.py",
        "/?file=/etc/passwd",
        "//etc/passwd",
    ],
)
def test_no_file_can_be_read(port: int, path: str) -> None:
    found, answered = ask(port, path)
    assert found in (400, 403, 404)
    assert b"root:" not in answered
    assert b"import marimo" not in answered


def test_the_shared_memory_of_the_machine_is_not_read(port: int) -> None:
    from multiprocessing.shared_memory import SharedMemory

    secret = SharedMemory(name=f"explorer{port}.txt", create=True, size=16)
    try:
        secret.buf[:6] = b"root:x"
        found, answered = ask(port, f"/@file/6-explorer{port}.txt")
        assert found == 404
        assert b"root:" not in answered
    finally:
        secret.close()
        secret.unlink()


def test_the_shelf_holds_the_newest() -> None:
    shelf = Shelf()
    paths = [shelf.put(Offer("a.csv", "text/csv", b"%d" % n)) for n in range(MOST + 1)]
    assert shelf.get(paths[0]) is None
    newest = shelf.get(paths[-1])
    assert newest is not None
    assert newest.body == b"%d" % MOST
    assert asyncio.run(answer(OFFERED))[2][b"content-disposition"] == (
        b'attachment; filename="a.csv"'
    )


def test_another_name_for_this_machine_is_refused(port: int) -> None:
    head = "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert raw_request(port, head)[0] == 403
    head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://evil.example\r\n"
    assert raw_request(port, head + "Connection: close\r\n\r\n")[0] == 403
    socketed = (
        f"GET /ws?session_id=s_a HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://evil.example\r\n\r\n"
    )
    assert raw_request(port, socketed)[0] == 403


def test_the_page_has_no_code_and_no_place_in_it(port: int) -> None:
    found, answered = ask(port, "/")
    assert found == 200
    text = answered.decode()
    assert str(ROOT) not in text
    assert "controls.pasted" not in text
    assert "'serviceWorker' in navigator" not in text


def test_it_listens_on_this_machine_only_and_takes_the_next_free_port(port: int) -> None:
    with serve.free_socket(port) as other:
        host, taken = other.getsockname()
        assert host == "127.0.0.1"
        assert taken > port
    with pytest.raises(OSError, match="from 0 to 65535"):
        serve.free_socket(70_000)


def test_a_port_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main(["--port", "70000"]) == 2
    assert "got 70000" in capsys.readouterr().err
