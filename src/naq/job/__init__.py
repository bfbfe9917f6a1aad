"""What a job is: its states, the value that is enqueued, and the record that remains. Frozen data, nothing else."""

from naq.job.ids import new_id
from naq.job.record import AttemptError, Frame, JobRecord
from naq.job.spec import PRIORITIES, JobSpec, KeyScope, Priority
from naq.job.states import FINAL, TRANSITIONS, JobState, may_move

__all__ = [
    "FINAL",
    "PRIORITIES",
    "TRANSITIONS",
    "AttemptError",
    "Frame",
    "JobRecord",
    "JobSpec",
    "JobState",
    "KeyScope",
    "Priority",
    "may_move",
    "new_id",
]
