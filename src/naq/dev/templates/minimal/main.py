# main.py
import asyncio

from tasks import app, hello


async def main() -> None:
    async with app:
        job = await hello.enqueue("world")
        print(await job.result(timeout=5))


if __name__ == "__main__":
    asyncio.run(main())
