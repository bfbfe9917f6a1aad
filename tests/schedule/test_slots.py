"""When schedules fire: the rule of docs/schedules.md, through spring and autumn in four zones, and leap days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_tools import at, table, times

from naq.exceptions import ConfigurationError
from naq.schedules.cron import moments, read_cron
from naq.schedules.slots import newest_slots, next_slots, slots

#: Zone, when its clocks go forward and back in 2026 (local, before the change), and by how many minutes.
CHANGES = [
    ("Europe/Berlin", "2026-03-29 02:00", "2026-10-25 03:00", 60),
    ("America/New_York", "2026-03-08 02:00", "2026-11-01 02:00", 60),
    ("Australia/Lord_Howe", "2026-10-04 02:00", "2026-04-05 02:00", 30),
    ("America/Santiago", "2026-09-06 00:00", "2026-04-05 00:00", 60),
]
ZONES = [zone for zone, *_ in CHANGES]


def _fires(cron: str, zone: str, day: str) -> list[str]:
    """What `cron` names on the day `day` of `zone`: local times with their offset."""
    start = at(f"{day} 00:00", zone) - 1
    found = times(table(cron=cron, tz=zone), start, 400)
    return [text for text in found if text.startswith(day)]


class TestSpring:
    @pytest.mark.parametrize(("zone", "forward", "back", "shift"), CHANGES)
    def test_a_fixed_time_that_does_not_exist_fires_when_the_clocks_have_changed(
        self, zone: str, forward: str, back: str, shift: int
    ) -> None:
        gap = datetime.fromisoformat(forward)
        inside = gap + timedelta(minutes=shift // 2)
        day = gap.date().isoformat()
        found = _fires(f"{inside.minute} {inside.hour} * * *", zone, day)
        after = (gap + timedelta(minutes=shift)).isoformat(" ")
        assert [text[:19] for text in found] == [after]

    @pytest.mark.parametrize(("zone", "forward", "back", "shift"), CHANGES)
    def test_a_wildcard_goes_by_the_time_that_passes(self, zone: str, forward: str, back: str, shift: int) -> None:
        day = datetime.fromisoformat(forward).date()
        found = _fires("*/10 * * * *", zone, day.isoformat())
        assert len(found) == 24 * 6 - shift // 10
        _even(table(cron="*/10 * * * *", tz=zone), at(f"{day} 00:00", zone) - 86400, 600)


class TestAutumn:
    @pytest.mark.parametrize(("zone", "forward", "back", "shift"), CHANGES)
    def test_a_fixed_time_that_comes_twice_fires_the_first_time(
        self, zone: str, forward: str, back: str, shift: int
    ) -> None:
        twice = datetime.fromisoformat(back) - timedelta(minutes=shift // 2)
        found = _fires(f"{twice.minute} {twice.hour} * * *", zone, twice.date().isoformat())
        first = twice.replace(tzinfo=ZoneInfo(zone), fold=0)
        assert found == [first.isoformat(" ")]

    @pytest.mark.parametrize(("zone", "forward", "back", "shift"), CHANGES)
    def test_a_wildcard_fires_in_both(self, zone: str, forward: str, back: str, shift: int) -> None:
        twice = datetime.fromisoformat(back) - timedelta(minutes=shift)
        found = _fires("*/10 * * * *", zone, twice.date().isoformat())
        assert len(found) == 24 * 6 + shift // 10
        _even(table(cron="*/10 * * * *", tz=zone), at(f"{twice.date()} 00:00", zone) - 86400, 600)

    @pytest.mark.parametrize("zone", ZONES)
    def test_seen_from_the_second_of_two_like_hours_nothing_fires_again(self, zone: str) -> None:
        """Whoever looks in the second hour does not see the first one's slot once more."""
        back = datetime.fromisoformat(next(change[2] for change in CHANGES if change[0] == zone))
        minute = (back - timedelta(minutes=15)).replace(tzinfo=ZoneInfo(zone), fold=0)
        cron = f"{minute.minute} {minute.hour} * * *"
        (slot,) = [found.at for found in next_slots(table(cron=cron, tz=zone), minute.timestamp() - 60, 1)]
        assert slot == minute.timestamp()
        (following,) = next_slots(table(cron=cron, tz=zone), slot + 900, 1)
        assert following.at - slot > 80000


def _even(timetable: object, start: float, n: int) -> None:
    found = [slot.at for slot in next_slots(timetable, start, n)]  # pyright: ignore[reportArgumentType]
    assert {b - a for a, b in pairwise(found)} == {600.0}


class TestLeapDays:
    def test_the_29th_of_february(self) -> None:
        assert times(table(cron="0 12 29 2 *"), at("2023-01-01 00:00"), 3) == [
            "2024-02-29 12:00:00+00:00",
            "2028-02-29 12:00:00+00:00",
            "2032-02-29 12:00:00+00:00",
        ]

    def test_the_last_day_of_february(self) -> None:
        assert [text[:10] for text in times(table(cron="0 0 L 2 *"), at("2027-01-01 00:00"), 2)] == [
            "2027-02-28",
            "2028-02-29",
        ]

    def test_every_day_of_a_leap_year(self) -> None:
        found = next_slots(table(cron="@daily"), at("2028-01-01 00:00") - 1, 366)
        assert [slot.at for slot in found] == [at("2028-01-01 00:00") + 86400 * day for day in range(366)]


class TestSeconds:
    def test_six_fields_have_seconds_in_front(self) -> None:
        assert [text[11:19] for text in times(table(cron="*/20 30 4 * * *"), at("2026-01-01 00:00"), 4)] == [
            "04:30:00",
            "04:30:20",
            "04:30:40",
            "04:30:00",
        ]

    def test_they_follow_the_same_rule(self) -> None:
        """In spring moved to the first minute there is, in autumn once."""
        zone = "Europe/Berlin"
        assert _fires("15 30 2 * * *", zone, "2026-03-29") == ["2026-03-29 03:00:15+02:00"]
        assert _fires("15 30 2 * * *", zone, "2026-10-25") == ["2026-10-25 02:30:15+02:00"]

    def test_later_seconds_of_the_minute_we_are_in(self) -> None:
        start = at("2026-01-01 00:00:25")
        assert [slot.at - start for slot in next_slots(table(cron="*/20 * * * * *"), start, 3)] == [15, 35, 55]


EXPRESSIONS = st.sampled_from(
    [
        "30 2 * * *",
        "0,30 1-3 * * *",
        "*/15 * * * *",
        "0 */2 * * *",
        "5 0 * * MON",
        "*/20 0 3 * * *",
        "30 * * * *",
        "0 0 1 * *",
    ]
)


@settings(max_examples=80, deadline=None)
@given(
    cron=EXPRESSIONS,
    zone=st.sampled_from(ZONES),
    start=st.integers(int(at("2026-01-01 00:00")), int(at("2027-01-01 00:00"))),
    ahead=st.integers(1, 3 * 86400),
)
def test_the_slots_are_the_same_whenever_one_looks(cron: str, zone: str, start: int, ahead: int) -> None:
    """Strictly later, in order, each once, and none appears or goes away because one looks later."""
    found = list(islice(moments(cron, zone, start), 60))
    assert all(a < b for a, b in zip([start, *found], found, strict=False))
    later = start + ahead
    expected = [moment for moment in found if moment > later]
    assert list(islice(moments(cron, zone, later), len(expected))) == expected


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES), hour=st.integers(0, 23), minute=st.integers(0, 59),
    start=st.dates(date(2025, 1, 1), date(2027, 1, 1)),
)  # fmt: skip
def test_a_fixed_time_fires_once_on_each_day(zone: str, hour: int, minute: int, start: object) -> None:
    """Whatever the clocks do, and at the time it says wherever there is such a time."""
    found = times(table(cron=f"{minute} {hour} * * *", tz=zone), at(f"{start} 00:00", zone) - 1, 40)
    days = [text[:10] for text in found]
    assert len(set(days)) == 40
    first = datetime.fromisoformat(days[0])
    assert days == [(first + timedelta(days=n)).date().isoformat() for n in range(40)]
    odd = [text for text in found if text[11:16] != f"{hour:02}:{minute:02}"]
    assert len(odd) <= 1  # a day on which the clocks went forward over it


class TestIntervals:
    def test_they_count_from_their_start(self) -> None:
        timetable = table(interval=90, start=1000)
        assert [slot.at for slot in next_slots(timetable, 0, 3)] == [1000, 1090, 1180]
        assert [slot.at for slot in next_slots(timetable, 1090, 2)] == [1180, 1270]
        assert [slot.at for slot in next_slots(timetable, 1089.5, 1)] == [1090]

    def test_an_end_is_no_slot(self) -> None:
        assert [slot.at for slot in next_slots(table(interval=10, start=100, end=120), 0, 9)] == [100, 110]

    def test_a_start_holds_for_cron_too(self) -> None:
        timetable = table(cron="0 * * * *", start=at("2026-01-01 03:00"), end=datetime(2026, 1, 1, 5, tzinfo=UTC))
        assert [text[11:16] for text in times(timetable, at("2026-01-01 00:00"), 9)] == ["03:00", "04:00"]


class TestJitter:
    def test_it_is_the_same_whoever_looks_and_another_for_each_slot(self) -> None:
        timetable = table(interval=60, start=0, jitter=30)
        found = next_slots(timetable, 0, 200, seed="a")
        assert found == list(islice(slots(timetable, 0, "a"), 200))
        put_off = [slot.due - slot.at for slot in found]
        assert all(0 <= seconds < 30 for seconds in put_off)
        assert len(set(put_off)) > 190
        assert 12 < sum(put_off) / 200 < 18
        assert next_slots(timetable, 0, 200, seed="b") != found


class TestNewest:
    @pytest.mark.parametrize("n", [1, 3, 500])
    def test_the_last_ones_before(self, n: int) -> None:
        timetable = table(cron="*/7 * * * *", tz="Europe/Berlin")
        start, end = at("2026-10-24 00:00"), at("2026-10-26 00:00")
        everything = [slot for slot in next_slots(timetable, start, 1000) if slot.due <= end]
        assert newest_slots(timetable, start, end, n) == everything[-n:]

    def test_quick_however_long_ago(self) -> None:
        """A cron that fires each second, ten years on: the newest is found without counting to it."""
        (slot,) = newest_slots(table(cron="* * * * * *"), at("2016-01-01 00:00"), at("2026-01-01 00:00"), 1)
        assert slot.at == at("2026-01-01 00:00")


class TestRefused:
    @pytest.mark.parametrize(
        "cron",
        ["", "* * * *", "60 * * * *", "* 24 * * *", "0 0 30 2 *", "0 0 * * 8", "@never", "a b c d e", "*/0 * * * *",
         "1-99999999999 * * * *", "* * * * * * *", "5-1 * * * *", "0," * 200 + "0 * * * *", "0 0 31 4 *"],
    )  # fmt: skip
    def test_what_is_no_cron(self, cron: str) -> None:
        with pytest.raises(ConfigurationError, match="cron"):
            read_cron(cron)

    @pytest.mark.parametrize(
        ("timing", "word"),
        [
            ({}, "cron or interval"),
            ({"cron": "@daily", "interval": 5}, "one of them"),
            ({"interval": 0.5}, "interval"),
            ({"interval": -1}, "interval"),
            ({"interval": True}, "interval"),
            ({"interval": 10**9}, "interval"),
            ({"cron": "@daily", "tz": "Europe/Atlantis"}, "Atlantis"),
            ({"cron": "@daily", "tz": "../etc/passwd"}, "time zone"),
            ({"cron": "@daily", "repeat": 0}, "repeat"),
            ({"cron": "@daily", "missed": "all"}, "catch_up"),
            ({"cron": "@daily", "missed": "catch_up(0)"}, "catch_up"),
            ({"cron": "@daily", "overlap": "forbid"}, "overlap"),
            ({"cron": "@daily", "start": 10, "end": 10}, "end"),
            ({"interval": 10, "jitter": 10}, "jitter"),
            ({"cron": "@daily", "crn": "x"}, "crn"),
            ({"cron": "@daily", "start": "tomorrow"}, "start"),
        ],
    )
    def test_what_is_no_timetable(self, timing: dict[str, object], word: str) -> None:
        with pytest.raises(ConfigurationError, match=word):
            table(**timing)
