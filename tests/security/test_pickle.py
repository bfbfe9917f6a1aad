"""Pickle: what it carries where both sides opted in, and that nothing is unpickled anywhere else."""

from __future__ import annotations

import base64
import json
import pickle
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from security_tools import Trap, key, letters, refused, stored_job, stored_record

from naq import Job, Naq
from naq.codec.codecs import get_codec
from naq.codec.envelope import decode_envelope
from naq.exceptions import ConfigurationError, JobExecutionError, SerializationError
from naq.job import JobState
from tests.tools import make_app, memory_url, put, run, until, working

pytestmark = pytest.mark.filterwarnings("ignore::naq.codec.caution.PickleWarning")


class Engine:
    """What JSON has no form for."""

    def __init__(self, power: int) -> None:
        self.power = power


class Cyclic:
    def __init__(self) -> None:
        self.me = self

    def __call__(self, _: object) -> bool:
        return self.me is self


class NotHere:
    """Pickles on the client, and is unknown to the worker."""

    def __reduce__(self) -> Any:
        return pickle.loads, (b"cno_such_module\nThing\n.",)


class EndsTheProcess:
    def __reduce__(self) -> Any:
        return sys.exit, ("from a pickle",)


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("never")


def pickled(*args: Any, **kwargs: Any) -> str:
    return base64.b64encode(pickle.dumps((args, kwargs))).decode()


def message(**fields: Any) -> bytes:
    return json.dumps({"v": 1, "task": "take", **fields}).encode()


def make_take(app: Naq, seen: list[Any] | None = None) -> None:
    @app.task(name="take")
    async def take_it(*values: Any) -> int:
        if seen is not None:
            seen.extend(values)
        return len(values)


def test_what_json_cannot_express_arrives() -> None:
    app = make_app(codec="pickle")

    @app.task(name="sum")
    async def add(engine: Engine, *, more: complex, apply: Any) -> dict[str, Any]:
        return {"power": engine.power, "more": [more.real, more.imag], "applied": apply(Decimal("0.5"))}

    async def test() -> None:
        factor = Decimal(3)
        async with working(app):

            def multiply(value: Decimal) -> str:
                return str(value * factor)

            job = await add.enqueue(Engine(7), more=1 + 2j, apply=multiply)
            assert await job.result(timeout=5) == {"power": 7, "more": [1.0, 2.0], "applied": "1.5"}
            job = await add.enqueue(Engine(1), more=0j, apply=Cyclic())
            assert (await job.result(timeout=5))["applied"] is True

    run(test())


def test_it_says_on_the_wire_what_it_is_and_the_rest_stays_json() -> None:
    app = make_app(codec="pickle")
    make_take(app)

    async def test() -> None:
        job = await app.tasks["take"].options(timeout=5).enqueue(1, 2)
        envelope = decode_envelope((await stored_job(app)).payload, codecs={"pickle"})
        assert (envelope.codec, envelope.task, envelope.timeout) == ("pickle", "take", 5.0)
        (text,) = json.loads(bytes(envelope.args))
        assert pickle.loads(base64.b64decode(text)) == ((1, 2), {})
        assert bytes(envelope.kwargs) == b"{}"
        assert job.id

    run(test())


def test_calls_that_do_not_fit_are_refused_by_the_client() -> None:
    app = make_app(codec="pickle")

    @app.task(name="one")
    async def one(engine: Engine) -> None: ...

    async def test() -> None:
        with pytest.raises(SerializationError, match="'one' cannot be called with these arguments: missing"):
            await one.enqueue()  # pyright: ignore[reportCallIssue]
        with pytest.raises(SerializationError, match="cannot be pickled: never"):
            await one.enqueue(Unpicklable())  # pyright: ignore[reportArgumentType]
        await app.close()

    run(test())


@pytest.mark.parametrize("signing", [[], [key("a")]])
def test_a_worker_that_has_not_opted_in_unpickles_nothing(tmp_path: Path, signing: list[str]) -> None:
    """With and without signatures: that a producer is known is not that it may pickle."""
    trap, url = Trap(tmp_path), memory_url()
    client = make_app(codec="pickle", broker_url=url, signing_keys=signing)
    plain = make_app(broker_url=url, signing_keys=signing)
    make_take(client)
    make_take(plain)

    async def test() -> None:
        await client.tasks["take"].enqueue(trap)
        async with working(plain) as worker:
            await until(lambda: worker.processed == 1)
        (letter,) = await letters(plain)
        assert letter.kind == "malformed"
        assert b'"codec":"pickle"' in letter.payload
        assert "its arguments are pickled, and here nothing is unpickled without codec='pickle'" in letter.reason
        await client.close()

    run(test())
    assert not trap.sprung


def test_the_trap_is_a_trap(tmp_path: Path) -> None:
    """Where both sides opted in it does spring: that is what the warnings are about."""
    trap, seen = Trap(tmp_path), list[Any]()
    app = make_app(codec="pickle")
    make_take(app, seen)

    async def test() -> None:
        async with working(app):
            await (await app.tasks["take"].enqueue(trap)).result(timeout=5)

    run(test())
    assert trap.sprung
    assert seen == [0]  # what os.system returned


def hostile(trap: Trap) -> dict[str, bytes]:
    return {
        "a bare pickle": pickle.dumps(trap),
        "a bare text pickle": pickle.dumps(trap, protocol=0),
        "an unknown codec": message(args=[pickled(trap)], codec="cloudpickle"),
        "a codec in capitals": message(args=[pickled(trap)], codec="PICKLE"),
        "a codec that is no text": message(args=[pickled(trap)], codec=["pickle"]),
        "a codec given twice": message(args=[pickled(trap)], codec="pickle")[:-1] + b',"codec":"json"}',
        "encrypted": message(args=["k", pickled(trap)], codec="encrypted"),
    }


@pytest.mark.parametrize("codec", ["json", "pickle"])
@pytest.mark.parametrize("what", hostile(Trap(Path())))
def test_hostile_messages_are_malformed_and_run_nothing(tmp_path: Path, what: str, codec: str) -> None:
    trap, seen = Trap(tmp_path), list[Any]()
    app = make_app(codec=codec)
    make_take(app, seen)

    async def test() -> None:
        assert (await refused(app, hostile(trap)[what])).startswith("malformed job: ")

    run(test())
    assert not trap.sprung
    assert seen == []


@pytest.mark.parametrize("codec", ["json", "pickle"])
@pytest.mark.parametrize("said", [{}, {"codec": "json"}])
def test_a_pickle_that_is_said_to_be_json_is_text(tmp_path: Path, codec: str, said: dict[str, str]) -> None:
    trap, seen = Trap(tmp_path), list[Any]()
    app = make_app(codec=codec)
    make_take(app, seen)
    text = pickled(trap)

    async def test() -> None:
        job_id = await put(app, message(args=[text], **said))
        async with working(app):
            assert (await stored_record(app, job_id)).state is JobState.SUCCEEDED

    run(test())
    assert seen == [text]
    assert not trap.sprung


def test_json_is_read_by_a_worker_that_reads_pickles_and_still_checked() -> None:
    app = make_app(codec="pickle")

    @app.task(name="take")
    async def take_it(number: int, engine: Engine | None = None) -> int:
        return number if engine is None else -1

    @app.task(name="drive")
    async def drive(engine: Engine) -> None: ...

    async def test() -> None:
        async with working(app):
            good = await put(app, message(args=[5]))
            assert bytes((await stored_record(app, good)).result or b"") == b"5"
            for payload in (
                message(args=["5"]),
                message(args=[5, {"power": 1}]),
                message(task="drive", args=[{"power": 1}]),
            ):
                record = await stored_record(app, await put(app, payload))
                assert record.state is JobState.FAILED
                assert record.error is not None
                assert record.error.type.endswith("SerializationError")
                assert "does not fit" in record.error.message

    run(test())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"args": []}, "one string of base64"),
        ({"args": ["a", "b"]}, "one string of base64"),
        ({"args": [5]}, "one string of base64"),
        ({"args": ["not base64!"]}, "one string of base64"),
        ({"args": [pickled(1)[:-6]]}, "one string of base64|cannot be unpickled"),
        ({"args": [base64.b64encode(pickle.dumps((1,))[:-3]).decode()]}, "cannot be unpickled: "),
        ({"args": [base64.b64encode(pickle.dumps([1])).decode()]}, "holds no arguments"),
        ({"args": [base64.b64encode(pickle.dumps(((), {1: 2}))).decode()]}, "holds no arguments"),
        ({"args": [pickled(1)], "kwargs": {"a": 1}}, "kwargs must be empty"),
        ({"args": [pickled(1, nobody=2)]}, "cannot be called with these arguments"),
        ({"args": [pickled(NotHere())]}, "ModuleNotFoundError: No module named 'no_such_module'"),
        ({"args": [pickled(EndsTheProcess())]}, "cannot be unpickled: SystemExit"),
    ],
)
def test_pickles_that_cannot_be_read_fail_the_job_and_not_the_worker(fields: dict[str, Any], reason: str) -> None:
    app = make_app(codec="pickle")
    make_take(app)

    async def test() -> None:
        async with working(app):
            record = await stored_record(app, await put(app, message(codec="pickle", **fields)))
            assert record.state is JobState.FAILED
            assert record.error is not None
            assert record.attempt == 1
            assert re.search(reason, record.error.message), record.error.message
            assert await (await app.tasks["take"].enqueue(1)).result(timeout=5) == 1

    run(test())


def test_a_retried_job_is_still_pickled() -> None:
    app = make_app(codec="pickle")

    @app.task(name="twice", retry=[0.0])
    async def twice(engine: Engine, seen: Any) -> int:
        from naq import current_context

        if current_context().attempt == 1:
            raise ValueError("once more")
        return engine.power

    async def test() -> None:
        async with working(app):
            assert await (await twice.enqueue(Engine(3), {1, 2})).result(timeout=5) == 3

    run(test())


def test_results_are_json_so_a_client_never_unpickles(tmp_path: Path) -> None:
    """A result that has no JSON form fails its job; one that looks like a pickle is text."""
    trap = Trap(tmp_path)
    app = make_app(codec="pickle")

    @app.task(name="give")
    async def give(kind: str) -> Any:
        return Engine(1) if kind == "engine" else pickled(trap)

    async def test() -> None:
        async with working(app):
            with pytest.raises(JobExecutionError, match="cannot be stored as JSON"):
                await (await give.enqueue("engine")).result(timeout=5)
            assert await (await give.enqueue("text")).result(timeout=5) == pickled(trap)

    run(test())
    assert not trap.sprung


def test_results_that_are_declared_without_a_json_form_are_refused_at_declaration() -> None:
    app = make_app(codec="pickle")
    with pytest.raises(ConfigurationError, match="the result is a Engine, but a Engine has no JSON form"):

        @app.task(name="give")
        async def give() -> Engine:  # pyright: ignore[reportUnusedFunction]
            return Engine(1)


def carry(value: Any) -> None:
    """A function that jobs are made of."""


def test_a_job_as_bytes_is_unpickled_by_who_opted_in_and_not_where_jobs_are_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = Trap(tmp_path)
    monkeypatch.setenv("NAQ_BROKER_URL", "memory:")
    monkeypatch.setenv("NAQ_CODEC", "pickle")
    data = Job(carry, [trap]).serialize()
    monkeypatch.delenv("NAQ_CODEC")
    with pytest.raises(SerializationError, match="pickle"):
        Job.deserialize(data)
    monkeypatch.setenv("NAQ_CODEC", "pickle")
    monkeypatch.setenv("NAQ_SIGNING_KEYS", key("ours"))
    with pytest.raises(SerializationError, match="from signed jobs only"):
        Job.deserialize(data)
    assert not trap.sprung
    monkeypatch.delenv("NAQ_SIGNING_KEYS")
    Job.deserialize(data)
    assert trap.sprung, "else this test proves nothing"


def test_json_is_the_default_and_refuses_what_it_cannot_carry() -> None:
    app = make_app()
    assert app.config.codec == get_codec("json").name == "json"
    with pytest.raises(ConfigurationError, match="a Engine has no JSON form"):

        @app.task(name="drive")
        async def drive(engine: Engine) -> None: ...  # pyright: ignore[reportUnusedFunction]

    with pytest.raises(ConfigurationError, match="there is no codec 'yaml'; there are json, pickle"):
        get_codec("yaml")


def test_nothing_of_pickle_or_encryption_is_imported_without_asking_for_it() -> None:
    program = (
        "import sys, asyncio; from naq import Naq; from naq.worker import Worker\n"
        "app = Naq('shop', broker_url='memory:')\n"
        "app.task(name='f')(lambda: 1)\n"
        "async def main():\n"
        "    worker = Worker(app); running = asyncio.create_task(worker.run())\n"
        "    await (await app.tasks['f'].enqueue()).result(timeout=10)\n"
        "    worker.stop(); await running; await app.close()\n"
        "asyncio.run(main())\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(done.stdout.split())
    assert "naq.worker.prepare" in loaded
    assert not loaded & {"cloudpickle", "cryptography", "naq.codec.pickled", "naq.codec.seal", "naq.codec.cipher"}
