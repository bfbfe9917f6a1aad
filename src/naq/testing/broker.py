"""A real NATS server for tests: on a free loopback port, with a temporary store, gone when the block ends.

::

    with bundled_server() as server:
        backend = NatsBackend(server.url)
        server.kill(); server.start()      # same port, same streams
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

from naq.backends.nats.broker.process import ServerProcess, Settings


@contextmanager
def bundled_server(
    directory: Path | None = None, *, name: str = "naq-test", **settings: Unpack[Settings]
) -> Generator[ServerProcess]:
    """A running server; see `ServerProcess` for what it can do (`url`, `kill`, `restart`, `pause`, ...).

    Args:
        directory: for its configuration, log and streams; kept. Default: a temporary one, removed at the end.
        name: of the server.
        settings: see `naq.backends.nats.broker.process.Settings`, e.g. ``durability="strict"``.

    Raises:
        ConfigurationError: there is no nats-server 2.14.2 or later: pip install "naq[dev]".
        NaqConnectionError: it did not start; says what its log says.
    """
    home = directory or Path(tempfile.mkdtemp(prefix="naq-nats-"))
    server = ServerProcess.in_folder(home, name=name, **settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        if directory is None:
            shutil.rmtree(home, ignore_errors=True)
