"""A call of a function that need not be a task, with its options given beside its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from naq.config import Config
from naq.connections import Host
from naq.exceptions import ConfigurationError
from naq.task.call import Call
from naq.task.function import Function, read_function
from naq.task.options import read_job_options
from naq.task.plan import Plan
from naq.task.retries import RetryDelay, read_retries


def direct_call(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    config: Config,
    *,
    host: Host | None = None,
    max_retries: int | None = None,
    retry_delay: RetryDelay | None = None,
    **settings: Any,
) -> Call[Any]:
    """``func(*args, **kwargs)`` as a job for the place that `config` names; `settings` are those of ``task.options``.

    Raises:
        ConfigurationError: an option that cannot be, a function that no worker could find, or a task of an app whose
            jobs live elsewhere.
    """
    function = read_function(func)
    _check_home(function, config)
    settings["retry"] = read_retries(max_retries, retry_delay)
    options = read_job_options(f"job of {function.name}", settings)
    signature = function.signature(config.codec)
    return Call(Plan(function.name, signature, function.declared, options, config, function.func, host), args, kwargs)


def _check_home(function: Function, config: Config) -> None:
    if function.task is None:
        return
    own = function.task.host.config
    if (own.broker_url, own.namespace) != (config.broker_url, config.namespace):
        raise ConfigurationError(
            f"{function.name} is a task of an app in namespace {own.namespace!r}, and this job would go to "
            f"{config.namespace!r}, or to another broker, where no worker of that app looks: enqueue it as a task "
            "(task.enqueue, task.enqueue_sync), or say whose queue it is: Queue(name, app=app)"
        )
