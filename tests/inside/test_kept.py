"""Checkpoints, fences, artifacts: what a job keeps, and who may still write it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from naq import ConfigurationError, LeaseLost, PayloadTooLarge, SerializationError, current_context
from naq.config import Config
from naq.context import Context
from naq.inside import checkpoint
from naq.inside.artifacts import CHUNK, check_name
from tests.tools import DEADLINE, Place, until_so, working


def test_a_checkpoint_is_there_for_the_next_attempt(place: Place) -> None:
    app = place.make()

    @app.task(name="count", retry=[0.01, 0.01])
    async def counting() -> list[int]:
        context = current_context()
        done = await context.restore(list[int]) or []
        done.append(context.attempt)
        await context.checkpoint(done)
        if context.attempt < 3:
            raise ValueError("again")
        return done

    @app.task(name="plain", retry=[0.01])
    def plain() -> Any:
        context = current_context()
        done = context.restore_sync()
        if done is None:
            context.checkpoint_sync({"row": 5})
            raise ValueError("again")
        return done

    async def main() -> None:
        async with working(app):
            first, second = await counting.enqueue(), await plain.enqueue()
            assert await first.result(timeout=DEADLINE) == [1, 2, 3]
            assert await second.result(timeout=DEADLINE) == {"row": 5}

    asyncio.run(main())


def test_older_forms_are_brought_up_step_by_step() -> None:
    kept = checkpoint.Kept(version=1, fence=0, value=checkpoint.encode(7, "x", limit=100), at=0.0)
    upcast: dict[int, checkpoint.Upcaster] = {1: lambda row: {"row": row}, 2: lambda old: {**old, "table": "t"}}
    assert checkpoint.read(kept, dict[str, Any], 3, upcast, "it") == {"row": 7, "table": "t"}
    assert checkpoint.read(kept, int, 1, {}, "it") == 7
    with pytest.raises(SerializationError, match="no upcaster for 2"):
        checkpoint.read(kept, Any, 3, {1: upcast[1]}, "it")
    with pytest.raises(SerializationError, match="newer code wrote it"):
        checkpoint.read(checkpoint.Kept(version=4, fence=0, value=kept.value, at=0.0), Any, 3, upcast, "it")
    with pytest.raises(SerializationError, match="does not fit str"):
        checkpoint.read(kept, str, 1, {}, "it")


def test_who_was_claimed_earlier_may_not_overwrite_a_checkpoint(place: Place) -> None:
    app = place.make()

    async def main() -> None:
        async with app:
            backend, config = await app.connect(), app.config
            late = Context(job_id="stale", task="t", attempt=2)
            early = Context(job_id="stale", task="t", attempt=1, claims=3)
            await checkpoint.save(backend, config, early, checkpoint.encode(1, "x", limit=10), 1)
            await checkpoint.save(backend, config, late, checkpoint.encode(2, "x", limit=10), 1)
            with pytest.raises(LeaseLost, match="later claim"):
                await checkpoint.save(backend, config, early, checkpoint.encode(3, "x", limit=10), 1)
            kept = await checkpoint.load(backend, config, "stale")
            assert kept is not None
            assert bytes(kept.value) == b"2"

    asyncio.run(main())


def test_the_fence_grows_with_every_claim(place: Place) -> None:
    app = place.make()
    fences: list[int] = []

    @app.task(name="fenced", retry=[0.01, 0.01])
    async def fenced() -> None:
        context = current_context()
        fences.append(context.fence)
        if len(fences) in {1, 2, 4}:
            context.snooze(0.01)
        if len(fences) in {3, 5}:
            raise ValueError("again")

    async def main() -> None:
        async with working(app):
            await (await fenced.enqueue()).result(timeout=DEADLINE)

    asyncio.run(main())
    assert len(fences) == 6
    assert fences == sorted(set(fences))
    assert fences[-1] < 2**63
    assert (
        Context(job_id="j", task="t", run=2).fence > Context(job_id="j", task="t", attempt=900, claims=2_000_000).fence
    )


def test_sql_refuses_a_stale_writer() -> None:
    """The example of docs/inside.md, with a worker that wakes up late."""
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE accounts (id TEXT PRIMARY KEY, balance INTEGER, fence INTEGER NOT NULL DEFAULT 0)")
        db.execute("INSERT INTO accounts VALUES ('a', 0, 0)")

        def write(context: Context, balance: int) -> bool:
            done = db.execute(
                "UPDATE accounts SET balance = ?, fence = ? WHERE id = ? AND fence <= ?",
                (balance, context.fence, "a", context.fence),
            )
            return done.rowcount == 1

        frozen, next_one = Context(job_id="j", task="t", claims=1), Context(job_id="j", task="t", claims=2)
        assert write(frozen, 10)
        assert write(next_one, 20)
        assert write(next_one, 30)  # as often as it likes
        assert not write(frozen, 11)
        assert db.execute("SELECT balance FROM accounts").fetchall() == [(30,)]
    db.close()


def test_artifacts_of_every_kind_of_source(place: Place, tmp_path: Path) -> None:
    app = place.make()
    path = tmp_path / "source.bin"
    big = bytes(range(256)) * 4096 + b"end"  # a little over four chunks
    path.write_bytes(big)
    assert len(big) > 4 * CHUNK

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 1000):
            yield big[start : start + 1000]

    def lines() -> Iterator[bytes]:
        yield from (b"a\n", b"", b"b\n")

    @app.task(name="report")
    async def report() -> int:
        context = current_context()
        await context.artifact("small.txt", b"hello")
        await context.artifact("empty.bin", b"")
        await context.artifact("path.bin", path)
        with path.open("rb") as file:
            await context.artifact("file.bin", file)
        await context.artifact("stream.bin", parts(), media_type="video/mp4")
        await context.artifact("lines.csv", lines())
        await context.artifact("small.txt", b"hello again")  # in place of the first
        info = await context.artifact("memory.bin", memoryview(bytearray(b"x")))
        return info.size

    @app.task(name="plain")
    def plain() -> None:
        current_context().artifact_sync("Räume & Zeiten.json", io.BytesIO(b"{}"))

    async def main() -> None:
        async with working(app):
            job, other = await report.enqueue(), await plain.enqueue()
            assert await job.result(timeout=DEADLINE) == 1
            await other.result(timeout=DEADLINE)
            found = {artifact.name: artifact for artifact in await job.artifacts()}
            assert list(found) == sorted(found)
            for name in ("path.bin", "file.bin", "stream.bin"):
                assert found[name].size == len(big)
                assert found[name].sha256 == hashlib.sha256(big).hexdigest()
                assert await found[name].read() == big
            assert found["small.txt"].type == "text/plain"
            assert found["stream.bin"].type == "video/mp4"
            assert await found["small.txt"].read() == b"hello again"
            assert await found["empty.bin"].read() == b""
            assert await found["lines.csv"].read() == b"a\nb\n"
            saved = await found["path.bin"].save(tmp_path)
            assert saved == tmp_path / "path.bin"
            assert saved.read_bytes() == big
            assert (
                await asyncio.to_thread(found["memory.bin"].read_sync) == b"x"
                if "nats" in app.config.broker_url
                else True
            )
            [name] = [artifact.name for artifact in await other.artifacts()]
            assert name == "Räume & Zeiten.json"
            backend = await app.connect()
            chunks = await backend.entries("artifact", under=f"{job.id}.c")
            assert len(chunks) == sum(-(-artifact.size // CHUNK) for artifact in found.values())  # none of the replaced
            assert await found["path.bin"].remove()
            assert not await found["path.bin"].remove()
            assert "path.bin" not in {artifact.name for artifact in await job.artifacts()}
            with pytest.raises(SerializationError, match="not there any more"):
                await found["path.bin"].read()

    asyncio.run(main())
    assert list(tmp_path.glob("*.part")) == []


def test_of_an_artifact_that_cannot_be_kept_nothing_remains(place: Place) -> None:
    app = place.make(max_artifact=2 * CHUNK)

    async def breaks() -> AsyncIterator[bytes]:
        yield b"x" * CHUNK
        raise OSError("the disk is gone")

    @app.task(name="big")
    async def big() -> list[str]:
        context = current_context()
        errors: list[str] = []
        sources: list[Any] = [b"x" * (3 * CHUNK), breaks(), ["text"], "text", 5]
        for source in sources:
            try:
                await context.artifact("big.bin", source)
            except (PayloadTooLarge, OSError, ConfigurationError) as error:
                errors.append(type(error).__name__)
        return errors

    async def main() -> None:
        async with working(app):
            job = await big.enqueue()
            assert await job.result(timeout=DEADLINE) == ["PayloadTooLarge", "OSError", *["ConfigurationError"] * 3]
            assert await job.artifacts() == []
            assert await (await app.connect()).entries("artifact", under=job.id) == []

    asyncio.run(main())


def test_an_artifact_is_never_whole_in_memory(place: Place) -> None:
    """What is stored of a slow source is there before it has ended."""
    app = place.make()
    goes_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * (2 * CHUNK)
        await goes_on.wait()
        yield b"y"

    @app.task(name="slow")
    async def task() -> None:
        await current_context().artifact("slow.bin", slow())

    async def main() -> None:
        async with working(app):
            job = await task.enqueue()
            backend = await app.connect()

            async def two_are_there() -> bool:
                return len(await backend.entries("artifact", under=f"{job.id}.c")) == 2

            await until_so(two_are_there)
            assert await job.artifacts() == []  # but not as a whole
            goes_on.set()
            await job.result(timeout=DEADLINE)
            [artifact] = await job.artifacts()
            assert artifact.size == 2 * CHUNK + 1

    asyncio.run(main())


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "x\0", "a\nb", " x", "x.", "c:x", "a*", "x" * 129, 5]
)
def test_names_that_are_no_files(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not allowed"):
        check_name(name)


@pytest.mark.parametrize("version", [0, -1, 1.5, True, "1"])
def test_versions_that_are_none(version: Any) -> None:
    with pytest.raises(ConfigurationError, match="whole number from 1"):
        checkpoint.check_version(version)


def test_the_settings_have_bounds() -> None:
    with pytest.raises(ConfigurationError, match="0 to 1"):
        Config(progress_delta=1.5)
    with pytest.raises(ConfigurationError, match="max_artifact"):
        Config(max_artifact=0)
