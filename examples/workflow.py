"""Workflow: jobs that wait for other jobs and are called with what these returned.

Prints:

    3 pages, 30 letters
    14 letters in a chain
    at most 2 at a time: 5 pages, 50 letters
    the first mirror: the page x
    after a failure: ParentFailed
    all of a group: [10, 10, 10]
    cancelled: 2 with their parent, 3 of the task fetch
"""

import asyncio

import naq
from naq import Job, JobState, Naq

app = Naq("workflow", broker_url="embedded:.naq")


@app.task
async def fetch(url: str) -> str:
    if url == "nowhere":
        raise ConnectionError(url)
    return f"the page {url}"


@app.task
async def count(page: str) -> int:
    return len(page)


@app.task
async def report(counts: list[int]) -> str:
    return f"{len(counts)} pages, {sum(counts)} letters"


@app.task
async def measure(pages: list[str]) -> str:
    return f"{len(pages)} pages, {sum(len(page) for page in pages)} letters"


@app.task
async def say(what: str, value: int | str) -> str:
    return what.format(value)


async def wait_for_results() -> None:
    pages = [await fetch.enqueue(url) for url in ("a", "b", "c")]
    counts = [await count.enqueue(naq.result_of(page)) for page in pages]
    whole = await report.enqueue(naq.results_of(counts))
    print(await whole.result(timeout=30))


async def one_after_the_other() -> None:
    jobs = await naq.chain(
        fetch.call("abcde"), count.call(naq.PREVIOUS), say.call("{} letters in a chain", naq.PREVIOUS)
    )
    print(await jobs[-1].result(timeout=30))


async def a_few_at_a_time() -> None:
    group = await naq.map(fetch, ["a", "b", "c", "d", "e"], concurrency=2, then=measure.call(naq.RESULTS))
    assert group.then is not None
    print("at most 2 at a time:", await group.then.result(timeout=30))


async def whoever_is_first() -> None:
    mirrors = [await fetch.enqueue("nowhere"), await fetch.enqueue("x")]
    first = await say.options(wait_for="any").enqueue("{}", naq.first_of(mirrors))
    print("the first mirror:", await first.result(timeout=30))


async def when_one_fails() -> None:
    broken = await fetch.enqueue("nowhere")
    child = await count.options(on_parent_failure="fail").enqueue(naq.result_of(broken))
    try:
        await child.result(timeout=30)
    except naq.ParentFailed as error:
        print("after a failure:", type(error).__name__)


async def wait_here() -> None:
    group = await naq.group(*(count.call(f"the page {url}") for url in "abc"))
    fastest = await naq.first_completed(*group.jobs, timeout=30)
    assert fastest in group.jobs
    print("all of a group:", await naq.gather(*group.jobs, timeout=30))


async def cancel_all() -> None:
    top: Job[str] = await fetch.options(delay=3600).enqueue("a")
    below = await naq.group(*(count.options(depends_on=top).call("b") for _ in range(2)))
    await top.cancel(tree=True)
    with_it = await below.progress()
    for _ in range(3):
        await fetch.options(delay=3600, tags={"tenant": "acme"}).enqueue("c")
    done = await app.cancel_where(task="workflow.f*", states=[JobState.SCHEDULED], tags={"tenant": "acme"})
    print(f"cancelled: {with_it[JobState.CANCELLED]} with their parent, {done.removed} of the task fetch")


async def main() -> None:
    async with app:
        await wait_for_results()
        await one_after_the_other()
        await a_few_at_a_time()
        await whoever_is_first()
        await when_one_fails()
        await wait_here()
        await cancel_all()


if __name__ == "__main__":
    asyncio.run(main())
