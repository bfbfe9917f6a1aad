"""What users write about jobs that wait for jobs, and the types it has. Checked by pyright in strict mode."""

from typing import Any, assert_type

import naq
from naq import CancelResult, Group, Job, JobState, Naq
from naq.flow.cancel import Cancelled

app = Naq("typing", broker_url="memory:typing")


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


@app.task
async def count(page: bytes) -> int:
    return len(page)


@app.task
async def total(counts: list[int], more: int = 0) -> int:
    return sum(counts) + more


async def results_are_arguments() -> None:
    pages = [await fetch.enqueue(url) for url in ("a", "b")]
    assert_type(naq.result_of(pages[0]), bytes)
    counts = [await count.enqueue(naq.result_of(page)) for page in pages]
    assert_type(naq.results_of(counts), list[int])
    assert_type(await total.enqueue(naq.results_of(counts), naq.result_of(counts[0])), Job[int])
    call = count.call(naq.result_of(fetch.call("a")))
    assert_type(await total.enqueue(naq.results_of([call, call])), Job[int])
    mirrors = [await fetch.enqueue("a"), await fetch.enqueue("b")]
    assert_type(naq.first_of(mirrors), bytes)
    assert_type(await count.options(wait_for="any").enqueue(naq.first_of(mirrors)), Job[int])


async def conditions() -> None:
    page = await fetch.enqueue("a")
    number = await count.enqueue(b"")
    await count.options(depends_on=page).enqueue(b"")
    await count.options(depends_on=[page, "an-id"], on_parent_failure="run_anyway").enqueue(b"")
    await count.options(depends_on=[page, number]).enqueue(b"")
    await count.options(depends_on=fetch.call("a")).enqueue(b"")


async def several_at_once() -> None:
    assert_type(await naq.chain(fetch.call("a"), count.call(naq.PREVIOUS)), list[Job[Any]])
    group = await naq.group(fetch.call("a"), fetch.call("b"))
    assert_type(group, Group[bytes])
    assert_type(await group.results(), list[bytes])
    assert_type(await group.progress(), dict[JobState, int])
    assert_type(await naq.map(count, [b"a"], concurrency=2, then=total.call(naq.RESULTS)), Group[int])
    assert_type(await naq.gather(*group.jobs), list[bytes])
    assert_type(await naq.gather(*group.jobs, timeout=5, return_exceptions=True), list[bytes | naq.NaqException])
    assert_type(await naq.first_completed(*group.jobs), Job[bytes])


async def cancelling(job: Job[int]) -> None:
    assert_type(await job.cancel(tree=True), CancelResult)
    assert_type(await app.cancel_where(task="a*", states=[JobState.QUEUED], tags={"a": "b"}), Cancelled)
