"""Small values by name, and the comparing and setting of them."""

from __future__ import annotations

import asyncio

import pytest

from naq import clock
from naq.exceptions import ConfigurationError
from naq.testing.conformance.bench import PATIENCE, Bench, scenario

TTL = 1.0  # seconds; the shortest that stores keep


class TestEntries:
    """`put`, `entry`, `entries`, `remove`."""

    @scenario
    async def test_what_is_put_is_there(self, bench: Bench) -> None:
        """For every instance, bytes as they are; the last word counts, and each has a version of its own."""
        backend, other = await bench.open(), await bench.open()
        kind = bench.name("kind")
        first = await backend.put(kind, "a", b"\x00\xff one")
        assert first
        kept = await other.entry(kind, "a")
        assert kept is not None
        assert (kept.kind, kept.key, kept.value, kept.version) == (kind, "a", b"\x00\xff one", first)
        second = await other.put(kind, "a", b"")
        assert second not in {None, first}
        assert (await backend.entry(kind, "a")) == (await other.entry(kind, "a"))
        assert [entry.value for entry in await backend.entries(kind)] == [b""]

    @scenario
    async def test_what_is_not_there(self, bench: Bench) -> None:
        """Is no error."""
        backend = await bench.open()
        kind = bench.name("kind")
        assert await backend.entry(kind, "a") is None
        assert await backend.entries(kind) == []
        assert not await backend.remove(kind, "a")
        assert await backend.put(kind, "a", b"1", expect=12345) is None
        assert await backend.entry(kind, "a") is None

    @scenario
    async def test_compare_and_set(self, bench: Bench) -> None:
        """A version that was overtaken changes nothing; 0 is for what is not there."""
        backend, other = await bench.open(), await bench.open()
        kind = bench.name("kind")
        first = await backend.put(kind, "a", b"1", expect=0)
        assert first
        assert await other.put(kind, "a", b"2", expect=0) is None
        second = await other.put(kind, "a", b"2", expect=first)
        assert second
        assert await backend.put(kind, "a", b"3", expect=first) is None
        assert not await backend.remove(kind, "a", expect=first)
        kept = await backend.entry(kind, "a")
        assert kept is not None
        assert (kept.value, kept.version) == (b"2", second)
        assert await backend.remove(kind, "a", expect=second)
        assert not await other.remove(kind, "a", expect=second)
        assert await other.put(kind, "a", b"4", expect=0)

    @scenario
    async def test_one_winner(self, bench: Bench) -> None:
        """Of many that set at once, over several instances; round after round."""
        backends = [await bench.open() for _ in range(3)]
        kind = bench.name("kind")
        version = 0
        for turn in range(5):
            racers = [backends[n % 3].put(kind, "a", b"%d.%d" % (turn, n), expect=version) for n in range(12)]
            answers = await asyncio.gather(*racers)
            [winner] = [n for n, answer in enumerate(answers) if answer is not None]
            kept = await backends[0].entry(kind, "a")
            assert kept is not None
            assert (kept.value, kept.version) == (b"%d.%d" % (turn, winner), answers[winner])
            version = kept.version

    @scenario
    async def test_counting_together(self, bench: Bench) -> None:
        """Nobody's step is lost: what a limit lives on."""
        backends = [await bench.open() for _ in range(3)]
        kind = bench.name("kind")

        async def step(number: int) -> None:
            backend = backends[number % 3]
            while True:
                there = await backend.entry(kind, "n")
                value = b"%d" % (int(there.value if there else b"0") + 1)
                if await backend.put(kind, "n", value, expect=there.version if there else 0) is not None:
                    return

        await asyncio.gather(*(step(number) for number in range(30)))
        kept = await backends[0].entry(kind, "n")
        assert kept is not None
        assert kept.value == b"30"

    @scenario
    async def test_kinds_and_parts_are_apart(self, bench: Bench) -> None:
        """A list is of a kind, or of what lies under a name, and nothing else; by key."""
        backend = await bench.open()
        kind, other = bench.name("kind"), bench.name("kind")
        for key in ("b.2", "b.1", "b", "bb.1", "a", "b.1.x.y"):
            await backend.put(kind, key, key.encode())
        await backend.put(other, "b.3", b"")
        assert [entry.key for entry in await backend.entries(kind)] == ["a", "b", "b.1", "b.1.x.y", "b.2", "bb.1"]
        assert [entry.key for entry in await backend.entries(kind, under="b")] == ["b.1", "b.1.x.y", "b.2"]
        assert [entry.key for entry in await backend.entries(kind, under="b.1")] == ["b.1.x.y"]
        assert await backend.entries(kind, under="c") == []
        await backend.remove(kind, "b.1")
        assert [entry.key for entry in await backend.entries(kind, under="b")] == ["b.1.x.y", "b.2"]

    @scenario
    async def test_many(self, bench: Bench) -> None:
        """A list has all of them."""
        backend = await bench.open()
        kind = bench.name("kind")
        await asyncio.gather(*(backend.put(kind, f"k{number:04}", b"%d" % number) for number in range(700)))
        assert [entry.value for entry in await backend.entries(kind)] == [b"%d" % number for number in range(700)]

    @scenario
    async def test_what_runs_out(self, bench: Bench) -> None:
        """Is gone after its time and not before, and its name is free; what was put anew lives on."""
        backend, other = await bench.open(), await bench.open()
        kind = bench.name("kind")
        begin = clock.monotonic()
        await backend.put(kind, "brief", b"1", ttl=TTL)
        version = await backend.put(kind, "renewed", b"1", ttl=TTL)
        await backend.put(kind, "kept", b"1")
        assert await backend.put(kind, "renewed", b"2", expect=version, ttl=60)

        async def gone() -> bool:
            return await other.entry(kind, "brief") is None

        await bench.until(gone, within=TTL + bench.slack + 1 + PATIENCE)
        assert clock.monotonic() - begin >= TTL * 0.9
        assert [entry.key for entry in await other.entries(kind)] == ["kept", "renewed"]
        assert not await other.remove(kind, "brief")
        assert await other.put(kind, "brief", b"2", expect=0)
        assert await other.put(kind, "brief", b"3", expect=0) is None

    @scenario
    async def test_hostile_names(self, bench: Bench) -> None:
        """Are refused before anything happens."""
        backend = await bench.open()
        for name in ("", "*", ">", "a b", "a..b", ".a", "a.", "a.b.c.d.e", "a\r\nb", "a\0b", "x" * 65, "ü"):
            for call in (
                backend.put("kind", name, b""),
                backend.entry("kind", name),
                backend.remove("kind", name),
                backend.put(name or " ", "a", b""),
                backend.entries(name or " "),
                backend.entries("kind", under=name or " "),
            ):
                with pytest.raises(ConfigurationError, match=r"not allowed|key of"):
                    await call
