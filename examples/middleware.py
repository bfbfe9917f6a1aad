"""Middleware: code around every enqueue and every attempt. Here it carries the tenant from a request into the task.

Prints:

    enqueued 1 job of greet
    acme: hello, ada
    enqueued 2 jobs of greet
    initech: hello, bob
    initech: hello, eve
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any

from naq import Context, Naq
from naq.middleware import Logging, Middleware, NewJob

tenant: ContextVar[str] = ContextVar("tenant")


class Tenant(Middleware):
    async def enqueue(self, jobs: Sequence[NewJob], call_next: Callable[[], Awaitable[None]]) -> None:
        for job in jobs:
            job.headers["X-Tenant"] = tenant.get()
        await call_next()
        print(f"enqueued {len(jobs)} job{'s' if len(jobs) > 1 else ''} of {jobs[0].task}")

    async def run(self, context: Context, call_next: Callable[[], Awaitable[Any]]) -> Any:
        tenant.set(context.headers["X-Tenant"])  # for this attempt alone
        return await call_next()


app = Naq("middleware", broker_url="embedded:.naq", middleware=[Tenant(), Logging()])


@app.task(name="greet")
def greet(name: str) -> str:
    return f"{tenant.get()}: hello, {name}"


async def main() -> None:
    async with app:
        tenant.set("acme")
        job = await greet.enqueue("ada")
        print(await job.result(timeout=10))
        tenant.set("initech")
        for job in await greet.enqueue_many([greet.call("bob"), greet.call("eve")]):
            print(await job.result(timeout=10))


if __name__ == "__main__":
    asyncio.run(main())
