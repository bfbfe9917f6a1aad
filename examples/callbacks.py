"""Callbacks: functions called when a job starts, succeeds, is tried again, fails or ends. None of them can change it.

Prints:

    starts attempt 1
    tried again in 0.1 s: OSError: the mail server is away
    starts attempt 2
    succeeded with 'sent to ada'
    ended: succeeded
    starts attempt 1
    failed: ValueError: 'nobody' has no address
    ended: failed
"""

import asyncio
from pathlib import Path

from naq import AttemptError, Context, JobRecord, Naq, Retry, current_context

app = Naq("callbacks", broker_url="embedded:.naq")
NOTES = Path("notes.txt").absolute()  # the worker is another process, so what it says goes through a file


def note(context: Context, text: str) -> None:
    context.logger.info(text)  # with the job's id, task and attempt as fields
    with NOTES.open("a") as file:
        file.write(f"{text}\n")


def started(context: Context) -> None:
    note(context, f"starts attempt {context.attempt}")


@app.task(retry=Retry(max_attempts=2, delays=(0.1,), give_up_on=(ValueError,)), on_start=started)
async def send(to: str) -> str:
    if to == "nobody":
        raise ValueError("'nobody' has no address")
    if current_context().attempt == 1:
        raise OSError("the mail server is away")
    return f"sent to {to}"


@send.on_success
def succeeded(context: Context, result: str) -> None:
    note(context, f"succeeded with {result!r}")


@send.on_retry
async def tried_again(context: Context, error: AttemptError, delay: float) -> None:
    note(context, f"tried again in {delay:g} s: {error.type.rpartition('.')[2]}: {error.message}")


@send.on_failure
async def failed(context: Context, error: AttemptError) -> None:
    note(context, f"failed: {error.type.rpartition('.')[2]}: {error.message}")


@app.on_complete  # of every task of the app
def ended(context: Context, record: JobRecord) -> None:
    note(context, f"ended: {record.state}")


async def main() -> None:
    NOTES.write_text("")
    async with app:
        for number, to in enumerate(("ada", "nobody"), start=1):
            await send.enqueue(to)
            while NOTES.read_text().count("ended") < number:  # callbacks come after the result
                await asyncio.sleep(0.05)
    print(NOTES.read_text(), end="")
    NOTES.unlink()


if __name__ == "__main__":
    asyncio.run(main())
