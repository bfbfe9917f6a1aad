"""Wrong arguments. Each marked line must be an error of the rule it names; every other line must be clean."""

from datetime import UTC, datetime

from naq import Naq

app = Naq("typing", broker_url="memory:typing")


@app.task
async def charge(amount: int, currency: str = "EUR", *, note: str = "") -> float:
    return float(amount) if note or currency else 0.0


@app.task(queue="mail", retries=3)
def remind(to: str, when: datetime) -> bool:
    return bool(to and when)


@app.task
async def tick() -> None: ...


async def wrong_argument_types() -> None:
    await charge.enqueue("12")  # error: reportArgumentType
    await charge.enqueue(12, currency=None)  # error: reportArgumentType
    await charge.enqueue(12, note=b"x")  # error: reportArgumentType
    await remind.enqueue("ada", "tomorrow")  # error: reportArgumentType
    await charge.options(delay=1).enqueue("12")  # error: reportArgumentType
    charge.call("12")  # error: reportArgumentType
    charge.options(priority="low").call("12")  # error: reportArgumentType
    await charge("12")  # error: reportArgumentType
    remind("ada", 5)  # error: reportArgumentType


async def wrong_number_of_arguments() -> None:
    await charge.enqueue()  # error: reportCallIssue
    await remind.enqueue("ada")  # error: reportCallIssue
    await remind.options(queue="slow").enqueue("ada")  # error: reportCallIssue
    remind.call("ada")  # error: reportCallIssue
    remind("ada")  # error: reportCallIssue
    await tick.enqueue(1)  # error: reportCallIssue
    await charge.enqueue(12, "EUR", "positional note")  # error: reportCallIssue


async def unknown_arguments() -> None:
    await charge.enqueue(12, curency="EUR")  # error: reportCallIssue
    await tick.enqueue(delay=5)  # error: reportCallIssue
    charge.call(12, queue="mail")  # error: reportCallIssue
    remind("ada", datetime.now(UTC), urgent=True)  # error: reportCallIssue
