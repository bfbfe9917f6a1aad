"""Jobs as arguments and as conditions: whom a job waits for, said by its producer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from msgspec import Struct

from naq.codec.after import ALL, FIRST, MAX_PARENTS, After, ParentFailure, make_after
from naq.exceptions import ConfigurationError, SerializationError
from naq.names import check_token

if TYPE_CHECKING:
    from naq.handle import Job
    from naq.task.call import Call

R = TypeVar("R")
IdOf = Callable[[Any], str]


class ResultOf:
    """Stands for the result of a job, or of several, among the arguments of another; made by `result_of`.

    Attributes:
        sources: the jobs, calls or ids; None: the job or jobs that the surrounding chain or group puts here.
        many: whether it is the list of their results.
        first: whether it is the result of the first of them to succeed.
    """

    __slots__ = ("first", "many", "sources")

    def __init__(self, sources: Sequence[Any] | None, *, many: bool = False, first: bool = False) -> None:
        self.sources: Final = sources
        self.many: Final = many
        self.first: Final = first

    def __repr__(self) -> str:
        return "<result of a job>" if not self.many else "<results of jobs>"


def result_of(job: Job[R] | Call[R], /) -> R:
    """The result of `job`, as an argument of another job: that one waits for it, and is called with it.

    ::

        report = await summarize.enqueue(naq.result_of(await fetch.enqueue(url)))

    For a type checker it is what the job returns; a worker puts it in when the job begins. `job` is a handle, or a call
    that is enqueued together with this one.
    """
    return cast("R", ResultOf((job,)))


def results_of(jobs: Iterable[Job[R] | Call[R]], /) -> list[R]:
    """The results of `jobs`, as one argument of another job, in their order; see `result_of`."""
    return cast("list[R]", ResultOf(tuple(jobs), many=True))


def first_of(jobs: Iterable[Job[R] | Call[R]], /) -> R:
    """The result of whichever of `jobs` succeeds first, as an argument of a job that waits for any of them.

    ::

        await show.options(depends_on=mirrors, wait_for="any").enqueue(naq.first_of(mirrors))
    """
    return cast("R", ResultOf(tuple(jobs), first=True))


#: As an argument in `chain`: the result of the job before.
PREVIOUS: Final[Any] = ResultOf(None)
#: As an argument of a group's last job: the list of the results of all others.
RESULTS: Final[Any] = ResultOf(None, many=True)


class Wanted(Struct, frozen=True):
    """What a plan was told about whom its jobs wait for; `parents` are jobs, calls or ids."""

    parents: tuple[Any, ...] = ()
    policy: ParentFailure = "fail"
    any_of: bool = False


def read_parents(where: str, given: object) -> tuple[Any, ...]:
    """`depends_on` as a tuple of jobs, calls and ids.

    Raises:
        ConfigurationError: there is something else in it.
    """
    from naq.handle import Job
    from naq.task.call import Call

    if given is None:
        return ()
    alone = isinstance(given, str | Job | Call) or not isinstance(given, Iterable)
    parents = (cast("Any", given),) if alone else tuple(cast("Iterable[Any]", given))
    for parent in parents:
        if isinstance(parent, str):
            check_token("job id", parent)
        elif not isinstance(parent, Job | Call):
            raise ConfigurationError(
                f"{where}: depends_on holds {parent!r}; expected jobs, calls of the same batch, or ids of jobs"
            )
    return parents


def find_holes(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[int | str, ResultOf]:
    """The arguments that are results of other jobs, by position or name."""
    every: Iterable[tuple[int | str, Any]] = (*enumerate(args), *kwargs.items())
    return {place: found for place, value in every if (found := _as_result(value)) is not None}


def _as_result(value: object) -> ResultOf | None:
    from naq.handle import Job

    if isinstance(value, ResultOf):
        return value
    if isinstance(value, Job):
        return ResultOf((cast("Job[Any]", value),))
    if isinstance(value, list | tuple) and value:
        parts = [_as_result(part) for part in cast("Sequence[object]", value)]
        if all(part is not None and not part.many and part.sources for part in parts):
            return ResultOf([part.sources[0] for part in parts if part is not None and part.sources], many=True)
    return None


def after_of(where: str, wanted: Wanted, holes: Mapping[int | str, ResultOf], id_of: IdOf) -> After | None:
    """What is written into the envelope; None where the job waits for nobody. `id_of` knows the ids of calls.

    Raises:
        ConfigurationError: more parents than a job can have, or a place holder outside of a chain or group.
        SerializationError: an argument that stands for nothing.
    """
    parents = dict.fromkeys(map(id_of, wanted.parents))
    fill: dict[str, str | list[str]] = {}
    for place, hole in holes.items():
        if hole.sources is None:
            raise ConfigurationError(f"{where}: PREVIOUS and RESULTS stand for results in chain and group only")
        ids = list(map(id_of, hole.sources))
        parents.update(dict.fromkeys(ids))
        if not ids and not hole.many:
            raise SerializationError(f"{where}: the first of no jobs is no argument")
        fill[str(place)] = ids if hole.many else FIRST if hole.first else ids[0]
    if not parents:
        return None
    every = list(parents)
    if len(every) > MAX_PARENTS:
        raise ConfigurationError(
            f"{where}: {len(every)} parents, and a job has at most {MAX_PARENTS}: let some wait for parts of them, "
            "and one for those"
        )
    return make_after(
        every,
        policy=wanted.policy,
        any_of=wanted.any_of,
        fill={place: ALL if ids == every else ids for place, ids in fill.items()},
    )


def known_id(parent: Any) -> str:
    """The id of a parent that is no call.

    Raises:
        ConfigurationError: it is a call, which has none before it is enqueued.
    """
    from naq.task.call import Call

    if isinstance(parent, Call):
        raise ConfigurationError(
            f"{cast('Call[Any]', parent)!r} is no job yet: enqueue both in one go (app.enqueue_many), or use its handle"
        )
    return parent if isinstance(parent, str) else parent.id


def unproven(parent: Any) -> bool:
    """Whether nobody knows if there is such a job: it was named by an id, not enqueued here."""
    from naq.handle import Job

    return isinstance(parent, str) or (isinstance(parent, Job) and not cast("Job[Any]", parent).stored)
