"""Streams and messages of the raw loops: as durable as naq's, as small as a no-op job and its record."""

from __future__ import annotations

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

JOBS, RECORDS, CONSUMER = "RAW_JOBS", "RAW_RECORDS", "raw"
JOB_SUBJECT, RECORD_SUBJECT = "raw.j", "raw.r"
JOB = b'{"v":1,"task":"job","args":[%d],"at":1763800000.123456}'
RECORD = (
    b'{"id":"01KATB3V40000000000000000A","state":"succeeded","task":"job","result":%d,"arguments":{"args":[%d],"kwargs":{}},'
    b'"worker":"host-1234-abcdef","enqueued_at":1763800000.123456,"started_at":1763800000.123456,'
    b'"finished_at":1763800000.123456}'
)
BATCH = 500  # messages a fetch, and publishes in flight


async def create(js: JetStreamContext) -> None:
    """A work queue of jobs, one subject a job, its consumer, and a stream of records."""
    await js.add_stream(StreamConfig(JOBS, subjects=[f"{JOB_SUBJECT}.*"], retention=RetentionPolicy.WORK_QUEUE))
    await js.add_stream(StreamConfig(RECORDS, subjects=[f"{RECORD_SUBJECT}.*"]))
    await js.add_consumer(
        JOBS, ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT, ack_wait=30, max_ack_pending=10_000)
    )


def job_index(data: bytes) -> int:
    """The number in a `JOB`."""
    return int(data[data.index(b"[") + 1 : data.index(b"]")])
