"""Wrong options and settings. Each marked line must be an error of the rule it names; all others must be clean."""

from naq import Config, Naq, Retry, load_config

app = Naq("typing", broker_url="memory:typing")


@app.task
async def charge(amount: int) -> float:
    return float(amount)


def unknown_options() -> None:
    charge.options(dealy=5)  # error: reportCallIssue
    charge.options(name="other")  # error: reportCallIssue
    charge.options(delay=5).options(prio="high")  # error: reportCallIssue
    charge.options("high")  # error: reportCallIssue


def wrong_values() -> None:
    charge.options(delay="soon")  # error: reportArgumentType
    charge.options(delay=[1])  # error: reportArgumentType
    charge.options(priority="urgent")  # error: reportArgumentType
    charge.options(run_at="2030-01-01")  # error: reportArgumentType
    charge.options(queue=5)  # error: reportArgumentType
    charge.options(timeout="1m")  # error: reportArgumentType
    charge.options(retries="3")  # error: reportArgumentType
    charge.options(retry="often")  # error: reportArgumentType
    charge.options(tags=["team"])  # error: reportArgumentType
    charge.options(tags={"team": 5})  # error: reportArgumentType
    charge.options(job_id=5)  # error: reportArgumentType
    Retry(max_attempts="3")  # error: reportArgumentType
    Retry(backoff="random")  # error: reportArgumentType


@app.task(que="mail")  # error: reportCallIssue
async def unknown_task_option() -> None: ...


@app.task(delay=5)  # error: reportCallIssue
async def job_option_on_a_task() -> None: ...


@app.task(priority="urgent")  # error: reportArgumentType
async def wrong_task_option() -> None: ...


@app.task("mail")  # error: reportCallIssue, reportArgumentType
async def positional_option() -> None: ...


Naq("shop", broker="memory:")  # error: reportCallIssue
Naq("shop", concurrency="many")  # error: reportArgumentType
Naq("shop", durability="extreme")  # error: reportArgumentType
Naq(5)  # error: reportArgumentType
load_config(leese=5)  # error: reportCallIssue
load_config(imports=5)  # error: reportArgumentType
Config(leese=5.0)  # error: reportCallIssue
Config().lease = 5.0  # error: reportAttributeAccessIssue
