"""What is asked of a history: every GET of the document but streams and downloads, and lists in all their ways."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx

from benchmarks.history.depths import Place

Ask = Callable[[], tuple[str, dict[str, Any]]]
"""The next path and its parameters."""

API = "/api/v1"
PAGE = 200  # jobs of a page far behind the first
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
LEFT_OUT = {
    # Read from the broker alone, or a file, or a stream.
    "streamEvents", "downloadArtifact", "listArtifacts", "listSchedules", "getSchedule", "listDeadLetters",
    "getDeadLetter", "downloadDeadLetter", "getResult", "getMe", "explainJob", "getWaitingJob", "livez",
    # All jobs there are, which takes what it takes.
    "exportJobs",
    # A page of a tag, which is asked for as such, behind a look at the broker.
    "listScheduleRuns",
    # Of a job that runs, which none does here: what it takes is what the histogram of a task takes.
    "getPace",
    # What people set up by hand, and nobody has here: a row by its key.
    "getAlertChannel", "getBulk", "getView", "getMark",
}  # fmt: skip
DAY = 86_400
#: What an operation needs, or is asked for as much as it gives.
MOST: dict[str, dict[str, Any]] = {
    "search": {"q": "task4"}, "listWorkers": {"gone_s": 30 * DAY}, "getQueueDepth": {"minutes": 1440},
    "getWorkerMinutes": {"minutes": 1440},    "getErrorHours": {"hours": 720}, "getOverview": {"window_s": 30 * DAY},
}  # fmt: skip


def questions(client: httpx.Client, places: list[Place]) -> list[tuple[str, Ask]]:
    """By name, how to ask; `places` are those of which the pages behind them are asked for."""
    chance, found = random.Random(2), list[tuple[str, Ask]]()
    for name, text in FILTERS.items():
        for sort in SORTS if name in _SORTED else SORTS[:1]:
            found.append((f"jobs: {name}, {sort}", _always(f"{API}/jobs", filter=text, sort=sort)))
        found.append((f"jobs: {name}, counted", _always(f"{API}/jobs", filter=text, count="capped")))
        found += [(f"{of}: {name}", _always(f"{API}/jobs/{of}", filter=text)) for of in _SUMS]
    for one in places:
        params = {"filter": one.text, "sort": one.sort, "limit": PAGE, "cursor": one.cursor}
        found.append((f"jobs: {one.text or 'all'}, {one.sort}, behind {one.depth:,}", _always(f"{API}/jobs", **params)))
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


def _things(client: httpx.Client, chance: random.Random) -> dict[str, Ask]:
    """Everything else in the document, of things that are there."""
    some = [job["id"] for text in ("", "state:failed", "state:queued") for job in _items(client, "/jobs", filter=text)]
    roots = [job["id"] for job in _items(client, "/jobs", filter="task:shop.task0", limit=200)]
    values: dict[str, list[str]] = {"job_id": [*some, *roots]}
    found: dict[str, Ask] = {}
    for path, item in client.get(f"{API}/openapi.json").json()["paths"].items():
        operation = item.get("get")
        if operation is None or (name := operation["operationId"]) in LEFT_OUT or path == f"{API}/jobs":
            continue
        chosen: dict[str, list[str]] = {}
        for place, part in _parts(path):
            where = part if part in values else place
            if where not in values:
                listed = _items(client, place, **(MOST["listWorkers"] if place == "/workers" else {}))
                values[where] = [one.get(part) or one.get("id") or one["name"] for one in listed]
            if not values[where]:
                raise RuntimeError(f"{name}: there is nothing at {place} to ask for: generate some, or leave it out")
            chosen[part] = values[where]
        needs = MOST.get(name, {})

        def ask(
            path: str = path, chosen: dict[str, list[str]] = chosen, needs: dict[str, Any] = needs
        ) -> tuple[str, dict[str, Any]]:
            for part, some in chosen.items():
                path = path.replace(f"{{{part}}}", chance.choice(some))
            return path, needs

        found[name] = ask
    return found


def _parts(path: str) -> Iterator[tuple[str, str]]:
    """The parameters of a path, each with the list that has its values."""
    steps = path.split("/")
    for n, step in enumerate(steps):
        if step.startswith("{"):
            yield "/".join(steps[:n]).removeprefix(API), step[1:-1]


def _always(path: str, **params: Any) -> Ask:
    given = {name: value for name, value in params.items() if value != ""}
    return lambda: (path, given)


def _items(client: httpx.Client, path: str, **params: Any) -> list[Any]:
    answer = client.get(f"{API}{path}", params=params)
    if not answer.is_success:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:500]}")
    return answer.json()["items"]
