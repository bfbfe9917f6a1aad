"""Retries: so many, after such delays; and what is left when they run out.

Run, in two terminals:

    naq worker -m retries
    python retries.py

Prints:

    21.5 degrees, at attempt 3
    the delays: 0.1, 0.2, then 0.2 s
    task 'retries.give_up' failed at attempt 2: builtins.ValueError: there is no sensor
"""

import asyncio

import naq


def read_sensor() -> str:
    attempt = naq.current_context().attempt
    if attempt < 3:
        raise TimeoutError("the sensor does not answer")
    return f"21.5 degrees, at attempt {attempt}"


def give_up() -> None:
    raise ValueError("there is no sensor")


async def main() -> None:
    queue = naq.Queue()
    # A list says how long to wait before each retry; max_retries says how often, and the last delay repeats.
    reading = await queue.enqueue(read_sensor, max_retries=5, retry_delay=[0.1, 0.2])
    print(await reading.result(timeout=10))
    print("the delays: {}, {}, then {} s".format(*(reading.get_retry_delay(attempt) for attempt in (1, 2, 3))))

    failing = await queue.enqueue(give_up, max_retries=1, retry_delay=0.1)
    try:
        await failing.result(timeout=10)
    except naq.JobExecutionError as error:
        print(str(error).partition(" (job")[0])
    await naq.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
