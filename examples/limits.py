"""Limits: how often, how many at once, for the whole fleet of workers.

Prints:

    10 calls at 5 a second took more than a second: True
    of 6 exports, never more than 2 at once: True
    password reset: sent, sent, not now
"""

import asyncio
import secrets
import time

from naq import Naq
from naq.exceptions import RateLimited

app = Naq("limits", broker_url="embedded:.naq")


@app.task(rate="5/s")
async def call_api(number: int) -> tuple[int, float]:
    return number, time.time()


running: list[str] = []


@app.task(group="exports", group_max_concurrency=2)
async def export_orders(tenant: str) -> int:
    return await export(tenant)


@app.task(group="exports", group_max_concurrency=2)
async def export_invoices(tenant: str) -> int:
    return await export(tenant)


async def export(tenant: str) -> int:
    running.append(tenant)
    try:
        at_once = len(running)
        await asyncio.sleep(0.1)
        return at_once
    finally:
        running.remove(tenant)


@app.task(group_key="tenant", group_max_concurrency=1)
async def recount(tenant: str) -> None: ...


@app.task(rate="2/h", rate_key="address", rate_mode="reject")
async def reset_password(address: str) -> None: ...


async def main() -> None:
    async with app:
        begin = time.time()
        calls = await call_api.enqueue_many([call_api.call(number) for number in range(10)])
        last = max([(await job.result(timeout=30))[1] for job in calls])
        print(f"10 calls at 5 a second took more than a second: {last - begin > 1}")

        exports = [task.call(tenant) for tenant in "abc" for task in (export_orders, export_invoices)]
        most = max([await job.result(timeout=30) for job in await app.enqueue_many(exports)])
        print(f"of 6 exports, never more than 2 at once: {most <= 2}")

        address, said = f"{secrets.token_hex(4)}@example.com", list[str]()
        for _ in range(3):
            try:
                await reset_password.enqueue(address)
                said.append("sent")
            except RateLimited as error:
                said.append("not now" if error.retry_after > 3000 else "soon")
        print("password reset:", ", ".join(said))


if __name__ == "__main__":
    asyncio.run(main())
