"""Which jobs: by queue, state and task, or by words such as ``state:failed error:Timeout``."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from naq import clock
from naq.cli.common import say
from naq.cli.errors import UsageError
from naq.cli.parameter import Parameter, spread
from naq.cli.values import read_duration
from naq.config.suggest import hint, suggest
from naq.job import FINAL, JobRecord, JobState

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config

Test = Callable[[JobRecord], bool]

ALL: Final = 1_000_000  # jobs; more than the listing of any backend goes back
UNFINISHED: Final = frozenset(JobState) - FINAL
_ANY: Final = ""  # stands for the key of a word that has none
_KEYS: Final = ("state", "queue", "task", "error", "tag", "id", "worker", "older", "newer")


@spread
@dataclass(frozen=True)
class Filter:
    """Options that say which jobs; all that is given must fit."""

    queue: str | None = None
    """Only of this queue."""
    state: Annotated[list[str] | None, Parameter(negative_iterable="")] = None
    """Only in these states (several: --state queued,running)."""
    task: str | None = None
    """Only of this task; a * stands for anything (send_*)."""
    filter: str | None = None
    """Words that must all fit, such as 'state:failed error:Timeout tag:team=shop older:1h'."""

    @property
    def given(self) -> bool:
        """Whether anything is asked for."""
        return any(value is not None for value in (self.queue, self.state, self.task, self.filter))


NONE: Final = Filter()


@dataclass(frozen=True)
class Wanted:
    """What a filter asks for, read.

    Attributes:
        queue, states: what the broker is asked for; no states mean any.
        task: the task, if one is asked for by its whole name.
        tests: what must be true beside that.
        reads: whether a test looks into what may be encrypted.
    """

    queue: str | None
    states: frozenset[JobState]
    task: str
    tests: Sequence[Test]
    reads: bool


def read(given: Filter) -> Wanted:
    """`given` as something to look for.

    Raises:
        UsageError: a word that means nothing.
    """
    queue, task, reads = given.queue, given.task or "", False
    states = read_states(given.state or ())
    tests: list[Test] = [_task(given.task)] if given.task is not None else []
    for key, value in map(_split, (given.filter or "").split()):
        if key == "state":
            states = _both(states, read_states([value]))
        elif key == "queue":
            if queue not in {None, value}:
                raise UsageError(f"--queue asks for {queue!r}, --filter for queue:{value}; say one of them")
            queue = value
        else:
            tests.append(_TESTS[key](value))
            task = value if key == "task" else task
            reads = reads or key in {"error", _ANY}
    return Wanted(queue, states, "" if "*" in task else task, tests, reads)


def _split(word: str) -> tuple[str, str]:
    key, sign, value = word.partition(":")
    if not sign:
        return _ANY, word
    if key not in _KEYS:
        raise UsageError(f"--filter has {word!r}; {hint(key, _KEYS)} (they are written key:value)")
    if not value:
        raise UsageError(f"--filter has {word!r}; write a value behind it, such as {key}:something")
    return key, value


def _both(states: frozenset[JobState], asked: frozenset[JobState]) -> frozenset[JobState]:
    if not states:
        return asked
    if not states & asked:
        raise UsageError("--state and --filter ask for states that no job has at once")
    return states & asked


async def find(
    backend: Backend, config: Config, wanted: Wanted, *, within: Collection[JobState] = (), limit: int = ALL
) -> list[JobRecord]:
    """The jobs that are `wanted`, the newest first; of states that are not asked for, only those `within`."""
    states = wanted.states or frozenset(within)
    records = await backend.jobs(queue=wanted.queue, states=states, limit=ALL if wanted.tests else limit)
    if wanted.reads:
        from naq.codec.sealing import opened

        records = [opened(record, record.id, config) for record in records]
    return [record for record in records if all(test(record) for test in wanted.tests)][:limit]


async def say_nothing_fits(backend: Backend, wanted: Wanted) -> None:
    """Say that no job fits, and what was meant instead where a name is not known."""
    text = "no jobs match"
    if wanted.queue is not None:
        known = [stats.queue for stats in await backend.stats()]
        if wanted.queue not in known:
            text += f": there is no queue {wanted.queue!r}; {hint(wanted.queue, known)}"
    if wanted.task and text == "no jobs match":
        workers = await backend.workers()
        names = {name for worker in workers for name in worker.tasks}
        if wanted.task not in names and (near := suggest(wanted.task, names)):
            text += f": no worker knows a task {wanted.task!r}; did you mean {near!r}?"
    say(text)


def read_states(words: Sequence[str]) -> frozenset[JobState]:
    """States by name, several in a word separated by commas.

    Raises:
        UsageError: one is none.
    """
    states: dict[str, Any] = {state.value: state for state in JobState}
    names = [name.strip() for word in words for name in word.split(",")]
    for name in names:
        if name not in states:
            raise UsageError(f"--state is {name!r}; {hint(name, states)}")
    return frozenset(states[name] for name in names)


def _task(pattern: str) -> Test:
    return lambda job: fnmatch.fnmatchcase(job.task, pattern)


def _about(text: str, *, only_errors: bool) -> Test:
    folded = text.casefold()

    def test(job: JobRecord) -> bool:
        told = [f"{error.type}: {error.message}" for error in job.errors] + [job.reason]
        if not only_errors:
            told += [job.id, job.task, *(f"{name}={value}" for name, value in job.tags.items())]
        return any(folded in each.casefold() for each in told)

    return test


def _tag(text: str) -> Test:
    name, sign, value = text.partition("=")
    return lambda job: name in job.tags and (not sign or job.tags[name] == value)


def _age(text: str, *, older: bool) -> Test:
    seconds = read_duration("--filter older: or newer:", text) or 0.0

    def test(job: JobRecord) -> bool:
        age = clock.now() - (job.finished_at or job.enqueued_at)
        return age > seconds if older else age <= seconds

    return test


_TESTS: Final[dict[str, Callable[[str], Test]]] = {
    "task": _task,
    "error": lambda text: _about(text, only_errors=True),
    _ANY: lambda text: _about(text, only_errors=False),
    "tag": _tag,
    "id": lambda text: lambda job: job.id.startswith(text),
    "worker": lambda text: lambda job: fnmatch.fnmatchcase(job.worker, text),
    "older": lambda text: _age(text, older=True),
    "newer": lambda text: _age(text, older=False),
}
