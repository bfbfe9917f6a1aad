"""The settings themselves: names, defaults, meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Literal, TypedDict

from msgspec import Struct
from msgspec.structs import force_setattr

from naq.config.fields import KINDS, read_field, show
from naq.exceptions import ConfigurationError

Durability = Literal["standard", "strict", "replicated", "replicated-strict"]
CodecName = Literal["json", "pickle"]
Priorities = Literal["weighted", "strict"]
EventOverflow = Literal["block", "drop_oldest_progress", "spill"]
Seconds = float | timedelta | str


class Settings(TypedDict, total=False):
    """`Config`'s fields as keyword arguments; durations also as timedelta or text such as ``"30s"``."""

    broker_url: str
    namespace: str
    durability: Durability
    connect_timeout: Seconds
    publish_timeout: Seconds
    lease: Seconds
    crash_limit: int
    max_payload: int
    max_result: int
    record_arguments: int
    max_headers: int
    concurrency: int
    priorities: Priorities
    child_jobs: int
    child_memory: int
    child_rss: int
    scheduler: bool
    shutdown_timeout: Seconds
    heartbeat_interval: Seconds
    worker_ttl: Seconds
    record_ttl: Seconds
    dead_ttl: Seconds
    progress_delta: float
    progress_interval: Seconds
    job_log_lines: int
    job_log_bytes: int
    event_buffer: int
    event_overflow: EventOverflow
    event_spill_dir: str
    event_spill_bytes: int
    max_artifact: int
    imports: Sequence[str]
    code_version: str
    codec: CodecName
    signing_keys: Sequence[str]
    encryption_keys: Sequence[str]
    user: str
    password: str
    token: str
    creds: str
    nkey_seed: str
    tls_ca: str
    tls_cert: str
    tls_key: str


class Config(Struct, frozen=True, kw_only=True):
    """Every setting of naq. Checked when made; secrets do not show in its repr.

    Attributes:
        broker_url: where jobs live. ``nats://HOST:PORT`` (several separated by commas), ``tls://HOST:PORT``,
            ``embedded:PATH`` (a server of naq's own for that folder), ``memory:`` or ``memory:NAME`` (this process).
        namespace: apps of different namespaces share a broker and never see each other's jobs.
        durability: what an acknowledged job survives; see docs/configuration.md.
        connect_timeout, publish_timeout: seconds until a call gives up with `NaqConnectionError`.
        lease: seconds after which a silent worker's jobs go to another.
        crash_limit: deliveries without an outcome after which a job is taken for poison.
        max_payload, max_result, max_headers: bytes; more is `PayloadTooLarge` before anything is stored.
        record_arguments: bytes of a job's arguments that its record carries, for the history and for people; of longer
            ones it says how long they are. 0: none.
        concurrency: jobs one worker process runs at once.
        priorities: how a worker chooses: "weighted" by priority, so that low ones get their turn; "strict": the
            higher first, as long as there are any.
        child_jobs: jobs after which the child process of an ``executor="process"`` task is replaced; 0: never.
        child_memory: MiB a child process may take beyond what it has when it is ready; 0: no limit. Linux only.
        child_rss: MiB of memory over which a child process is replaced after its job; 0: never.
        scheduler: whether workers keep schedules going; False: only ``naq scheduler`` does.
        shutdown_timeout: seconds a stopping worker lets its running jobs go on.
        heartbeat_interval, worker_ttl: seconds between a worker's signs of life, and until it is taken for gone.
        record_ttl: seconds a final record is kept, and with it the identity of the job.
        dead_ttl: seconds a dead letter is kept for a person.
        progress_delta: how much a job's progress (0 to 1) must grow until it is written again.
        progress_interval: seconds between two writes of a job's progress, at least.
        job_log_lines, job_log_bytes: log lines and bytes of them kept of an attempt; of more, the last 100. 0: none.
        event_buffer: bytes of events of jobs (progress, log lines, metrics, starts, failed attempts) that a worker
            holds until the broker takes them.
        event_overflow: what happens when they do not fit: "block": no jobs are claimed until they do;
            "drop_oldest_progress": the oldest progress is dropped, then metrics, log lines, and the rest; "spill": they
            are kept in a file before that. Final records are never among them.
        event_spill_dir, event_spill_bytes: the folder of that file, and its bytes at most.
        max_artifact: bytes of one artifact; more is `PayloadTooLarge`, and nothing of it is kept.
        imports: modules a worker imports at start; their functions may be run.
        code_version: what workers say of the version of your code: a tag, a commit; "": nothing.
        codec: how arguments travel. "pickle" also makes a worker read pickled ones, which can do anything to it: only
            where every producer is trusted (docs/pickle.md).
        signing_keys, encryption_keys: ``id:base64``, the first one signs or encrypts, all are accepted, "none" also
            accepts what is not signed or encrypted (docs/signing.md).
        user, password, token, creds, nkey_seed: how to log in to the broker (`creds`: path of a credentials file).
        tls_ca, tls_cert, tls_key: paths of PEM files.

    Raises:
        ConfigurationError: a value of the wrong type or out of range, or settings that contradict each other.
    """

    broker_url: str = "nats://127.0.0.1:4222"
    namespace: str = "default"
    durability: Durability = "standard"
    connect_timeout: float = 15.0
    publish_timeout: float = 15.0
    lease: float = 30.0
    crash_limit: int = 5
    max_payload: int = 1_048_576
    max_result: int = 1_048_576
    record_arguments: int = 8_192
    max_headers: int = 4096
    concurrency: int = 20
    priorities: Priorities = "weighted"
    child_jobs: int = 0
    child_memory: int = 0
    child_rss: int = 0
    scheduler: bool = True
    shutdown_timeout: float = 30.0
    heartbeat_interval: float = 10.0
    worker_ttl: float = 30.0
    record_ttl: float = 7 * 86400.0
    dead_ttl: float = 30 * 86400.0
    progress_delta: float = 0.01
    progress_interval: float = 0.2
    job_log_lines: int = 1000
    job_log_bytes: int = 1_048_576
    event_buffer: int = 16_777_216
    event_overflow: EventOverflow = "drop_oldest_progress"
    event_spill_dir: str = ""
    event_spill_bytes: int = 268_435_456
    max_artifact: int = 104_857_600
    imports: tuple[str, ...] = ()
    code_version: str = ""
    codec: CodecName = "json"
    signing_keys: tuple[str, ...] = ()
    encryption_keys: tuple[str, ...] = ()
    user: str = ""
    password: str = ""
    token: str = ""
    creds: str = ""
    nkey_seed: str = ""
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""

    def __post_init__(self) -> None:
        for name in KINDS:
            force_setattr(self, name, read_field(name, getattr(self, name), "Config"))
        if self.heartbeat_interval >= self.worker_ttl:
            raise ConfigurationError(
                f"heartbeat_interval ({self.heartbeat_interval:g} s) must be shorter than worker_ttl "
                f"({self.worker_ttl:g} s), or every worker is taken for gone between two heartbeats"
            )
        if self.password and not self.user:
            raise ConfigurationError("password is set but user is not; set both")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigurationError("tls_cert and tls_key belong together; set both or neither")

        if (self.event_overflow == "spill") != bool(self.event_spill_dir):
            raise ConfigurationError(
                "event_overflow='spill' and event_spill_dir belong together: the folder in which events wait for the "
                "broker, the same at the worker's next start"
            )

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={text}' for name, text in self._shown())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # msgspec gives every Struct one of its own, which would print the secrets.
        return [(name, _Plain(text)) for name, text in self._shown()]

    def _shown(self) -> Iterator[tuple[str, str]]:
        for name in KINDS:
            yield name, show(name, getattr(self, name))


class _Plain(str):
    """Text whose repr is itself, so that a hidden value is not quoted twice."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
