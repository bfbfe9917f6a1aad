"""A task that streams: the tokens of a language model, as they come, to a browser. The page is in docs/streaming.md.

Prints:

    To be, or not to be
    HTTP/1.1 200 OK, text/event-stream
    a browser got: To be, or not to be
    counted: 1 4 9
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

from naq import Naq

app = Naq("streaming", broker_url="embedded:.naq")


@app.task
async def answer(prompt: str) -> AsyncIterator[str]:
    """Stands for a language model, which has one answer."""
    assert prompt
    for token in ("To", " be", ",", " or", " not", " to", " be"):
        await asyncio.sleep(0.02)
        yield token


@app.task
def squares(count: int) -> Iterator[int]:  # a plain generator, in a thread
    for number in range(1, count + 1):
        yield number * number


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """``GET /<job id>``: the job's stream as server-sent events, for ``new EventSource("/...")`` in a browser."""
    try:
        request = await reader.readuntil(b"\r\n\r\n")
        job_id = request.split(b" ")[1].decode().lstrip("/")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n")
        async for token in app.job(job_id).stream(timeout=30):
            writer.write(f"data: {json.dumps(token)}\n\n".encode())
            await writer.drain()  # a slow browser holds up nobody but itself
        writer.write(b"event: end\ndata:\n\n")
        await writer.drain()
    finally:
        writer.close()


async def browse(port: int, job_id: str) -> tuple[str, str]:
    """What a browser gets: the head of the reply, and the tokens together."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{job_id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    body = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    tokens = [json.loads(line.removeprefix("data: ")) for line in body.splitlines() if line.startswith("data: ")]
    return f"{head[0]}, {head[1].partition(': ')[2]}", "".join(tokens)


async def main() -> None:
    async with app:
        job = await answer.enqueue("the question")
        async for token in job.stream():
            print(token, end="", flush=True)
        print()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        head, text = await browse(server.sockets[0].getsockname()[1], job.id)  # comes late, and gets it all
        server.close()
        print(head)
        print("a browser got:", text)
        counted = await squares.enqueue(3)
        print("counted:", *[number async for number in counted.stream()])


if __name__ == "__main__":
    asyncio.run(main())
