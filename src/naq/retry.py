"""When a failed job is tried again: a policy as frozen data, and one pure function that reads it.

The policy belongs to the task. What of it is plain data may travel with a job as an override (`RetryWire`); which
exceptions are retried, and a policy that is a function, never do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal, Protocol, TypeAlias, cast, get_args

from msgspec import Meta, Struct
from msgspec.structs import force_setattr, replace

from naq.chance import CHANCE
from naq.exceptions import ConfigurationError

MAX_ATTEMPTS: Final = 1_000_000  # a ceiling that only a mistake reaches
MAX_DELAY: Final = 10 * 366 * 86400.0  # seconds (ten years); beyond it a delay is a mistake in units

Backoff: TypeAlias = Literal["fixed", "linear", "exponential"]
Decide: TypeAlias = Callable[[int, BaseException], float | None]
_Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=MAX_DELAY)]
_BACKOFFS: Final = get_args(Backoff)


class Rng(Protocol):
    """What jitter is drawn from: `CHANCE`, the module `random`, or a `random.Random` of one's own."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...


class RetryWire(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a policy that travels with a job. Fields, units and defaults are those of `Retry`."""

    max_attempts: Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)] = 3
    backoff: Backoff = "exponential"
    base: _Seconds = 1.0
    cap: _Seconds = 300.0
    jitter: bool = True
    delays: tuple[_Seconds, ...] = ()


class Retry(Struct, frozen=True, kw_only=True):
    """A retry policy. Checked when it is made.

    Attributes:
        max_attempts: how often the task may run in all, the first time included; from 1 (no retry). Default 3.
        backoff: how the delay grows: ``fixed`` (base), ``linear`` (base, 2 base, 3 base ...), ``exponential``
            (base, 2 base, 4 base ...). Default exponential.
        base: seconds; default 1.
        cap: seconds that a computed delay never exceeds; default 300.
        jitter: draw each computed delay from its upper half, so that jobs which failed together do not all come back
            together. Default True.
        delays: seconds before each retry, in order; the last one repeats. Taken as written: `backoff`, `base`, `cap`
            and `jitter` do not apply.
        retry_on: exception types that are retried. Default: every `Exception`.
        give_up_on: exception types that are not, even if `retry_on` names them.
        decide: a policy as a function: called with the number of the attempt that failed and its exception, returns
            the seconds to wait, or None to stop. Asked only where the fields above allow another attempt.

    Raises:
        ConfigurationError: a value is out of range or of the wrong type; says which and what is allowed.
    """

    max_attempts: int = 3
    backoff: Backoff = "exponential"
    base: float = 1.0
    cap: float = 300.0
    jitter: bool = True
    delays: tuple[float, ...] = ()
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    give_up_on: tuple[type[BaseException], ...] = ()
    decide: Decide | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense, and turn lists and single values into tuples."""
        attempts: Any = self.max_attempts
        if type(attempts) is not int or not 1 <= attempts <= MAX_ATTEMPTS:
            raise _wrong("max_attempts", attempts, f"a whole number from 1 (no retry) to {MAX_ATTEMPTS}")
        if self.backoff not in _BACKOFFS:
            raise _wrong("backoff", self.backoff, " or ".join(map(repr, _BACKOFFS)))
        force_setattr(self, "base", _seconds("base", self.base))
        force_setattr(self, "cap", _seconds("cap", self.cap))
        if type(self.jitter) is not bool:
            raise _wrong("jitter", self.jitter, "True or False")
        force_setattr(self, "delays", _delays(self.delays))
        force_setattr(self, "retry_on", _types("retry_on", self.retry_on))
        force_setattr(self, "give_up_on", _types("give_up_on", self.give_up_on))
        if self.decide is not None and not callable(self.decide):
            raise _wrong("decide", self.decide, "a function of (attempt, exception) that returns seconds or None")

    @classmethod
    def of(cls, value: Retry | int | Sequence[float] | Decide | None) -> Retry:
        """The policy that `value` is short for.

        None: no retry. A whole number: that many retries, so one attempt more. A sequence: one retry after each of
        these delays (seconds). A function: `decide`, asked after every failed attempt.

        Raises:
            ConfigurationError: `value` is none of these.
        """
        if isinstance(value, Retry):
            return value
        if value is None:
            return NO_RETRY
        if isinstance(value, int) and not isinstance(value, bool):
            if not 0 <= value < MAX_ATTEMPTS:
                raise _wrong("retries", value, f"a whole number from 0 to {MAX_ATTEMPTS - 1}")
            return cls(max_attempts=value + 1)
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            delays = tuple(cast("Sequence[float]", value))
            return cls(max_attempts=len(delays) + 1, delays=delays)
        if callable(value) and not isinstance(value, type):
            return cls(max_attempts=MAX_ATTEMPTS, decide=value)
        raise _wrong("retry", value, "a Retry, a number of retries, a sequence of delays in seconds, or a function")

    def covers(self, error: BaseException) -> bool:
        """Whether `error` is of a kind that is retried."""
        return isinstance(error, self.retry_on) and not isinstance(error, self.give_up_on)

    def delay(self, attempt: int, error: BaseException | None = None, *, rng: Rng = CHANCE) -> float | None:
        """Seconds from the failure of `attempt` (from 1) to the next, or None to stop.

        Without an `error` only the number of attempts decides.

        Raises:
            ConfigurationError: `decide` returned something that is no delay. What `decide` raises passes through.
        """
        if attempt >= self.max_attempts or (error is not None and not self.covers(error)):
            return None
        if self.decide is not None and error is not None:
            asked: object = self.decide(attempt, error)
            return None if asked is None else _seconds("decide's answer", asked)
        if self.delays:
            return self.delays[min(max(attempt, 1), len(self.delays)) - 1]
        return self._computed(max(attempt, 1), rng)

    def _computed(self, attempt: int, rng: Rng) -> float:
        match self.backoff:
            case "fixed":
                seconds = self.base
            case "linear":
                seconds = self.base * attempt
            case "exponential":
                # 2**1023 is the largest power of two that is a float; the cap is long since reached.
                seconds = self.base * 2.0 ** min(attempt - 1, 1023)
        seconds = min(seconds, self.cap)
        return seconds * (0.5 + 0.5 * rng.random()) if self.jitter else seconds

    def wire(self, declared: Retry | None = None) -> RetryWire:
        """The part that may travel with a job, as an override of the policy `declared` by its task.

        Raises:
            ConfigurationError: this policy names exception types or a function that the task's own does not: those
                cannot travel.
        """
        kept = declared or NO_RETRY
        for name in ("retry_on", "give_up_on", "decide"):
            mine = getattr(self, name)
            if mine not in (getattr(NO_RETRY, name), getattr(kept, name)):
                raise ConfigurationError(
                    f"retry: {name} cannot travel with a job, because a message holds only data: declare it on the task"
                )
        return RetryWire(
            max_attempts=self.max_attempts,
            backoff=self.backoff,
            base=self.base,
            cap=self.cap,
            jitter=self.jitter,
            delays=self.delays,
        )

    @classmethod
    def from_wire(cls, wire: RetryWire, declared: Retry | None = None) -> Retry:
        """The policy of a job that carries `wire`, for a task that `declared` its own.

        Which exceptions are retried stays as declared; a declared `decide` gives way to the numbers in `wire`.

        Raises:
            ConfigurationError: `wire` holds values that are out of range.
        """
        return replace(
            declared or NO_RETRY,
            max_attempts=wire.max_attempts,
            backoff=wire.backoff,
            base=wire.base,
            cap=wire.cap,
            jitter=wire.jitter,
            delays=wire.delays,
            decide=None,
        )


def _wrong(name: str, value: object, rule: str) -> ConfigurationError:
    return ConfigurationError(f"retry: {name} is {repr(value)[:80]}: use {rule}")


def _seconds(name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_DELAY:  # so never NaN
        return float(value)
    raise _wrong(name, value, f"seconds as a number from 0 to {MAX_DELAY:.0f}")


def _delays(value: object) -> tuple[float, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise _wrong("delays", value, "a sequence of seconds, such as (1, 10, 60)")
    return tuple(_seconds("delays", item) for item in cast("Sequence[object]", value))


def _types(name: str, value: object) -> tuple[type[BaseException], ...]:
    items = cast("Sequence[object]", value) if isinstance(value, tuple | list) else (value,)
    for item in items:
        if not (isinstance(item, type) and issubclass(item, BaseException)):
            raise _wrong(name, items, "exception types, such as (ConnectionError, TimeoutError)")
    return cast("tuple[type[BaseException], ...]", tuple(items))


NO_RETRY: Final = Retry(max_attempts=1)  # what a task that says nothing gets
