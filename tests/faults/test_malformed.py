"""Faults 67 to 69: messages that are no jobs, published by strangers. They end as dead letters, raw; nothing of them is
imported or run, the worker lives, and jobs beside them are not held up."""

from __future__ import annotations

import os
import pickle

import pytest
from rig.fleet import Rig, story
from rig.foreign import foreign
from rig.specs import job, jobs

from naq.job import new_id

pytestmark = pytest.mark.faults
READY = "naq.rig.j.q.default.n.-."
FLOOD = 2000  # malformed messages in a row


class _Bomb:
    """What a pickle may do to whoever loads it."""

    def __init__(self, canary: str) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.canary,)


def malformed(canary: str) -> dict[str, bytes]:
    """Messages that are no jobs, by what is wrong with them. If anything of one is run, `canary` exists."""
    call = f'"args":["{canary}"]'
    return {
        "empty": b"",
        "garbage": b"\x00\xff\xfe garbage",
        "cut off": b'{"v":1,"task":"work","args":[1',
        "no object": b"[1,2,3]",
        "nothing in it": b"{}",
        "version to come": b'{"v":2,"task":"work","args":[1]}',
        "version of another kind": b'{"v":"1","task":"work","args":[1]}',
        "task of another kind": b'{"v":1,"task":7,"args":[1]}',
        "arguments of another kind": b'{"v":1,"task":"work","args":{"a":1}}',
        "keywords of another kind": b'{"v":1,"task":"work","kwargs":[1]}',
        "a task that is no name": b'{"v":1,"task":"work; rm -rf /","args":[1]}',
        "100 deep": b'{"v":1,"task":"work","args":' + b"[" * 150 + b"]" * 150 + b"}",
        "100,000 deep": b'{"v":1,"task":"work","args":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "no number": b'{"v":1,"task":"work","args":[NaN]}',
        "keys twice": b'{"v":1,"task":"work","task":"doomed","args":[1]}',
        "import path": f'{{"v":1,"task":"os:mkdir",{call}}}'.encode(),
        "import path with dots": f'{{"v":1,"task":"os.path:os.mkdir",{call}}}'.encode(),
        "import path of a builtin": f'{{"v":1,"task":"builtins:open",{call}}}'.encode(),
        "pickle": pickle.dumps(_Bomb(canary)),
        "no text": b'{"v":1,"task":"\xff\xfe","args":[1]}',
        "surrogate": b'{"v":1,"task":"\\ud800","args":[1]}',
    }


@story
async def test_malformed_messages_become_dead_letters_and_nothing_of_them_runs(rig: Rig) -> None:
    """Faults 67 and 68, between good jobs."""
    async with rig.connected() as app:
        worker = rig.worker()
        await rig.ready(worker)
        canary = rig.gate("canary")
        bad = malformed(str(canary))
        await rig.enqueue(*jobs(app, "work", 20))
        with foreign(rig.url) as stranger:
            for payload in bad.values():
                stranger.publish(READY + new_id(), payload)
            # Names that no producer of ours would use, with a good job in them.
            stranger.publish(READY + "%2e%2e", b'{"v":1,"task":"work","args":[1]}')
            stranger.publish("naq.rig.j.q.default.n.-." + "x" * 300, b'{"v":1,"task":"work","args":[1]}')
            stranger.publish(READY + new_id(), bad["empty"], {"Naq-Attempt": "-1", "Naq-Run": "9" * 50})
            stranger.flush()
        await rig.enqueue(*jobs(app, "work", 20))
        expected = len(bad) + 3
        letters = [letter.payload for letter in await rig.malformed(expected)]
        report = await rig.verdict("malformed")
        assert report.seen["malformed"] == expected
        assert report.seen["executed"] == 40
        assert set(bad.values()) <= set(letters), "kept as they came"
        assert not canary.exists()
        await rig.stop(worker)


@story
async def test_a_flood_of_malformed_messages_holds_nobody_up(rig: Rig) -> None:
    """Fault 69: thousands in a row; jobs of the same queue follow, those of another do not wait."""
    async with rig.connected() as app:
        worker = rig.worker("default", "other")
        await rig.ready(worker)
        with foreign(rig.url) as stranger:
            for number in range(FLOOD):
                stranger.publish(READY + new_id(), b"no job %d" % number)
            stranger.flush()
        await rig.enqueue(*(job(app, "work", n, queue="other") for n in range(200)))
        await rig.enqueue(*jobs(app, "work", 200))
        report = await rig.verdict("malformed")
        assert report.seen["executed"] == 400

        assert len(await rig.malformed(FLOOD)) == FLOOD
        await rig.stop(worker)
