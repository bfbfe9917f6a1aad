"""Why does a job not run? The first thing that keeps it, and the earliest time it can.

Prints:

    not due: in an hour
    parents: yes
    paused: queue mail is paused
    running it after all: Ada
"""

import asyncio
import time

from naq import Naq

app = Naq("why", broker_url="embedded:.naq")


@app.task(queue="mail")
async def welcome(name: str) -> str:
    return name


@app.task
async def tidy() -> None: ...


async def main() -> None:
    async with app:
        later = await tidy.options(delay=3600).enqueue()
        why = await later.why()
        print(f"{why.cause}: in {'an hour' if 3500 < why.earliest - time.time() <= 3600 else 'no time'}")

        after = await tidy.options(depends_on=[later]).enqueue()
        why = await after.why()
        print(f"{why.cause}: {'yes' if later.id in why.text else why.text}")

        await app.backend.pause("mail")  # a person: naq queues pause mail --reason "the provider is down"
        held = await welcome.enqueue("Ada")
        why = await held.why()
        print(f"{why.cause}: {why.text}")
        await app.backend.resume("mail")
        print(f"running it after all: {await held.result(timeout=30)}")


if __name__ == "__main__":
    asyncio.run(main())
