"""Removing everything that a namespace has on a broker; for benchmarks and tests that clean up behind themselves."""

from __future__ import annotations

import asyncio

from naq.backends.nats.api import JetStream
from naq.backends.nats.broker.address import resolve
from naq.backends.nats.client import errors
from naq.backends.nats.client.courier import Courier
from naq.backends.nats.client.link import Link
from naq.backends.nats.subjects import Subjects
from naq.config import Config


async def remove_namespace(config: Config) -> None:
    """Delete the streams of the namespace of `config`, with every job, record and worker in them. No way back.

    Raises:
        NaqConnectionError: the broker cannot be reached.
    """
    url, held = await asyncio.to_thread(resolve, config)
    link = Link(config, url, name=f"naq removal {config.namespace}")
    courier = Courier(link)
    js = JetStream(courier, timeout=config.connect_timeout)
    subjects = Subjects(config.namespace)
    try:
        await courier.open()
        await link.open(config.connect_timeout)
        for name in (subjects.jobs, subjects.log, subjects.dead, subjects.state, subjects.live):
            await js.try_call(f"STREAM.DELETE.{name}", absent=errors.STREAM_NOT_FOUND)
    finally:
        await link.close()
        courier.close()
        if held is not None:
            await asyncio.to_thread(held.close)
