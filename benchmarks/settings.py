"""Where the services are. Read by the harness and, through the environment, by every process it starts."""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

REDIS_DATABASE = 11  # ours alone: cleaned between rounds, and refused if somebody else's keys are in it
POSTGRES_SCHEMA = "naq_bench"  # ours alone: dropped and made anew between rounds
NATS = "BENCH_NATS_URL"  # set by the harness, which starts that server
WINDOW = 20  # calls gathered at once for systems that have no bulk call; 50, 100 and 500 were slower for all three
CONCURRENCY = "BENCH_CONCURRENCY"  # jobs at once in a worker process; set it to try another than a system's own
MEASURE = "BENCH_MEASURE"  # what is being measured, for settings that differ between throughput and latency


def redis_url() -> str:
    parts = urlsplit(os.environ.get("NAQ_TEST_REDIS_URL", "redis://127.0.0.1:6379"))
    return urlunsplit(parts._replace(path=f"/{REDIS_DATABASE}"))


def postgres_url() -> str:
    return os.environ.get("NAQ_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")


def nats_url() -> str:
    return os.environ[NATS]


def measure() -> str:
    return os.environ.get(MEASURE, "")


def windows(jobs: range, size: int = WINDOW) -> list[range]:
    """`jobs` in pieces of `size`."""
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]
