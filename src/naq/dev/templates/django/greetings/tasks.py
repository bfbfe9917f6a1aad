"""What is done in the background. Imported by the worker (worker.py) and by whoever enqueues."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import close_old_connections
from naq import Naq

from greetings.models import Greeting

P = ParamSpec("P")
R = TypeVar("R")

app = Naq("@@NAME@@")


def uses_database(task: Callable[P, R]) -> Callable[P, R]:
    """Around a task, what Django does around a request: connections that have gone are not used again."""

    @wraps(task)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return task(*args, **kwargs)
        finally:
            close_old_connections()

    return run


@app.task(retries=3)
@uses_database
def hello(greeting_id: int) -> str:
    """A plain function: it runs in a thread, where Django's ORM may be used."""
    greeting = Greeting.objects.get(id=greeting_id)
    greeting.text = f"Hello, {greeting.name}!"
    greeting.save(update_fields=["text"])
    return greeting.text


@app.cron("*/5 * * * *")
@uses_database
def count() -> int:
    return Greeting.objects.count()
