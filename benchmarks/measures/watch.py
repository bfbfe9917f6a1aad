"""Clients of live events on plain sockets: python -m benchmarks.measures.watch HOST:PORT CLIENTS JOB... (see `sse`).

Says ``ready`` once all watch, and what they saw, as JSON, when its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from datetime import datetime
from typing import Any

import uvloop

from benchmarks.measure import percentile

STALL = 10  # every so manieth client accepts nothing
WATCHED = 20  # jobs of one client: the rows on a screen
SMALL = 4096  # bytes that a stalled client's kernel takes: soon the server cannot send
AGAIN = 1.0  # seconds until a client whose stream ended comes back
STALLS = 90.0  # seconds for which a stalled client reads nothing, before it comes again: longer than buffers last
_AT = re.compile(rb'event: job\.[a-z]+\ndata: .*?"at":"([^"]+)"')


class Seen:
    """What all clients saw: `late` seconds of each event, and how many."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.watching = self.resets = 0

    def read(self, data: bytes) -> None:
        now = time.time()
        self.late += [now - datetime.fromisoformat(found.decode()).timestamp() for found in _AT.findall(data)]
        self.resets += data.count(b"event: reset")


async def watch(address: str, number: int, jobs: list[str], seen: Seen) -> None:
    """One client, that comes back whenever its stream ends."""
    host, _, port = address.rpartition(":")
    mine = [jobs[(number * 7 + n * 11) % len(jobs)] for n in range(WATCHED)]
    topics = ",".join(["jobs", "queues", "overview", *(f"job:{job}" for job in mine)])
    request = f"GET /api/v1/events?topics={topics} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()
    stalled = number % STALL == 0
    while True:
        made = socket.socket()
        if stalled:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (host, int(port)))
        reader, writer = await asyncio.open_connection(sock=made, limit=SMALL if stalled else 2**20)
        try:
            writer.write(request)
            if b" 200 " not in await reader.readuntil(b"\r\n\r\n"):  # it has not reached the broker yet
                await asyncio.sleep(AGAIN)
                continue
            await reader.readuntil(b"event: hello")
            seen.watching += 1
            if stalled:
                reading: Any = writer.transport
                reading.pause_reading()
                await asyncio.sleep(STALLS)
            else:
                await _follow(reader, seen)
        except (OSError, asyncio.IncompleteReadError):
            pass  # ended by the server
        finally:
            writer.transport.abort()
        await asyncio.sleep(AGAIN)


async def _follow(reader: asyncio.StreamReader, seen: Seen) -> None:
    rest = b""
    while data := await reader.read(2**20):
        whole, _, rest = (rest + data).rpartition(b"\n\n")
        seen.read(whole)


async def main() -> None:
    address, count, *jobs = sys.argv[1:]
    clients, seen = int(count), Seen()
    tasks = [asyncio.ensure_future(watch(address, n, jobs, seen)) for n in range(clients)]
    while seen.watching < clients:
        await asyncio.wait(tasks, timeout=0.1, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()
    print("ready", flush=True)
    seen.late.clear()
    await asyncio.to_thread(sys.stdin.read)
    late = [each * 1000 for each in seen.late]
    print(json.dumps({
        "clients": clients, "stalled": len(range(0, clients, STALL)), "resets": seen.resets,
        "told": len(late), "p50_ms": percentile(late, 50), "p95_ms": percentile(late, 95), "max_ms": max(late),
    }), flush=True)  # fmt: skip
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    uvloop.run(main())
