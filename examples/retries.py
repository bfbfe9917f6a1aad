"""Retries: how often, how long to wait, for which errors; and what an error looks like in the end.

Prints:

    after 3 attempts: 21.5 degrees
    printed at attempt 3
    task 'retries.parse' failed at attempt 1: builtins.ValueError: not a number: 'warm'
"""

import asyncio

from naq import JobExecutionError, Naq, Retry, current_context

app = Naq("retries", broker_url="embedded:.naq")


# Waits 0.1 s, then 0.2 s, 0.4 s, ... at most 5 s; jitter, which is on unless said otherwise, spreads crowds.
@app.task(retry=Retry(max_attempts=5, backoff="exponential", base=0.1, cap=5.0))
async def read_sensor() -> str:
    attempt = current_context().attempt
    if attempt < 3:
        raise TimeoutError("the sensor does not answer")
    return f"after {attempt} attempts: 21.5 degrees"


# A list says how long to wait before each retry, and so how many there are.
@app.task(retry=[0.1, 0.3])
def print_out() -> str:
    attempt = current_context().attempt
    if attempt < 3:
        raise OSError("out of paper")
    return f"printed at attempt {attempt}"


# What trying again cannot mend is not tried again.
@app.task(retry=Retry(max_attempts=5, give_up_on=(ValueError,)))
async def parse(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"not a number: {text!r}") from None


async def main() -> None:
    async with app:
        reading = await read_sensor.enqueue()
        printed = await print_out.enqueue()
        parsed = await parse.enqueue("warm")
        print(await reading.result(timeout=10))
        print(await printed.result(timeout=10))
        try:
            await parsed.result(timeout=10)
        except JobExecutionError as error:
            print(str(error).partition(" (job")[0])


if __name__ == "__main__":
    asyncio.run(main())
