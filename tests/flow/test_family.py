"""A job with all that it hangs together with, as data and drawn."""

from __future__ import annotations

from flow_tasks import Tasks

import naq
from naq.cli.tree import draw
from naq.flow.family import Family, Member, find_family
from tests.tools import Place, run, working


def test_all_that_hangs_together(place: Place):
    """Above, below and beside, ended or not; and nobody else."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)

        @app.task(name="outer")
        async def outer() -> str:
            return (await tasks.note.options(delay=3600).enqueue("inner")).id

        async with app:
            stranger = await tasks.note.enqueue("stranger")
            top = await outer.enqueue()
            left = await tasks.note.options(depends_on=top).enqueue("left")
            right = await tasks.note.options(depends_on=[top], delay=3600).enqueue("right")
            last = await tasks.total.options(on_parent_failure="run_anyway").enqueue(naq.results_of([left, right]))  # pyright: ignore[reportArgumentType]
            async with working(app):
                inner = await top.result(30)
                await left.result(30)
                await stranger.result(30)
            backend = await app.connect()
            for asked in (top.id, left.id, last.id, inner):
                family = await find_family(backend, app.config, asked)
                assert family is not None
                assert {one.id: one.state for one in family.members.values()} == {
                    top.id: "succeeded",
                    left.id: "succeeded",
                    right.id: "scheduled",
                    last.id: "blocked",
                    inner: "scheduled",
                }
                assert family.roots == [top.id]
                assert sorted(family.children()[top.id]) == sorted([left.id, right.id, inner])
                assert [family.members[left.id].task, family.members[inner].parent] == ["note", top.id]
                assert not family.more
            alone = await find_family(backend, app.config, stranger.id)
            assert alone is not None
            assert list(alone.members) == [stranger.id]
            assert await find_family(backend, app.config, "nobody") is None

    run(body())


def _family(asked: str, *members: Member) -> Family:
    return Family(asked, {member.id: member for member in members})


def test_it_is_drawn():
    family = _family(
        "b",
        Member(id="a", task="fetch", state="succeeded"),
        Member(id="b", task="count", state="running", after=["a"]),
        Member(id="c", task="count", state="queued", after=["a"]),
        Member(id="d", task="report\x1b[31m", state="blocked", after=["b", "c"], reason="why"),
    )
    assert draw(family) == [
        "✓ fetch  a  succeeded",
        "├── ▶ count  b  running  ←",
        "│   └── ⏸ report�[31m  d  blocked  why",
        "└── · count  c  queued",
        "    └── ⏸ report�[31m  d  blocked  (drawn above)",
    ]


def test_many_siblings_are_counted_and_long_lines_cut():
    join = Member(id="join", task="join", state="blocked", after=[f"p{n}" for n in range(200)])
    parents = [Member(id=f"p{n}", task="part", state="succeeded" if n % 2 else "queued") for n in range(200)]
    lines = draw(_family("join", *parents, join))
    assert len(lines) == 50 + 50 + 1
    assert lines[-1] == "and 150 more: 75 queued, 75 succeeded"
    assert sum("drawn above" not in line and "join" in line for line in lines) == 1
    links = [Member(id=f"n{n}", task="link", state="blocked", after=[f"n{n - 1}"] if n else []) for n in range(2000)]
    lines = draw(_family("n0", *links))
    assert len(lines) == 32
    assert lines[-1].endswith("and so on: naq jobs tree n31")
