"""python -m benchmarks.check [JOBS]: how long ``naq check --against`` takes, with a server of its own.

JOBS (default 100,000) wait: half of them as they should be, some of an older version, some that do not fit any more.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from typing import Any

from msgspec import Raw
from msgspec.json import encode

from naq import Naq
from naq.check import read_broker
from naq.codec.envelope import VERSION, Envelope, encode_envelope
from naq.job import JobSpec, new_id
from naq.testing.broker import bundled_server

JOBS = 100_000
_SLICE = 10_000


def declare(app: Naq) -> None:
    @app.task(name="send", version=2)
    async def send(to: str, lines: list[str], copies: int = 1) -> None: ...

    @send.upcast(1)
    def _(to: str, text: str) -> dict[str, Any]:
        return {"to": to, "lines": text.splitlines()}


def job(number: int) -> JobSpec:
    """One of them, by its number."""
    match number % 10:
        case 0 | 1 | 2:
            version, args = 1, ["ada@example.org", f"line\nline {number}"]
        case 3:
            version, args = 2, ["ada@example.org", "no list"]
        case _:
            version, args = 2, ["ada@example.org", ["line", f"line {number}"]]
    payload = encode_envelope(Envelope(v=VERSION, task="send", args=Raw(encode(args)), at=1.0, version=version))
    return JobSpec(id=new_id(), payload=payload, run_at=4e9 if number % 2 else None, fresh=True)


async def main(count: int) -> None:
    with bundled_server() as server:
        app = Naq("bench-check", broker_url=server.url)
        declare(app)
        async with app:
            backend = await app.connect()
            for begin in range(0, count, _SLICE):
                await backend.enqueue([job(number) for number in range(begin, min(begin + _SLICE, count))])
            begun, used = time.perf_counter(), time.process_time()
            report = await read_broker(backend, app, app.config)
            took, used = time.perf_counter() - begun, time.process_time() - used
    assert sum(report.jobs.values()) == count
    assert sum(each.count for each in report.refused) == count // 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count:,} jobs: {took:.2f} s ({count / took:,.0f}/s), {used:.2f} s of CPU here, {peak:.0f} MiB at most")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else JOBS))
