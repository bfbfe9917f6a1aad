"""What a producer asks before it stores a job: is there one of its key already, and does the rate allow one more?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from naq import clock
from naq.backends.base import Backend, EnqueueResult
from naq.exceptions import NaqConnectionError, RateLimited
from naq.job import JobSpec
from naq.limits import bucket
from naq.limits.kinds import RATES, UNIQUE
from naq.limits.rates import Rate, RateMode
from naq.limits.shared import TRIES, Cell

KEPT: Final = 60.0  # seconds that the mark of a debounced job outlives its latest time: clocks differ, brokers are busy

Rebuild = Callable[[str], JobSpec]
"""Makes the job anew under another id; what is signed is bound to its id."""


class Gate(Struct, frozen=True, kw_only=True):
    """What to ask. Entries are empty where there is nothing to ask of that kind; times in seconds."""

    task: str
    rate: Rate | None
    mode: RateMode
    rate_entry: str
    unique_entry: str
    unique_for: float | None
    debounce: float | None
    debounce_max: float


class _Held(Struct, frozen=True, array_like=True):
    """What is kept under a key for a time: the job that has it, and when (UNIX seconds) it was first asked for."""

    job_id: str
    first: float


_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(_Held).decode


async def store_gated(
    backend: Backend, jobs: Sequence[JobSpec], gates: Sequence[Gate | None], rebuild: Callable[[int, str], JobSpec]
) -> list[EnqueueResult]:
    """Store `jobs`, each if its gate lets it; results in the same order.

    Raises:
        RateLimited: a rate with the mode "reject" allows fewer; none of `jobs` was stored.
        NaqException: as `JobQueue.enqueue`.
    """
    passed = await _by_rate(backend, jobs, gates)
    results = {index: EnqueueResult(job.id, dropped=True) for index, job in enumerate(jobs) if index not in passed}
    plain: list[int] = []
    for index, job in passed.items():
        gate = gates[index]
        if gate is None or not gate.unique_entry:
            plain.append(index)
        elif gate.debounce is not None:
            results[index] = await _debounce(backend, gate, gate.debounce, job, _bound(rebuild, index, job))
        else:
            results[index] = await _once(backend, gate, job, _bound(rebuild, index, job))
    if plain:
        stored = await backend.enqueue([passed[index] for index in plain])
        results.update(zip(plain, stored, strict=True))
    return [results[index] for index in range(len(jobs))]


async def _by_rate(backend: Backend, jobs: Sequence[JobSpec], gates: Sequence[Gate | None]) -> dict[int, JobSpec]:
    """The jobs that their rates let in, by place and in order; some of them for later."""
    groups = _together(gates)
    for group in groups:
        gate = gates[group[0]]
        if gate is not None and gate.rate is not None and gate.mode == "reject":
            await _charge(backend, gate, gate.rate, len(group))
    passed: dict[int, JobSpec] = {}
    for group in groups:
        gate = gates[group[0]]
        if gate is None or gate.rate is None or gate.mode == "reject":
            passed.update((index, jobs[index]) for index in group)
        elif gate.mode == "drop":
            allowed = await _admit(backend, gate, gate.rate, len(group))
            passed.update((index, jobs[index]) for index in group[:allowed])
        else:
            times = await _reserve(backend, gate, gate.rate, len(group))
            passed.update((index, _later(jobs[index], at)) for index, at in zip(group, times, strict=True))
    return dict(sorted(passed.items()))


def _bound(rebuild: Callable[[int, str], JobSpec], index: int, job: JobSpec) -> Rebuild:
    def again(job_id: str) -> JobSpec:
        return job if job_id == job.id else replace(rebuild(index, job_id), headers=job.headers, run_at=job.run_at)

    return again


def _together(gates: Sequence[Gate | None]) -> list[list[int]]:
    """Places of `gates` that ask the same bucket, together; those without a rate in one."""
    found: dict[str, list[int]] = {}
    for index, gate in enumerate(gates):
        found.setdefault("" if gate is None else gate.rate_entry, []).append(index)
    return list(found.values())


def _later(job: JobSpec, at: float) -> JobSpec:
    """`job`, to run at `at` (UNIX seconds) at the earliest, where that is not now."""
    if at <= clock.now() or (job.run_at is not None and job.run_at >= at):
        return job
    return replace(job, run_at=at)


async def _charge(backend: Backend, gate: Gate, rate: Rate, count: int) -> None:
    """Take `count` tokens, or none and raise."""

    def work(value: bytes | None) -> tuple[bytes | None, float | None, float]:
        now = clock.now()
        there = bucket.read(value, gate.task, rate)
        after, got, _ = bucket.take(there, now, count, waited=True, leased=False)
        if got < count:
            return None, None, max(bucket.available_at(there, now, count) - now, 0.001)
        return bucket.write(after), bucket.lifetime(after, now), 0.0

    wait = await Cell(RATES, gate.rate_entry).change(backend, work)
    if wait:
        raise RateLimited(
            f"task {gate.task} is limited to {rate}"
            + (f", too few for {count} jobs at once" if count > rate.count else f": come back in {wait:.3g} s")
            + "; nothing was stored",
            retry_after=wait,
        )


async def _admit(backend: Backend, gate: Gate, rate: Rate, count: int) -> int:
    """Take up to `count` tokens; how many there were."""

    def work(value: bytes | None) -> tuple[bytes | None, float | None, int]:
        now = clock.now()
        after, got, _ = bucket.take(bucket.read(value, gate.task, rate), now, count, waited=True, leased=False)
        return (bucket.write(after), bucket.lifetime(after, now), got) if got else (None, None, 0)

    return await Cell(RATES, gate.rate_entry).change(backend, work)


async def _reserve(backend: Backend, gate: Gate, rate: Rate, count: int) -> list[float]:
    """The times at which `count` jobs may start."""

    def work(value: bytes | None) -> tuple[bytes | None, float | None, list[float]]:
        now = clock.now()
        after, times = bucket.reserve(bucket.read(value, gate.task, rate), now, count)
        return bucket.write(after), bucket.lifetime(after, now), times

    return await Cell(RATES, gate.rate_entry).change(backend, work)


async def _once(backend: Backend, gate: Gate, job: JobSpec, rebuild: Rebuild) -> EnqueueResult:
    """Store `job` unless there was one of its key within the time.

    The key is taken first. Whoever finds it taken by a job that is not there, because its producer died in between or
    is not done yet, stores it in its name: the same id is one job.
    """
    assert gate.unique_for is not None
    own = _encode(_Held(job.id, clock.now()))
    for _ in range(TRIES):
        if await backend.put(UNIQUE, gate.unique_entry, own, expect=0, ttl=gate.unique_for) is not None:
            [stored] = await backend.enqueue([replace(job, fresh=False)])
            return stored
        there = await backend.entry(UNIQUE, gate.unique_entry)
        if there is None:
            continue  # its time has just run out
        held = _decode(there.value)
        if held.job_id == job.id or await backend.get(held.job_id) is None:
            [stored] = await backend.enqueue([replace(rebuild(held.job_id), fresh=False)])
            return stored
        return EnqueueResult(held.job_id, duplicate=True)
    raise NaqConnectionError(f"job {job.id} was not stored: its key was taken and free again {TRIES} times")


async def _debounce(backend: Backend, gate: Gate, pause: float, job: JobSpec, rebuild: Rebuild) -> EnqueueResult:
    """Let `job` run `pause` seconds from now unless another of its key comes before; one that waits gives way to it."""
    own = _Held(job.id, clock.now())
    for _ in range(TRIES):
        there = await backend.entry(UNIQUE, gate.unique_entry)
        held, version = (own, 0) if there is None else (_decode(there.value), there.version)
        if there is None or held.first + gate.debounce_max < clock.now():
            version = await _mark(backend, gate, own, version)
            if version is None:
                continue
            held = own
        due = min(clock.now() + pause, held.first + gate.debounce_max)
        [stored] = await backend.enqueue([replace(rebuild(held.job_id), fresh=False, replace=True, run_at=due)])
        if not stored.duplicate:
            return EnqueueResult(held.job_id, duplicate=held.job_id != job.id)
        if held.job_id == job.id:
            return EnqueueResult(job.id, duplicate=True)  # somebody else stored it meanwhile, and it runs
        # The one that waited has begun: what comes now is for another.
        if await _mark(backend, gate, _Held(job.id, clock.now()), version) is not None:
            own = _Held(job.id, clock.now())
    raise NaqConnectionError(f"job {job.id} was not stored: others of its key were quicker {TRIES} times")


async def _mark(backend: Backend, gate: Gate, held: _Held, version: int) -> int | None:
    ttl = gate.debounce_max + KEPT
    return await backend.put(UNIQUE, gate.unique_entry, _encode(held), expect=version, ttl=ttl)
