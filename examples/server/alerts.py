"""Alerts: a queue without workers is told to a webhook, signed, and so is its end. Needs `pip install "naq[server]"`.

    python examples/server/alerts.py

Starts a broker, a server and a receiver of its own; nothing is left behind.

Prints:

    opened nobody-there: queue mail
    resolved nobody-there: queue mail
"""

import asyncio
import base64
import hashlib
import hmac
import json
import tempfile
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import httpx2 as httpx

from naq.config import Config
from naq.config.server import ServerConfig
from naq.server.serve import Serving
from naq.testing.broker import bundled_server

received: Queue[tuple[dict[str, str], bytes]] = Queue()


class Receiver(BaseHTTPRequestHandler):
    """What you run at the other end."""

    def do_POST(self) -> None:
        """Take a message."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def is_from_naq(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the server that knows `secret` sent `body`, and not long ago."""
    sent = headers["webhook-timestamp"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"{headers['webhook-id']}.{sent}.".encode() + body, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(signed).decode()}"
    return abs(time.time() - int(sent)) < 300 and hmac.compare_digest(headers["webhook-signature"], wanted)


def watch(client: httpx.Client, url: str) -> str:
    """Make a channel and a rule; the secret that messages are signed with."""
    channel = client.post("/api/v1/alerts/channels", json={"name": "ops", "kind": "webhook", "url": url})
    secret = str(channel.json()["secret"])  # shown this once
    rule: dict[str, Any] = {"name": "nobody-there", "kind": "no_workers", "threshold": 0, "clear_s": 0, "repeat_s": 0}
    client.post("/api/v1/alerts/rules", json=rule | {"channels": ["ops"]}).raise_for_status()
    return secret


def next_message(secret: str, kind: str) -> dict[str, Any]:
    """The next message of a kind, checked."""
    while True:
        headers, body = received.get(timeout=30)
        assert is_from_naq(secret, headers, body)
        message: dict[str, Any] = json.loads(body)
        if message["type"] == kind:
            return message


def story(address: str, receiver: str) -> None:
    """Jobs that nobody takes are told; when they have gone, that is told too."""
    with httpx.Client(base_url=address, trust_env=False) as client:
        secret = watch(client, receiver)
        client.post("/api/v1/jobs", json={"task": "shop.send", "args": ["a@example.org"], "queue": "mail"})
        print("opened", next_message(secret, "incident.opened")["title"])
        client.post("/api/v1/queues/mail/purge").raise_for_status()
        print("resolved", next_message(secret, "incident.resolved")["title"])


async def main() -> None:
    """Run all of it."""
    hooks = HTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=hooks.serve_forever, daemon=True).start()
    with bundled_server() as broker, tempfile.TemporaryDirectory() as folder:
        settings = ServerConfig(
            port=0, database=f"sqlite:///{Path(folder)}/server.db", alert_every=0.5, webhook_allow=("127.0.0.1",)
        )
        serving = Serving(Config(broker_url=broker.url, namespace="shop"), settings)
        running = asyncio.create_task(serving.run())
        await asyncio.to_thread(story, serving.address, f"http://127.0.0.1:{hooks.server_port}/")
        serving.stop()
        await running
    hooks.shutdown()
    hooks.server_close()


if __name__ == "__main__":
    asyncio.run(main())
