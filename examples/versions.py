"""Versions of a task's parameters: jobs that an older program enqueued are read as the task is now; and expiry.

Prints:

    enqueued by version 1: to ada at example.org, in en
    enqueued by version 2: to bob at example.org, in de
    enqueued by version 3: to eve at example.org, in fr
    a job that came too late: expired, not started before its expires_at
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from naq import JobState, Naq

app = Naq("versions", broker_url="embedded:.naq")


@dataclass
class Address:
    user: str
    host: str


@app.task(name="greet", version=3)
async def greet(to: Address, language: str) -> str:
    return f"to {to.user} at {to.host}, in {language}"


@greet.upcast(1)
def _(email: str) -> dict[str, Any]:
    return {"email": email, "language": "en"}


@greet.upcast(2)
def _(email: str, language: str) -> dict[str, Any]:
    user, _, host = email.partition("@")
    return {"to": Address(user, host), "language": language}


@app.task(name="nobody", queue="nobody-works-here")
async def nobody() -> None: ...


def deployed_before() -> tuple[Naq, Naq]:
    """The programs of last month and of last week, which know their own form of the task."""
    first, second = (Naq("versions", broker_url="embedded:.naq") for _ in range(2))

    @first.task(name="greet")
    async def greet_1(email: str) -> str: ...

    @second.task(name="greet", version=2)
    async def greet_2(email: str, language: str) -> str: ...

    return first, second


async def main() -> None:
    first, second = deployed_before()
    async with app, first, second:
        jobs = [
            await first.get_task("greet").enqueue("ada@example.org"),
            await second.get_task("greet").enqueue("bob@example.org", language="de"),
            await greet.enqueue(Address("eve", "example.org"), "fr"),
        ]
        for version, job in enumerate(jobs, 1):
            print(f"enqueued by version {version}: {await job.result(timeout=30)}")

        late = await nobody.options(expires_in=0.2, queue="default", delay=0.1).enqueue()
        await app.backend.pause("default")
        await asyncio.sleep(0.3)
        await app.backend.resume("default")
        record = await app.backend.wait(late.id, timeout=30)
        print(f"a job that came too late: {JobState(record.state).value}, {record.reason}")


if __name__ == "__main__":
    asyncio.run(main())
