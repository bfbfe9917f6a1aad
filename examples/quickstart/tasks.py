# tasks.py
from naq import Naq

app = Naq("hello", broker_url="embedded:.naq")


@app.task(retries=3)
async def hello(name: str) -> str:
    return f"Hello, {name}!"
