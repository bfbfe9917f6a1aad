"""The REST API: a job enqueued, refused, awaited and found again, many in a batch, and a stream of what happens.

    python examples/server/api.py

Needs `pip install "naq[server]"`. Starts a broker, a worker and a server of its own; nothing is left behind. In earnest
it is `naq dev`, and the address that it prints.

Prints:

    greet takes: name, excited
    refused: /kwargs/name, 5 is not of type "string"
    result: Hello, world!
    the same again is the same job: True
    stored 3, refused /jobs/3/kwargs/name
    found: ['Ann']
    live: running, then succeeded
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx

from naq import Naq
from naq.config import Config
from naq.config.server import ServerConfig
from naq.server.serve import Serving
from naq.testing.broker import bundled_server
from naq.worker import Worker


async def greet(name: str, excited: bool = True) -> str:
    """Greet somebody. The server has none of this code: it knows what its worker says of it."""
    await asyncio.sleep(0.7 if name == "slow" else 0)
    return f"Hello, {name}{'!' if excited else '.'}"


def described(client: httpx.Client, task: str) -> dict[str, Any]:
    """What workers say of a task, once one has."""
    while True:
        found = client.get(f"/tasks/{task}")
        if found.status_code == 200 and found.json()["arguments"]:
            return dict(found.json())
        time.sleep(0.1)


def jobs(client: httpx.Client, text: str) -> list[dict[str, Any]]:
    """The jobs that fit a filter, once the history has seen some."""
    while True:
        if found := client.get("/jobs", params={"filter": text}).json()["items"]:
            return list(found)
        time.sleep(0.1)


def events(client: httpx.Client, topics: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and data of what is told, the greeting first."""
    with client.stream("GET", "/events", params={"topics": topics}) as stream:
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def story(address: str) -> None:
    """What a program in any language can do."""
    with httpx.Client(base_url=f"{address}/api/v1", trust_env=False, timeout=30) as client:
        print("greet takes:", ", ".join(described(client, "greet")["arguments"]["x-positional"]))

        refused = client.post("/jobs", json={"task": "greet", "kwargs": {"name": 5}})
        [error] = refused.json()["errors"]
        print(f"refused: {error['pointer']}, {error['message']}")

        once = {"Idempotency-Key": "order-17"}  # sent twice, it is done once
        job = client.post("/jobs", json={"task": "greet", "args": ["world"]}, headers=once).json()
        print("result:", client.get(f"/jobs/{job['id']}/result", params={"wait": "20s"}).json()["result"])
        again = client.post("/jobs", json={"task": "greet", "args": ["world"]}, headers=once).json()
        print("the same again is the same job:", again["id"] == job["id"])

        calls: list[dict[str, Any]] = [{"task": "greet", "kwargs": {"name": name}, "delay_ms": 3_600_000} for name in
                                       ("Ann", "Bob", "Cleo", 4)]  # fmt: skip
        batch = client.post("/jobs/batch", json={"jobs": calls}).json()
        print(f"stored {batch['stored']}, refused {batch['results'][3]['errors'][0]['pointer']}")
        found = jobs(client, "task:greet state:scheduled args.name:An*")
        print("found:", [client.get(f"/jobs/{one['id']}").json()["kwargs"]["name"] for one in found])

        told = events(client, "job:watched")
        next(told)  # hello: from here on nothing is missed
        client.post("/jobs", json={"task": "greet", "args": ["slow"], "job_id": "watched"})
        states = [str(next(told)[1]["patch"]["state"]) for _ in range(2)]
        print("live:", ", then ".join(states))


async def main() -> None:
    """Run all of it."""
    with bundled_server() as broker, tempfile.TemporaryDirectory() as folder:
        app = Naq("greeter", broker_url=broker.url)
        app.task(name="greet")(greet)
        worker, config = Worker(app), Config(broker_url=broker.url, namespace="greeter")
        settings = ServerConfig(port=0, database=f"sqlite:///{Path(folder)}/server.db")
        serving = Serving(config, settings)
        running = [asyncio.create_task(worker.run()), asyncio.create_task(serving.run())]
        await worker.wait_ready()
        await asyncio.to_thread(story, serving.address)
        serving.stop()
        worker.stop()
        await asyncio.gather(*running)


if __name__ == "__main__":
    asyncio.run(main())
