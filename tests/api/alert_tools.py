"""What receives messages, and rules that need no patience."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx2 as httpx
from aiosmtpd.controller import Controller
from api_tools import eventually

#: What makes a server look often, and lets it send to this machine.
QUICK: dict[str, Any] = {"alert_every": 0.1, "webhook_allow": ("127.0.0.0/8",), "webhook_timeout": 2.0}


class Hook:
    """A server that takes webhooks.

    Attributes:
        got: what came, the first first: headers and the body as it was.
        answers: with what the next ones are answered; 200 where there is nothing.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.held = threading.Event()  # while it is set, nobody is answered
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, headers = hook.answers.pop(0) if hook.answers else (200, {})
                while hook.held.is_set():
                    hook.freed.wait(0.05)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"noted")

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                pass

        self.freed = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/hook?a=1"
        if tls is not None:  # the handshake in the thread of its connection: one that fails there is that one's alone
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
            self._server.handle_error = lambda request, client_address: None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.held.clear()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def said(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a kind that came."""
        return [said for _, body in self.got if (said := json.loads(body)).get("type") == kind]


class Mailbox:
    """A mail server. `refuse` is what it answers instead of taking a message."""

    def __init__(self) -> None:
        self.got: list[tuple[list[str], EmailMessage]] = []
        self.refuse = ""

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuse:
            return self.refuse
        parsed: Any = message_from_bytes(envelope.content, policy=policy.default)
        self.got.append((list(envelope.rcpt_tos), parsed))
        return "250 taken"


@contextmanager
def mailbox(**how: Any) -> Generator[tuple[Mailbox, int]]:
    """A mail server on a free port; `how` is aiosmtpd's."""
    box = Mailbox()
    # It looks whether it answers, at the port that it was told: one that is free now.
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), **how)
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_hook(client: httpx.Client, hook: Hook, name: str = "ops", **more: Any) -> str:
    """A channel to `hook`; its secret."""
    made = _make(client, "channels", {"name": name, "kind": "webhook", "url": hook.url, **more})
    return str(made["secret"])


def make_rule(client: httpx.Client, name: str, kind: str, threshold: float, **more: Any) -> dict[str, Any]:
    """A rule that resolves at once."""
    body = {"name": name, "kind": kind, "threshold": threshold, "clear_s": 0, "repeat_s": 0, **more}
    return _make(client, "rules", body)


def _make(client: httpx.Client, what: str, body: dict[str, Any]) -> dict[str, Any]:
    """Asked again while the server says that it cannot yet: on a busy machine its database takes a while to open."""

    def made() -> httpx.Response | None:
        answer = client.post(f"/api/v1/alerts/{what}", json=body)
        return None if answer.status_code == 503 else answer

    answer = eventually(made)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def incidents(client: httpx.Client, rule: str, *states: str) -> list[dict[str, Any]]:
    """The incidents of a rule; asked again while the server says that it cannot: that is no empty list."""

    def listed() -> httpx.Response | None:
        params = {"rule": rule, **({"state": states} if states else {})}
        answer = client.get("/api/v1/alerts/incidents", params=params)
        return None if answer.status_code == 503 else answer

    answer = eventually(listed, "a list of incidents")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def incident(client: httpx.Client, rule: str, state: str, good: Callable[[dict[str, Any]], bool] | None = None) -> Any:
    """An incident of a rule in a state, once there is one."""

    def find() -> Any:
        return next((one for one in incidents(client, rule, state) if good is None or good(one)), None)

    return eventually(find, f"an incident of {rule} that is {state}")
