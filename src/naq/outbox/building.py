"""From calls to rows: everything that can be refused is refused here, before the transaction has anything of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from naq import clock, sync
from naq.backends.base import EnqueueResult
from naq.backends.check import check_jobs
from naq.exceptions import ConfigurationError
from naq.flow.store import parents_of, sort_calls
from naq.outbox.rows import Row, make_row
from naq.task.call import Ids

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.connections import Host
    from naq.job import JobSpec
    from naq.limits.gate import Gate
    from naq.task.call import Call

_SLICE: Final = 1000  # calls encoded before other coroutines get a turn: about 10 ms of work


class Built:
    """Calls as the jobs that they are, and as rows once middleware has seen them.

    Attributes:
        calls, specs: in the order in which they were given.
        now: UNIX seconds from which their delays count.
    """

    def __init__(self, app: Naq) -> None:
        self.calls: Final[list[Call[Any]]] = []
        self.specs: list[JobSpec] = []
        self.now: Final = clock.now()
        self._app: Final = app
        self._ids: Final = Ids()

    def add(self, call: Call[Any]) -> None:
        """Encode one more.

        Raises:
            NaqException: as `Task.enqueue`, before anything is stored; or it is of a task of another place.
        """
        at = len(self.calls)
        try:
            _check_home(self._app, call)
            self.specs.append(self._ids.build(call, self.now))
        except Exception as error:  # whatever it is, it goes on to the caller, with the place where it was
            if at:
                error.add_note(f"in call {at} of the batch ({call.plan.task}); nothing of the batch was stored")
            raise
        self.calls.append(call)

    def rows(self) -> list[Row]:
        """The rows, parents before those that wait for them.

        Raises:
            ConfigurationError: jobs that wait for each other or for a call that is not among them, or a limit that can
                refuse a job only while its producer waits.
            PayloadTooLarge: a payload or headers over the limit.
        """
        self._ids.check()
        config = self._app.config
        check_jobs(self.specs, max_payload=config.max_payload, max_headers=config.max_headers)
        order: Sequence[int] = range(len(self.specs))
        if any(spec.blocked for spec in self.specs):
            order = sort_calls(self.specs, self.calls, {spec.id: at for at, spec in enumerate(self.specs)})
        return [self._row(self.calls[at], self.specs[at]) for at in order]

    def _row(self, call: Call[Any], spec: JobSpec) -> Row:
        gate = call.plan.gate(call.args, call.kwargs) if call.plan.gated else None
        _check_gate(call.plan.task, gate)
        parents = list(dict.fromkeys(map(self._ids, parents_of(call)))) if spec.blocked else []
        return make_row(self._app.config.namespace, call.plan.task, spec, gate, parents, self.now)

    async def through_middleware(self) -> None:
        """Have the app's middleware see them, and add its headers. Whether they are stored, the transaction decides."""
        around = self._app.around_enqueue
        if around is None or not self.specs:
            return
        from naq.middleware.outgoing import enqueue_through

        async def keep(specs: Sequence[JobSpec]) -> list[EnqueueResult]:
            self.specs = list(specs)
            return [EnqueueResult(spec.id) for spec in specs]

        await enqueue_through(around, self.calls, self.specs, keep, max_headers=self._app.config.max_headers)


async def build(app: Naq, calls: Iterable[Call[Any]]) -> Built:
    """`calls` as jobs, with what middleware makes of them."""
    built = Built(app)
    for index, call in enumerate(calls):
        if index and not index % _SLICE:
            await asyncio.sleep(0)
        built.add(call)
    await built.through_middleware()
    return built


def build_sync(app: Naq, calls: Iterable[Call[Any]]) -> Built:
    """`build` for code without an event loop; with one, it is refused where there is middleware, which needs it."""
    built = Built(app)
    for call in calls:
        built.add(call)
    if app.around_enqueue is not None:
        sync.run("await outbox.enqueue(...)", built.through_middleware)
    return built


def _check_home(app: Naq, call: Call[Any]) -> None:
    if call.plan.host is not None:
        check_host(app, call.plan.host, call.plan.task)


def check_host(app: Naq, host: Host, what: str) -> None:
    """Refuse what belongs to a place that the outbox of `app` does not send to.

    Raises:
        ConfigurationError: says so.
    """
    own, theirs = app.config, host.config
    if host is not app and (own.broker_url, own.namespace) != (theirs.broker_url, theirs.namespace):
        raise ConfigurationError(
            f"{what} is not of app {app.name!r}, whose outbox this is: it would be sent where no worker "
            "of its own app looks. Make an outbox for that app; both may use one table"
        )


def _check_gate(task: str, gate: Gate | None) -> None:
    if gate is not None and gate.rate is not None and gate.mode == "reject":
        raise ConfigurationError(
            f'{task} has rate_mode="reject", which refuses jobs while their producer waits; through an outbox they are '
            'stored later, when nobody can be told. Use rate_mode="delay" or "drop", or enqueue it after the commit'
        )
