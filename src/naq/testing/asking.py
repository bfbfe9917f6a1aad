"""What a test may ask about enqueued jobs, checked: a question with a slip in it must not pass for a good answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, cast

from naq.config import hint
from naq.exceptions import ConfigurationError, UnknownTask
from naq.job import Priority
from naq.task import Task
from naq.task.function import read_function
from naq.testing.enqueued import Decoder, Enqueued, by_name
from naq.testing.matching import Wanted

#: A task, a function as `naq.enqueue` takes it, or the name of either.
TaskLike = Task[..., Any] | Callable[..., Any] | str


class Asked(TypedDict, total=False):
    """What a job must be like; what is left out may be anything.

    Attributes:
        args: some of the arguments: by the names of the parameters, or the first ones in order. Compared with ``==``
            as they are after the trip; `unittest.mock.ANY` and other matchers work.
        queue, priority, job_id: equal to this.
        tags: these, among others.
        delay: seconds it was told to wait, to a second; 0: none.
        run_at: the time it was told to wait for, to a second: a datetime (a naive one is UTC) or UNIX seconds.
        where: a function of your own, asked last.
    """

    args: Mapping[str, Any] | Sequence[Any]
    queue: str
    priority: Priority
    tags: Mapping[str, str]
    delay: float | timedelta
    run_at: float | datetime
    job_id: str
    where: Callable[[Enqueued], bool]


def read_wanted(decoder: Decoder, task: TaskLike | None, asked: Asked) -> Wanted:
    """The question, for jobs that `decoder` reads.

    Raises:
        UnknownTask: there is no task of this name.
        ConfigurationError: the task has no such parameter, or that cannot be asked.
    """
    for name in asked:
        if name not in Asked.__annotations__:
            raise ConfigurationError(f"jobs cannot be asked for by {name!r}; {hint(name, Asked.__annotations__)}")
    name = None if task is None else _name(decoder, task)
    rest = cast("dict[str, Any]", {key: value for key, value in asked.items() if key != "args"})
    return Wanted(task=name, arguments=_arguments(decoder, name, asked["args"]) if "args" in asked else None, **rest)


def _name(decoder: Decoder, task: TaskLike) -> str:
    if isinstance(task, Task):
        return cast("Task[..., Any]", task).name
    if not isinstance(task, str):
        return read_function(task).name
    if decoder.function(task) is None:
        raise UnknownTask(f"there is no task {task!r} to ask for; {hint(task, decoder.tasks)}")
    return task


def _arguments(decoder: Decoder, task: str | None, args: Mapping[str, Any] | Sequence[Any]) -> Mapping[str, Any]:
    func = None if task is None else decoder.function(task)
    if not isinstance(args, Mapping):
        if isinstance(args, str) or func is None:
            raise ConfigurationError(
                f"args is {args!r}; give a dict of arguments by their parameters' names, or, of a task, a tuple"
            )
        try:
            return by_name(func, args, {})
        except TypeError as error:
            raise ConfigurationError(f"args {args!r} cannot be of {task}: {error}") from error
    if func is not None:
        parameters = inspect.signature(func).parameters
        if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            for name in args:
                if name not in parameters:
                    raise ConfigurationError(f"{task} has no parameter {name!r}; {hint(name, parameters)}")
    return args
