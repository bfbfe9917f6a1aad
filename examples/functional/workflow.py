"""Workflow: functions that wait for each other and are called with what the others returned.

Run, in two terminals:

    naq worker -m workflow
    python workflow.py

Prints:

    3 pages, 30 letters
    a chain: 10
    a group: 3 pages, 30 letters
    cancelled with its parent: cancelled
"""

import asyncio

import naq


def fetch(url: str) -> str:
    return f"the page {url}"


def count(page: str) -> int:
    return len(page)


def report(counts: list[int]) -> str:
    return f"{len(counts)} pages, {sum(counts)} letters"


async def main() -> None:
    # A job among the arguments is its result: the new one waits for it.
    counts = [await naq.enqueue(count, await naq.enqueue(fetch, url)) for url in ("a", "b", "c")]
    print(await (await naq.enqueue(report, counts)).result(timeout=30))

    queue = naq.Queue()
    jobs = await naq.chain(queue.call(fetch, "d"), queue.call(count, naq.PREVIOUS))
    print("a chain:", await jobs[-1].result(timeout=30))

    group = await naq.group(*(queue.call(count, f"the page {n}") for n in "abc"), then=queue.call(report, naq.RESULTS))
    if group.then is not None:
        print("a group:", await group.then.result(timeout=30))

    later = await naq.enqueue_in(3600, fetch, "e")
    child = await naq.enqueue(count, "e", depends_on=later)
    await later.cancel(tree=True)
    print("cancelled with its parent:", await child.status())
    await naq.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
