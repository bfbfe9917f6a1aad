"""Middleware: code around every enqueue and every attempt. Here it carries the tenant from a request into the task.

A ready-made one beside it reports errors to whoever collects them.

Prints:

    enqueued 1 job of greet
    acme: hello, ada
    enqueued 2 jobs of greet
    initech: hello, bob
    initech: hello, eve
    enqueued 1 job of greet
    reported: ValueError: nobody is no name, in greet for initech
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from naq import Context, JobExecutionError, Naq
from naq.middleware import ErrorReporting, Logging, Middleware, NewJob

tenant: ContextVar[str] = ContextVar("tenant")
REPORTS = Path("reports.txt").absolute()  # the worker is another process, so what it says goes through a file


class Tenant(Middleware):
    async def enqueue(self, jobs: Sequence[NewJob], call_next: Callable[[], Awaitable[None]]) -> None:
        for job in jobs:
            job.headers["X-Tenant"] = tenant.get()
        await call_next()
        print(f"enqueued {len(jobs)} job{'s' if len(jobs) > 1 else ''} of {jobs[0].task}")

    async def run(self, context: Context, call_next: Callable[[], Awaitable[Any]]) -> Any:
        tenant.set(context.headers["X-Tenant"])  # for this attempt alone
        return await call_next()


def report(error: BaseException, context: Context) -> None:
    with REPORTS.open("a") as file:  # or sentry_sdk.capture_exception(error)
        file.write(f"{type(error).__name__}: {error}, in {context.task} for {tenant.get()}\n")


app = Naq("middleware", broker_url="embedded:.naq", middleware=[Tenant(), Logging(), ErrorReporting(report)])


@app.task(name="greet")
def greet(name: str) -> str:
    if name == "nobody":
        raise ValueError("nobody is no name")
    return f"{tenant.get()}: hello, {name}"


async def main() -> None:
    async with app:
        tenant.set("acme")
        job = await greet.enqueue("ada")
        print(await job.result(timeout=10))
        tenant.set("initech")
        for job in await greet.enqueue_many([greet.call("bob"), greet.call("eve")]):
            print(await job.result(timeout=10))
        failing = await greet.enqueue("nobody")
        try:
            await failing.result(timeout=10)
        except JobExecutionError:
            print("reported:", REPORTS.read_text(), end="")
    REPORTS.unlink()


if __name__ == "__main__":
    asyncio.run(main())
