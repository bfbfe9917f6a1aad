"""Schedules: declared in code, and made, looked at, paused and changed while everything runs.

Prints:

    tick 1, tick 2
    next: 02:30 on 2026-03-28, 03:00 on 2026-03-29, 02:30 on 2026-03-30
    report of sales: due at 3 o'clock
    paused for the holidays: 0 runs are to come
    now every five minutes: 300 s between two runs
    and once at once: sales
"""

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from naq import Naq

app = Naq("schedules", broker_url="embedded:.naq")


@app.every(1, repeat=2)
@app.task(name="tick")
async def tick() -> str:
    return "tick"


@app.cron("30 2 * * *", name="nightly", tz="Europe/Berlin", missed="latest", overlap="skip", args=["everything"])
@app.task(name="report")
async def report(what: str) -> str:
    return what


async def declared() -> None:
    """The worker brings them into being when it starts."""
    while not [kept for kept in await app.schedules.list() if kept.name == "tick" and len(kept.past) == 2]:
        await asyncio.sleep(0.1)
    print("tick 1, tick 2")


def preview() -> None:
    """What would fire when, through the night in which the clocks change: exactly what will."""
    zone = ZoneInfo("Europe/Berlin")
    after = datetime(2026, 3, 27, 12, tzinfo=UTC).timestamp()
    slots = app.schedules.preview(3, after=after, cron="30 2 * * *", tz="Europe/Berlin")
    print("next:", ", ".join(f"{datetime.fromtimestamp(slot.due, zone):%H:%M on %Y-%m-%d}" for slot in slots))


async def made() -> None:
    sales = await app.schedules.create("sales", report.call("sales"), cron="0 3 * * *")
    [due] = await sales.upcoming(1)
    print(f"report of sales: due at {due.hour} o'clock")
    await sales.pause("holidays")
    print(f"paused for the holidays: {len(await sales.upcoming())} runs are to come")
    await sales.resume()
    await sales.edit(interval=300)
    first, second = await sales.upcoming(2)
    print(f"now every five minutes: {(second - first).seconds} s between two runs")
    job_id = await sales.run_now()  # beside the others, which stay as they are
    print("and once at once:", await app.job(job_id).result(timeout=10))
    await sales.delete()


async def main() -> None:
    async with app:
        await declared()
        preview()
        await made()


if __name__ == "__main__":
    asyncio.run(main())
