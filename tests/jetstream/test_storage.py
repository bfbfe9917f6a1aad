"""How full a broker is, where its account has a limit: what it says of itself, and what an alert makes of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from naq.backends import from_url
from naq.backends.base import Backend
from naq.backends.nats.broker.binary import find_binary
from naq.backends.nats.broker.ports import free_ports
from naq.config import Config
from naq.exceptions import NaqBackpressureError
from naq.job import JobSpec, new_id

LIMIT = 8 * 1024 * 1024  # bytes that the account may hold on disk
CONFIG = """
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{folder}/jetstream" }}
accounts {{
  SHOP {{ jetstream: {{ max_file: {limit}, max_mem: {limit} }}, users: [{{ user: ada, password: secret }}] }}
}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Generator[Config]:
    """A broker whose account may hold `LIMIT` bytes."""
    port = free_ports(1)[0]
    (tmp_path / "nats.conf").write_text(CONFIG.format(port=port, folder=tmp_path, limit=LIMIT), encoding="utf-8")
    with (tmp_path / "nats.log").open("wb") as log:
        command = [str(find_binary().path), "-c", str(tmp_path / "nats.conf")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield Config(broker_url=f"nats://127.0.0.1:{port}", user="ada", password="secret", connect_timeout=20.0)
    finally:
        process.kill()
        process.wait()


async def _fill(backend: Backend) -> None:
    for _ in range(LIMIT // 500_000 + 1):
        await backend.enqueue([JobSpec(id=new_id(), queue="mail", payload=os.urandom(500_000))])


def test_the_limit_of_the_account_is_known_and_how_near_it_is(config: Config) -> None:
    async def main() -> None:
        backend: Backend = from_url(config)
        await backend.open(["mail"])
        try:
            whole, *parts = await backend.storage()
            assert (whole.part, whole.limit) == ("", LIMIT)
            assert {part.part for part in parts} == {f"NAQ_default_{name}" for name in ("JOBS", "LOG", "DEAD", "STATE")}
            assert all(part.limit is None for part in parts), "naq's streams have no limits of their own"
            with pytest.raises(NaqBackpressureError):
                await _fill(backend)
            whole = (await backend.storage())[0]
            assert whole.limit is not None
            assert 0.9 < whole.used / whole.limit <= 1.0
        finally:
            await backend.close()

    asyncio.run(main())
