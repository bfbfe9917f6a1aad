"""What is asked of a history: every GET of the document but streams and downloads, and lists in all their ways."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle
from typing import Any

import httpx2 as httpx

Ask = Callable[[], tuple[str, dict[str, Any]]]
"""The next path and its parameters."""

API = "/api/v1"
DEPTH = 60  # pages of 200 that are walked before a deep one is asked for
FILTERS = {
    "all": "",
    "one state": "state:failed",
    "two states": "state:failed,cancelled",
    "waiting": "state:queued",
    "task": "task:shop.task3",
    "rare task and state": "task:shop.task40 state:failed",
    "queue and state": "queue:q3 state:succeeded",
    "queue and task": "queue:q3 task:shop.task3",
    "worker": "worker:worker-7",
    "fingerprint": f"fingerprint:{3:016x}",
    "tag": "tag:tenant=t20",
    "tag and state": "tag:tenant=t20 state:failed",
    "text of errors": 'error:"order 77"',
    "absent text": "args:nowhere",
    "path in arguments": "args.0:7",
    "not a task": "-task:shop.task0",
    "slow of a task": "duration:>60s task:shop.task1",
    "lately": "created:<1h",
    "long ago": "created:>20d",
    "roots": "is:root",
    "late": "is:late",
    "retried": "is:retried",
    "a word": "task41",
}
SORTS = ("-created_at", "created_at", "-started_at", "-finished_at", "-duration")
#: Read from the broker alone, or a file, or a stream; and all jobs there are, which takes what it takes.
LEFT_OUT = {
    "streamEvents", "downloadArtifact", "listArtifacts", "getSchedule", "getDeadLetter", "getResult", "getMe",
    "exportJobs", "explainJob", "getWaitingJob",
}  # fmt: skip
DAY = 86_400


def questions(client: httpx.Client) -> list[tuple[str, Ask]]:
    """By name, how to ask."""
    chance, found = random.Random(2), list[tuple[str, Ask]]()
    for name, text in FILTERS.items():
        for sort in SORTS if name in _SORTED else SORTS[:1]:
            found.append((f"jobs: {name}, {sort}", _always(f"{API}/jobs", filter=text, sort=sort)))
        found.append((f"jobs: {name}, counted", _always(f"{API}/jobs", filter=text, count="capped")))
        found += [(f"{of}: {name}", _always(f"{API}/jobs/{of}", filter=text)) for of in _SUMS]
    found += [(f"jobs: {name}, page {DEPTH}", _deep(client, text)) for name, text in FILTERS.items() if name in _LONG]
    found += [(name, ask) for name, ask in _things(client, chance).items()]
    charts = [(scope, name, days) for scope, name in (("all", ""), ("task", "shop.task0"), ("queue", "q0"))
              for days in (1, 7, 30)]  # fmt: skip
    for scope, name, days in charts:
        window = {"window_s": days * DAY, "scope": scope, "name": name}
        found.append((f"trends: {scope}, {days} d", _always(f"{API}/trends", **window)))
        found.append((f"durations: {scope}, {days} d", _always(f"{API}/durations", **window)))
    found += [(f"stats: {scope}, {days} d", _always(f"{API}/stats", scope=scope, window_s=days * DAY))
              for scope in ("task", "queue") for days in (1, 30)]  # fmt: skip
    found += [(f"search: {q}", _always(f"{API}/search", q=q)) for q in ("task4", "01", "worker-3", "nothing there")]
    return found


_SORTED = {"all", "one state", "worker", "absent text"}  # in every order: a walk of its own, and sifting
_SUMS = ("states", "facets", "histogram")
_LONG = {"all", "one state", "task", "tag"}


def _things(client: httpx.Client, chance: random.Random) -> dict[str, Ask]:
    """Everything else in the document, of things that are there."""
    some = [job["id"] for text in ("", "state:failed", "state:queued") for job in _items(client, "/jobs", filter=text)]
    roots = [job["id"] for job in _items(client, "/jobs", filter="task:shop.task0", limit=200)]
    lists = {name: _items(client, f"/{name}", limit=100) for name in ("errors", "workers", "queues", "tasks")}
    values: dict[str, list[str]] = {
        "job_id": [*some, *roots],
        "fingerprint": [one["fingerprint"] for one in lists["errors"]],
        "queue": [one["name"] for one in lists["queues"]],
        "task": [one["name"] for one in lists["tasks"]],
        "worker_id": [one["id"] for one in lists["workers"]],
    }
    found: dict[str, Ask] = {}
    for path, item in client.get(f"{API}/openapi.json").json()["paths"].items():
        operation = item.get("get")
        if operation is None or operation["operationId"] in LEFT_OUT or path == f"{API}/jobs":
            continue
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if any(not values.get(name) for name in names):
            continue
        needs = {"q": "task4"} if path.endswith("/search") else {}

        def ask(
            path: str = path, names: list[str] = names, needs: dict[str, str] = needs
        ) -> tuple[str, dict[str, Any]]:
            for name in names:
                path = path.replace(f"{{{name}}}", chance.choice(values[name]))
            return path, needs

        found[operation["operationId"]] = ask
    return found


def _always(path: str, **params: Any) -> Ask:
    given = {name: value for name, value in params.items() if value != ""}
    return lambda: (path, given)


def _deep(client: httpx.Client, text: str) -> Ask:
    """Pages far behind the first, by walking there."""
    places: list[str] = []
    params: dict[str, Any] = {"filter": text, "limit": 200}
    for page in range(DEPTH):
        cursor = client.get(f"{API}/jobs", params=params).json()["next_cursor"]
        if cursor is None:
            break
        params["cursor"] = cursor
        if page > DEPTH - 10:
            places.append(cursor)
    given = cycle(places or [params.get("cursor", "")])
    return lambda: (f"{API}/jobs", {"filter": text, "limit": 200, "cursor": next(given)})


def _items(client: httpx.Client, path: str, **params: Any) -> list[Any]:
    return client.get(f"{API}{path}", params=params).json()["items"]
