"""The JSON Schema of what commands print with --json, published as docs/cli.schema.json."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, Final

import msgspec

from naq.cli.alerts import AlertView, IncidentView
from naq.cli.artifacts import ArtifactView
from naq.cli.bulk import BulkView
from naq.cli.channels import ChannelView, MadeChannel
from naq.cli.check import CheckView
from naq.cli.db_text import DatabaseState, Pruning, Revision
from naq.cli.error_groups import ErrorView
from naq.cli.events import EventView, HandlerView
from naq.cli.job_logs import LineView
from naq.cli.marks import MarkLine
from naq.cli.outbox_text import RowView
from naq.cli.schedule_text import ScheduleView, SlotView
from naq.cli.stacks import StacksView, StackView
from naq.cli.tokens import MadeToken, TokenView
from naq.cli.tree import TreeView
from naq.cli.views import (
    Change,
    Check,
    Enqueued,
    JobView,
    LetterView,
    Measure,
    QueueView,
    Setting,
    Step,
    TaskView,
    Top,
    WorkerView,
)  # fmt: skip
from naq.cli.why import WhyView

#: What each command prints with --json; [] around a type means a list of them. `jobs follow` prints one such document a
#: line, and `jobs export` and `dead export` always do.
DOCUMENTS: Final[dict[str, Any]] = {
    "init": list[Change],
    "enqueue": Enqueued | list[Enqueued] | JobView,
    "jobs list": list[JobView],
    "jobs show": JobView,
    "jobs wait": JobView,
    "jobs follow": Step,
    "jobs export": JobView,
    "jobs logs": LineView,
    "jobs artifacts": list[ArtifactView],
    "jobs why": WhyView,
    "jobs tree": TreeView,
    "jobs cancel": list[Change],
    "jobs retry": list[Change],
    "jobs delete": list[Change],
    "jobs run-now": list[Change],
    "jobs edit": list[Change],
    "tokens create": MadeToken,
    "tokens list": list[TokenView],
    "tokens revoke": list[Change],
    "tasks pause": list[Change],
    "tasks resume": list[Change],
    "errors list": list[ErrorView],
    "errors show": ErrorView,
    "errors resolve": list[Change],
    "errors ignore": list[Change],
    "errors reopen": list[Change],
    "bulk list": list[BulkView],
    "bulk show": BulkView,
    "bulk abort": list[Change],
    "dead handle": list[Change],
    "dead reopen": list[Change],
    "alerts list": list[AlertView],
    "alerts incidents": list[IncidentView],
    "alerts create": list[Change],
    "alerts edit": list[Change],
    "alerts delete": list[Change],
    "alerts mute": list[Change],
    "alerts acknowledge": list[Change],
    "alerts resolve": list[Change],
    "channels list": list[ChannelView],
    "channels create": MadeChannel,
    "channels edit": list[Change],
    "channels rotate": MadeChannel,
    "channels delete": list[Change],
    "alerts test": list[Change],
    "mark": list[Change],
    "marks list": list[MarkLine],
    "marks remove": list[Change],
    "schedules list": list[ScheduleView],
    "schedules show": ScheduleView,
    "schedules create": ScheduleView,
    "schedules edit": ScheduleView,
    "schedules preview": list[SlotView],
    "schedules pause": list[Change],
    "schedules resume": list[Change],
    "schedules skip": list[Change],
    "schedules delete": list[Change],
    "db upgrade": DatabaseState,
    "db downgrade": DatabaseState,
    "db current": DatabaseState,
    "db history": list[Revision],
    "db check": DatabaseState,
    "db prune": Pruning,
    "events list": list[EventView],
    "events handlers": list[HandlerView],
    "events forget": list[Change],
    "outbox list": list[RowView],
    "outbox show": RowView,
    "outbox retry": list[Change],
    "outbox discard": list[Change],
    "queues list": list[QueueView],
    "queues show": QueueView,
    "queues pause": list[Change],
    "queues resume": list[Change],
    "queues limit": list[Change],
    "queues purge": list[Change],
    "queues move": list[Change],
    "workers list": list[WorkerView],
    "workers show": WorkerView,
    "top": Top,
    "bench": list[Measure],
    "job-control": list[Change],
    "list-scheduled": list[JobView],
    "list-workers": list[WorkerView],
    "purge": list[Change],
    "tasks run": JobView,
    "dead edit": list[Change],
    "workers drain": list[Change],
    "workers stop": list[Change],
    "workers slots": list[Change],
    "workers pause": list[Change],
    "workers resume": list[Change],
    "workers stack": StacksView,
    "jobs stack": StackView,
    "dead list": list[LetterView],
    "dead show": LetterView,
    "dead retry": list[Change],
    "dead discard": list[Change],
    "dead purge": list[Change],
    "tasks list": list[TaskView],
    "tasks show": TaskView,
    "broker check": list[Check],
    "broker plan": list[Check],
    "doctor": list[Check],
    "check": CheckView,
    "config show": list[Setting],
}


def schema() -> dict[str, Any]:
    """The JSON Schema of everything in `DOCUMENTS`, each command a property of ``commands``."""
    views = [kind for name, kind in DOCUMENTS.items() if name != "enqueue"]  # put together below
    _, parts = msgspec.json.schema_components([*views, Enqueued, JobView], ref_template="#/$defs/{name}")
    for part in parts.values():
        if "description" in part:  # a docstring, whose indentation Python leaves in before 3.13
            part["description"] = cleandoc(part["description"])
    commands: dict[str, Any] = {}
    for name, kind in DOCUMENTS.items():
        if name == "enqueue":
            one = [{"$ref": f"#/$defs/{view}"} for view in ("Enqueued", "JobView")]
            commands[name] = {"anyOf": [*one, {"type": "array", "items": one[0]}]}
        else:
            [found], _ = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
            commands[name] = found
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What naq's commands print with --json",
        "type": "object",
        "properties": commands,
        "$defs": parts,
    }
