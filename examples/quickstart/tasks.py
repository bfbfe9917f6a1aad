# tasks.py
from naq import Naq

app = Naq()


@app.task(retries=3)
async def hello(name: str) -> str:
    return f"Hello, {name}!"


@app.cron("*/5 * * * *")
async def tick() -> None:
    print("still alive")
