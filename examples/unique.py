"""Unique: one job of what means the same, while it waits or runs, or for a time; and debounce.

Prints:

    the same account, whichever way its key is written: one job
    another account: another job
    a warning, and the same within a minute: new, there already
    five edits, one after the other: indexed edit 4, once
    by its arguments, from a queue: one job
"""

import asyncio
import secrets

from naq import Naq, Queue

app = Naq("unique", broker_url="embedded:.naq")
indexed: list[str] = []


@app.task
async def sync_account(account: int) -> None: ...


@app.task(throttle=60)
async def warn(what: str) -> None: ...


@app.task(unique_by="page", debounce=0.5)
async def index_page(page: str, edit: int) -> tuple[int, int]:
    indexed.append(page)
    return edit, indexed.count(page)


@app.task(unique_by=("year", "month"))
async def close_month(year: int, month: int, note: str = "") -> None: ...


async def main() -> None:
    run = secrets.token_hex(4)  # random only so that this example can be run twice
    async with app:
        later = sync_account.options(delay=3600)
        first = await later.options(unique={"run": run, "account": 1}).enqueue(1)
        again = await later.options(unique={"account": 1.0, "run": run}).enqueue(1)
        print(f"the same account, whichever way its key is written: {'one job' if again.id == first.id else 'two'}")
        other = await later.options(unique={"account": 2, "run": run}).enqueue(2)
        print(f"another account: {'the same job' if other.duplicate else 'another job'}")

        warnings = [await warn.enqueue(f"disk {run}") for _ in range(2)]
        said = ["there already" if job.duplicate else "new" for job in warnings]
        print(f"a warning, and the same within a minute: {', '.join(said)}")

        edits = [await index_page.enqueue(f"home {run}", edit) for edit in range(5)]
        edit, times = await edits[0].result(timeout=30)
        print(f"five edits, one after the other: indexed edit {edit}, {'once' if times == 1 else f'{times} times'}")

        queue = Queue("books", app=app)
        months = [await queue.enqueue_in(3600, close_month, 2026, 1, note=f"{n} {run}") for n in range(2)]
        print(f"by its arguments, from a queue: {'one job' if months[1].id == months[0].id else 'two'}")
        await months[0].cancel()


if __name__ == "__main__":
    asyncio.run(main())
