"""A broker that lost its disk under a running server: sequences begin again, and nothing that follows may be missed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from api_tools import Served, events, eventually, next_event, serving

from naq import clock
from naq.backends import from_url
from naq.config import Config
from naq.job import JobRecord, JobSpec, JobState, new_id
from naq.testing.broker import bundled_server

QUEUE = "mail"
PAYLOAD = b'{"v":1,"task":"shop.send","args":[],"kwargs":{},"at":1790000000.0}'


def act(config: Config, *, ended: int = 0, waiting: int = 0) -> list[str]:
    """A worker comes, which makes what the broker lacks; then jobs end, and others are enqueued. Their ids."""

    async def main() -> list[str]:
        backend: Any = from_url(config)
        await backend.open([QUEUE])
        now, ids = clock.now(), [new_id() for _ in range(ended + waiting)]
        for job_id in ids[:ended]:
            record = JobRecord(id=job_id, state=JobState.SUCCEEDED, queue=QUEUE, task="shop.send", finished_at=now)
            await backend.store(record, first=True)
        await backend.enqueue([JobSpec(id=job_id, payload=PAYLOAD, queue=QUEUE) for job_id in ids[ended:]])
        await backend.close()
        return ids

    return asyncio.run(main())


def states(served: Served) -> dict[str, str]:
    with served.client() as client:
        answer = client.get("/api/v1/jobs", params={"limit": 200})
        return {one["id"]: one["state"] for one in answer.json()["items"]} if answer.is_success else {}


@pytest.mark.parametrize("after", [3, 40], ids=["the-new-log-is-shorter", "the-new-log-is-longer"])
def test_the_history_goes_on_and_who_watches_begins_anew(tmp_path: Path, after: int) -> None:
    with bundled_server(tmp_path / "broker") as broker:
        config = Config(broker_url=broker.url, namespace="wiped")
        before = act(config, ended=20, waiting=2)
        with serving(config, tmp_path, sse_heartbeat=0.2) as served, served.client() as client:
            eventually(lambda: set(before) <= states(served).keys(), "the history knows the first jobs")
            with client.stream("GET", "/api/v1/events", params={"topics": f"job:{before[0]}"}) as answer:
                stream = events(answer)
                first = next_event(stream, "hello")
                broker.kill()
                shutil.rmtree(broker.config.store_dir)
                broker.start()
                later = act(config, ended=after, waiting=2)
                said = next_event(stream, "reset")
                assert said["reason"] == "generation"
                assert said.id.partition("-")[0] != first.id.partition("-")[0]
            eventually(lambda: set(later) <= states(served).keys(), "the history knows what came after")
            known = states(served)
            assert [known[job_id] for job_id in later] == ["succeeded"] * after + ["queued"] * 2
            assert set(before) <= known.keys()
            assert client.get("/readyz").json()["ready"] is True
            more = act(config, ended=2)
            eventually(lambda: set(more) <= states(served).keys(), "it goes on")
            # Who comes back with an id of the old log is told, too.
            headers = {"Last-Event-ID": first.id}
            with client.stream("GET", "/api/v1/events", params={"topics": "queues"}, headers=headers) as answer:
                assert next_event(events(answer), "reset")["reason"] == "generation"
