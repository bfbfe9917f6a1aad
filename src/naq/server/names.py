"""What may stand in an address or a body where a name or an id is meant, by type: the one place that says so.

They are the rules of `naq.names`, as types that FastAPI checks and the OpenAPI document shows.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path as InPath
from pydantic import AfterValidator, Field

from naq.exceptions import ConfigurationError
from naq.inside.artifacts import MAX_NAME, check_name

NAME: Final = r"^[A-Za-z0-9_-]{1,64}$"
TASK: Final = r"^[A-Za-z_][A-Za-z0-9_.:-]{0,199}$"
REQUEST_ID: Final = r"[A-Za-z0-9._:-]{1,128}"


def _artifact(name: str) -> str:
    try:
        return check_name(name)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


JobId = Annotated[str, InPath(pattern=NAME, description="The job's id.", examples=["01JC4N9W2VQ0R8S6T4XKZB7M3F"])]
Token = Annotated[str, Field(pattern=NAME)]
QueueName = Annotated[str, InPath(pattern=NAME, description="The queue.", examples=["mail"])]
TaskName = Annotated[str, InPath(pattern=TASK, description="The task.", examples=["shop.tasks:send_mail"])]
Task = Annotated[str, Field(pattern=TASK)]
WorkerId = Annotated[str, InPath(pattern=NAME, description="The worker's id.")]
ScheduleName = Annotated[str, InPath(pattern=NAME, description="The schedule.", examples=["nightly"])]
RuleName = Annotated[str, InPath(pattern=NAME, description="The alert rule.", examples=["failing-tasks"])]
ChannelName = Annotated[str, InPath(pattern=NAME, description="The channel.", examples=["ops"])]
LetterId = Annotated[str, InPath(pattern=NAME, description="The dead letter; that of a job has the job's id.")]
Fingerprint = Annotated[
    str, InPath(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="What a group of errors has in common.")
]
Id = Annotated[str, InPath(pattern=NAME, description="The id.")]
ArtifactName = Annotated[
    str, InPath(min_length=1, max_length=MAX_NAME, description="The file's name."), AfterValidator(_artifact)
]
