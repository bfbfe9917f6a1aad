"""Results put to wrong use. Each marked line must be an error of the rule it names; every other line must be clean."""

from naq import Call, Job, JobRecord, Naq, Task, current_context

app = Naq("typing", broker_url="memory:typing")


@app.task
async def charge(amount: int) -> float:
    return float(amount)


@app.task
def greet(name: str) -> str:
    return f"hello {name}"


async def wrong_results() -> None:
    job = await charge.enqueue(1)
    number: float = await job.result()
    text: str = await job.result()  # error: reportAssignmentType
    (await job.result()).upper()  # error: reportAttributeAccessIssue
    record: JobRecord = await job.status()  # error: reportAssignmentType
    print(number, text, record)


async def forgotten_await() -> None:
    job = await charge.enqueue(1)
    charge.enqueue(1)  # error: reportUnusedCoroutine
    job.result()  # error: reportUnusedCoroutine
    job.cancel()  # error: reportUnusedCoroutine
    charge(1)  # error: reportUnusedCoroutine
    charge.enqueue(1).result()  # error: reportAttributeAccessIssue
    total = job.result() + 1  # error: reportOperatorIssue
    print(total)


async def too_much_await() -> None:
    job = await charge.enqueue(1)
    await job  # error: reportGeneralTypeIssues
    await greet("ada")  # error: reportGeneralTypeIssues
    await job.id  # error: reportGeneralTypeIssues
    await charge.call(1)  # error: reportGeneralTypeIssues
    await charge.options(delay=1)  # error: reportGeneralTypeIssues


async def mixed_up() -> None:
    await charge.enqueue_many([greet.call("ada")])  # error: reportArgumentType
    await charge.enqueue_many([1, 2])  # error: reportArgumentType
    await charge.enqueue_many(charge.call(1))  # error: reportArgumentType
    other: Job[str] = await charge.enqueue(1)  # error: reportAssignmentType
    call: Call[str] = charge.call(1)  # error: reportAssignmentType
    task: Task[[str], str] = charge  # error: reportAssignmentType
    print(other, call, task)


def read_only(job: Job[float]) -> None:
    job.id = "other"  # error: reportAttributeAccessIssue
    charge.name = "other"  # error: reportAttributeAccessIssue
    app.tasks["other"] = charge  # error: reportIndexIssue
    print(current_context().attempts)  # error: reportAttributeAccessIssue
