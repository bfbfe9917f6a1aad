"""Wrong callbacks and middleware. Each marked line must be an error of the rule it names; all others must be clean."""

from naq import AttemptError, Context, JobRecord, Naq
from naq.middleware import ErrorReporting, Logging, Middleware

app = Naq("typing", broker_url="memory:typing")


@app.task
async def charge(amount: int) -> float:
    return float(amount)


def started(context: Context) -> None: ...
def succeeded(context: Context, result: float) -> None: ...
def failed(context: Context, error: AttemptError) -> None: ...
async def retried(context: Context, error: AttemptError, delay: float) -> None: ...
async def completed(context: Context, record: JobRecord) -> None: ...
def of_text(context: Context, result: str) -> None: ...
def of_exception(context: Context, error: Exception) -> None: ...
def answering(context: Context) -> int: ...
def alone() -> None: ...


def right() -> None:
    charge.on_start(started)
    charge.on_success(succeeded)
    charge.on_failure(failed)
    charge.on_retry(retried)
    charge.on_complete(completed)
    app.on_start(started)
    app.on_success(of_text)  # of any task
    app.use(Logging(), Middleware())


def wrong_at_the_task() -> None:
    charge.on_start(alone)  # error: reportArgumentType
    charge.on_start(answering)  # error: reportArgumentType
    charge.on_success(of_text)  # error: reportArgumentType
    charge.on_success(started)  # error: reportArgumentType
    charge.on_failure(of_exception)  # error: reportArgumentType
    charge.on_failure(retried)  # error: reportArgumentType
    charge.on_retry(failed)  # error: reportArgumentType
    charge.on_complete(failed)  # error: reportArgumentType
    charge.on_finish(completed)  # error: reportAttributeAccessIssue


def wrong_at_the_app() -> None:
    app.on_start(alone)  # error: reportArgumentType
    app.on_success(started)  # error: reportArgumentType
    app.on_failure(of_exception)  # error: reportArgumentType
    app.on_retry(completed)  # error: reportArgumentType
    app.on_complete(failed)  # error: reportArgumentType
    app.use(Logging)  # error: reportArgumentType
    app.use(started)  # error: reportArgumentType
    Naq("other", middleware=[5])  # error: reportArgumentType
    ErrorReporting(started)  # error: reportArgumentType


@app.task(on_failure=of_exception)  # error: reportArgumentType
async def wrong_failure() -> None: ...


@app.task(on_complete=alone)  # error: reportArgumentType
async def wrong_complete() -> None: ...


@app.task(on_fail=failed)  # error: reportCallIssue
async def unknown_moment() -> None: ...
