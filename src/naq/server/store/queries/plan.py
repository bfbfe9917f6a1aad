"""A list of jobs as SQL of which every part walks along an index: which one, and what is sifted afterwards.

A page is the merge of branches. Each branch fixes the first columns of an index to one value (a task and a state, a
tag), so that its rows come in the order of the page and it stops after as many as the page has. What no index serves is
sifted from at most `SCAN` rows: where they do not fill the page, it says how far it looked and the next page goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Numeric,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.sql.selectable import Subquery

from naq.server.store.conditions import (
    Absent,
    Among,
    At,
    Begins,
    Between,
    Condition,
    Contains,
    Every,
    JobQuery,
    Measure,
    Tagged,
    Than,
)
from naq.server.store.queries.documents import json_at, number_at
from naq.server.store.tables import STATES, jobs, tags

SCAN: Final = 5_000  # rows that one page sifts at most: some 20 ms on SQLite
SCATTERED: Final = (
    2_000  # of them in an order in which rows do not lie: each is a page of the database, hardly a warm one
)
MOST_BRANCHES: Final = 60  # of a page; each costs a descent of an index, some 20 µs
_SINGLE: Final = (
    "root_id",
    "parent_id",
    "fingerprint",
    "key",
    "schedule",
    "trace",
    "worker",
)  # have an index by created_at


class Plan(NamedTuple):
    """How a page is found.

    Attributes:
        branches: what is equal within each branch; its order is that of an index.
        tag: the tag whose index is walked, where it is one.
        residual: what is sifted from the rows that come.
    """

    branches: list[list[ColumnElement[bool]]]
    tag: Tagged | None
    residual: list[ColumnElement[bool]]


def make_plan(query: JobQuery) -> Plan:  # noqa: PLR0911 - one return a kind of index
    """The plan of `query`."""
    positive = [one for one in query.conditions if isinstance(one, Among) and not one.negated]
    by_field = {one.field: one for one in positive}
    used: list[Condition] = []
    bounds = [one for one in query.conditions if isinstance(one, Between) and not one.negated
              and one.measure == query.sort]  # fmt: skip
    used += bounds
    fixed = [bound for one in bounds for bound in _bounds(jobs.c[one.measure], one)]
    if query.sort != "created_at":
        fixed.append(jobs.c[query.sort].is_not(None))
        return Plan([fixed], None, _rest(query.conditions, used))
    if (ids := by_field.get("id")) is not None:
        used.append(ids)
        return Plan([[*fixed, jobs.c.id.in_(ids.values)]], None, _rest(query.conditions, used))
    for name in _SINGLE:
        if (one := by_field.get(name)) is not None and len(one.values) <= MOST_BRANCHES:  # pyright: ignore[reportArgumentType]
            used.append(one)
            also = [jobs.c.worker != ""] if name == "worker" else []
            return Plan(
                [[*fixed, *also, jobs.c[name] == value] for value in one.values], None, _rest(query.conditions, used)
            )
    tag = next((one for one in query.conditions if isinstance(one, Tagged) and not one.negated), None)
    if tag is not None:
        tagged = [bound for one in bounds for bound in _bounds(tags.c.created_at, one)]
        used.append(tag)
        return Plan([tagged], tag, _rest(query.conditions, used))
    chosen = by_field.get("state")
    states = STATES if chosen is None else tuple(dict.fromkeys(chosen.values))
    for name in ("task", "queue"):
        one = by_field.get(name)  # pyright: ignore[reportArgumentType]
        if one is not None and len(one.values) * len(states) <= MOST_BRANCHES:
            used += [one, *([chosen] if chosen else [])]
            pairs = product(one.values, states)
            return Plan(
                [[*fixed, jobs.c[name] == value, jobs.c.state == state] for value, state in pairs],
                None,
                _rest(query.conditions, used),
            )
    if chosen is not None:
        used.append(chosen)
        return Plan([[*fixed, jobs.c.state == state] for state in states], None, _rest(query.conditions, used))
    return Plan([fixed], None, _rest(query.conditions, used))


def page(plan: Plan, query: JobQuery, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """At most `query.limit` + 1 rows in the order of the page (of the way there, where it goes backwards)."""
    walked = _walk(plan, query, _scan(query) if plan.residual else query.limit + 1)
    chosen = select(*columns).select_from(jobs.join(walked, jobs.c.id == walked.c.id)).where(*plan.residual)
    down = is_down(query)
    key, last = walked.c.sort, walked.c.id
    order = (key.desc(), last.desc()) if down else (key.asc(), last.asc())
    return chosen.order_by(*order).limit(query.limit + 1)


def frontier(plan: Plan, query: JobQuery) -> Select[int, str]:
    """The last row that a page with something to sift has looked at; none where it has looked at all there are."""
    most = _scan(query)
    walked = _walk(plan, query, most)
    down = is_down(query)
    order = (walked.c.sort.desc(), walked.c.id.desc()) if down else (walked.c.sort.asc(), walked.c.id.asc())
    return select(walked.c.sort, walked.c.id).order_by(*order).limit(1).offset(most - 1)


def count(plan: Plan, cap: int, *, parts: int = 1) -> tuple[Select[int, int], int]:
    """How many rows fit, how many were looked at; how many at most: `cap`, of sifted ones `SCAN` for all `parts`.

    Where the order costs nothing, those are sifted that the first page sifts: others would have to be read first.
    """
    most = min(cap, SCAN // parts) if plan.residual else cap
    walked = _walk(plan, JobQuery(limit=most), most, ordered=bool(plan.residual) and len(plan.branches) == 1)
    if not plan.residual:
        return select(func.count(), func.count()).select_from(walked), most
    fits = func.count().filter(and_(*plan.residual))
    return select(fits, func.count()).select_from(jobs.join(walked, jobs.c.id == walked.c.id)), most


def count_states(plan: Plan) -> Select[str, int, int]:
    """By state, how many rows fit and how many were looked at, of the first `SCAN`."""
    walked = _walk(plan, JobQuery(limit=SCAN), SCAN, ordered=len(plan.branches) == 1)
    fits = func.count().filter(and_(true(), *plan.residual))
    joined = jobs.join(walked, jobs.c.id == walked.c.id)
    return select(jobs.c.state, fits, func.count()).select_from(joined).group_by(jobs.c.state)


def _scan(query: JobQuery) -> int:
    return min(SCAN, SCATTERED) if query.sort == "duration_us" else SCAN


def is_down(query: JobQuery) -> bool:
    """Whether the rows are walked from the high end."""
    return query.descending != query.backwards


def _walk(plan: Plan, query: JobQuery, most: int, *, ordered: bool = True) -> Subquery:
    """Sort values and ids of the first `most` rows behind `query.after`, from all branches."""
    down = is_down(query)
    parts: list[Any] = []
    for equal in plan.branches:
        if plan.tag is not None:
            key, last = tags.c.created_at, tags.c.job_id
            equal = [*equal, tags.c.name == plan.tag.name, tags.c.value == plan.tag.value]  # noqa: PLW2901
        else:
            key, last = jobs.c[query.sort], jobs.c.id
        part = select(key.label("sort"), last.label("id")).where(*equal)
        if query.after is not None:
            here, there = tuple_(key, last), tuple_(literal(query.after[0]), literal(query.after[1]))
            part = part.where(here < there if down else here > there)
        if ordered:
            part = part.order_by(*((key.desc(), last.desc()) if down else (key.asc(), last.asc())))
        parts.append(part.limit(most))
    if len(parts) == 1:
        return parts[0].subquery("walked")
    merged = union_all(*(select(part.subquery()) for part in parts)).subquery("merged")
    all_ = select(merged.c.sort, merged.c.id)
    if ordered:
        order = (merged.c.sort.desc(), merged.c.id.desc()) if down else (merged.c.sort.asc(), merged.c.id.asc())
        all_ = all_.order_by(*order)
    return all_.limit(most).subquery("walked")


def _rest(conditions: Sequence[Condition], used: Sequence[Condition]) -> list[ColumnElement[bool]]:
    return [_sift(one) for one in conditions if not any(one is other for other in used)]


def _sift(condition: Condition) -> ColumnElement[bool]:
    """A condition as SQL; of a negated one, what has no value is among the rest."""
    match condition:
        case Every(parts):
            # Asked as a number, so that what is not known is no, and its opposite yes.
            found = func.coalesce(case((and_(*map(_sift, parts)), 1), else_=0), 0) == 1
        case At(document, path, values, begins):
            lies = json_at(jobs.c[document], path)
            found = func.substr(lies, 1, len(values[0])) == values[0] if begins else lies.in_(values)
            return or_(lies.is_(None), not_(found)) if condition.negated else found
        case Than(document, path, bounds):
            number = number_at(jobs.c[document], path)
            found = and_(*(number.op(sign)(cast(literal(bound), Numeric())) for sign, bound in bounds))
            return or_(number.is_(None), not_(found)) if condition.negated else found
        case Absent(field):
            found = jobs.c[field].is_(None)
        case Among(field, values):
            column = jobs.c[field]
            found = column.in_(values)
            return or_(column.is_(None), not_(found)) if condition.negated else found
        case Between(measure):
            column = _measured(measure)
            found = and_(column.is_not(None), *_bounds(column, condition))
            return or_(column.is_(None), not_(found)) if condition.negated else found
        case Begins(field, text):
            found = and_(jobs.c[field] >= text, jobs.c[field] < text + "\U0010ffff")
        case Contains(field, text):
            found = func.coalesce(jobs.c[field], "").ilike(f"%{_escape(text)}%", escape="\\")
        case Tagged(name, value):
            found = (
                select(1)
                .where(tags.c.job_id == jobs.c.id, tags.c.name == name, tags.c.value == value)
                .correlate(jobs)
                .exists()
            )
    return not_(found) if condition.negated else found


def _measured(measure: Measure) -> ColumnElement[Any]:
    return func.coalesce(jobs.c.run_at, jobs.c.created_at) if measure == "due_at" else jobs.c[measure]


def _bounds(column: ColumnElement[Any], between: Between) -> list[ColumnElement[bool]]:
    low = [] if between.low is None else [column >= between.low]
    return low if between.high is None else [*low, column < between.high]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
