"""Once: the same job id is one job, for as long as the job or its record (7 days) exists. Enqueueing again is safe.

Prints:

    first: new
    again: there already
    invoice 1001 sent
"""

import asyncio
import secrets

from naq import Naq

app = Naq("once", broker_url="embedded:.naq")


@app.task
async def send_invoice(number: int) -> str:
    return f"invoice {number} sent"


async def main() -> None:
    job_id = f"invoice-1001-{secrets.token_hex(4)}"  # random only so that this example can be run twice
    async with app:
        for time in ("first", "again"):
            job = await send_invoice.options(job_id=job_id).enqueue(1001)
            print(f"{time}: {'there already' if job.duplicate else 'new'}")
        print(await app.job(job_id).result(timeout=10))  # the id is enough to ask for it, from anywhere


if __name__ == "__main__":
    asyncio.run(main())
