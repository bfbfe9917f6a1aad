"""When a schedule fires, and what becomes of a slot: frozen data and pure functions, for preview and for real."""

from naq.schedules.kept import Kept, Pause, Template, Tick
from naq.schedules.slots import Slot, next_slots
from naq.schedules.timetable import MISSED, OVERLAP, Missed, Overlap, Timetable

__all__ = [
    "MISSED",
    "OVERLAP",
    "Kept",
    "Missed",
    "Overlap",
    "Pause",
    "Slot",
    "Template",
    "Tick",
    "Timetable",
    "next_slots",
]
