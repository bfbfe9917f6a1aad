"""Schedules at work: kept in the broker, changed by compare-and-set, their next ticks stored ahead as delayed jobs.

`Schedules` is what people and programs use; `Planner` is what the leader does; `Gate` is what a worker asks before it
runs a tick. What a schedule means is decided in `naq.schedules`.
"""

from naq.scheduler.gate import Gate
from naq.scheduler.handle import Schedule, Schedules
from naq.scheduler.planner import Planner

__all__ = ["Gate", "Planner", "Schedule", "Schedules"]
