"""When a schedule fires, and what becomes of a slot: frozen data and pure functions, for preview and for real."""

from naq.schedule.kept import Kept, Pause, Template, Tick
from naq.schedule.slots import Slot, next_slots
from naq.schedule.timetable import MISSED, OVERLAP, Missed, Overlap, Timetable

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
