"""Logins and TLS: they work, and nothing is said in the clear where TLS was asked for."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import trustme

from naq import JobState, Naq, NaqConnectionError
from naq.backends.nats.broker.binary import find_binary
from naq.backends.nats.broker.ports import free_ports
from naq.testing.broker import bundled_server

TIMEOUT = 20.0  # seconds to connect, where it works; it takes milliseconds
REFUSED = 1.0  # seconds to connect, where it never will
CONFIG = """
listen: "127.0.0.1:{port}"
authorization {{ user: "ada", password: "secret" }}
jetstream {{ store_dir: "{folder}/jetstream" }}
tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key", ca_file: "{folder}/ca.pem", verify: true }}
"""


class Server:
    """A NATS server that demands TLS, a client certificate and a password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        trustme.CA().cert_pem.write_to_path(folder / "other.pem")
        for name, certificate in (
            ("server", authority.issue_cert("127.0.0.1")),
            ("client", authority.issue_cert("ada@example.com")),
        ):
            certificate.private_key_pem.write_to_path(folder / f"{name}.key")
            certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        (folder / "nats.conf").write_text(CONFIG.format(port=self.port, folder=folder), encoding="utf-8")

    def app(self, **settings: Any) -> Naq:
        """An app with all that the server demands, but for `settings`."""
        chosen: dict[str, Any] = {
            "broker_url": f"tls://127.0.0.1:{self.port}",
            "user": "ada",
            "password": "secret",
            "tls_ca": str(self.folder / "ca.pem"),
            "tls_cert": str(self.folder / "client.pem"),
            "tls_key": str(self.folder / "client.key"),
            "connect_timeout": TIMEOUT,
            **settings,
        }
        return Naq("secure", **chosen)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    server = Server(tmp_path_factory.mktemp("tls"))
    binary = str(find_binary().path)
    with (server.folder / "nats.log").open("wb") as log:
        process = subprocess.Popen([binary, "-c", str(server.folder / "nats.conf")], stdout=log, stderr=log)
    try:
        yield server
    finally:
        process.kill()
        process.wait()


def test_jobs_over_tls_with_a_certificate_and_a_password(server: Server) -> None:
    app = server.app()

    @app.task(name="ping")
    async def ping() -> None: ...

    async def main() -> None:
        async with app:
            job = await ping.enqueue()
            assert await job.status() is JobState.QUEUED

    asyncio.run(main())


@pytest.mark.parametrize(
    "settings",
    [
        {"tls_ca": "other.pem"},
        {"tls_ca": ""},
        {"tls_cert": "", "tls_key": ""},
        {"password": "guess"},
        {"user": "", "password": ""},
    ],
    ids=["another authority", "an authority that nobody named", "no certificate", "a wrong password", "no login"],
)
def test_what_is_missing_or_wrong_is_refused(server: Server, settings: dict[str, str]) -> None:
    if settings.get("tls_ca"):
        settings = {"tls_ca": str(server.folder / settings["tls_ca"])}
    app = server.app(**settings, connect_timeout=REFUSED)

    async def main() -> None:
        with pytest.raises(NaqConnectionError, match="cannot reach the broker"):
            await app.connect()
        await app.close()

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["tls", "nats"])
def test_a_server_without_tls_is_refused_where_it_was_asked_for(server: Server, scheme: str) -> None:
    """By the scheme, or by naming an authority or a certificate."""
    with bundled_server() as plain:
        settings = {} if scheme == "tls" else {"tls_ca": str(server.folder / "ca.pem")}
        url = plain.url.replace("nats://", f"{scheme}://")
        app = Naq("secure", broker_url=url, connect_timeout=REFUSED, **settings)  # pyright: ignore[reportArgumentType]

        async def main() -> None:
            with pytest.raises(NaqConnectionError, match="the server offers no TLS"):
                await app.connect()
            await app.close()

        asyncio.run(main())


def test_whoever_stands_in_the_servers_place_hears_no_password() -> None:
    heard: list[bytes] = []

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "X", "version": "2.15.1", "headers": True, "jetstream": True, "max_payload": 1_048_576}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        heard.append(await reader.read(4096))
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(impostor, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            app = Naq(
                "secure",
                broker_url=f"tls://127.0.0.1:{port}",
                user="ada",
                password="secret",
                connect_timeout=REFUSED,
            )
            with pytest.raises(NaqConnectionError, match="the server offers no TLS"):
                await app.connect()
            await app.close()

    asyncio.run(main())
    assert heard
    assert b"".join(heard) == b""
