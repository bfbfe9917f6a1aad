"""The bundled nats-server on a free port with an empty store, for one round."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from benchmarks.process import OWN, Child

READY_TIMEOUT = 15.0  # seconds
CONFIGURATION = """
listen: "127.0.0.1:{port}"
server_name: bench
max_payload: 8MB
write_deadline: "10s"
jetstream {{ store_dir: "{store}", sync_interval: "250ms", max_file_store: 20GB, max_memory_store: 256MB }}
"""


def start(folder: Path) -> tuple[Child, str]:
    """The server's process and its URL; it accepts connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = folder / "nats.conf"
    configuration.write_text(CONFIGURATION.format(port=port, store=folder / "jetstream"))
    server = Child([OWN / "nats-server", "-c", configuration], {}, folder / "nats.log")
    deadline = time.monotonic() + READY_TIMEOUT
    while True:
        server.check()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                server.stop()
                raise
            time.sleep(0.02)
        else:
            return server, f"nats://127.0.0.1:{port}"
