"""What users write about schedules, and the types they get; checked by `make types`."""

from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, assert_type

import naq
from naq import Naq, Schedule
from naq.schedules import Kept, Slot
from naq.task import AsyncTask, SyncTask

app = Naq("typing-schedules", broker_url="memory:typing-schedules")


@app.cron("*/5 * * * *", tz="Europe/Berlin", missed="latest", overlap="skip")
@app.task(queue="mail")
async def remind(to: str = "all") -> int:
    return len(to)


@app.every(timedelta(minutes=5), jitter=30, repeat=3, kwargs={"kind": "full"})
def clean(kind: str) -> bool:
    return bool(kind)


@app.every(30, name="other")
async def poll() -> str:
    return ""


async def decorated_tasks_stay_what_they_are() -> None:
    coroutine = assert_type(remind("a"), Coroutine[Any, Any, int])
    coroutine.close()
    assert_type(await (await remind.enqueue("a")).result(), int)
    assert_type(clean("x"), bool)
    as_async: AsyncTask[[], str] = poll
    as_sync: SyncTask[[str], bool] = clean
    await as_async.enqueue()
    await as_sync.enqueue("x")


async def handles() -> None:
    made = assert_type(await app.schedules.create("s", remind.call("a"), cron="@daily"), Schedule)
    assert_type(app.schedules["s"], Schedule)
    assert_type(await made.info(), Kept)
    assert_type(await made.upcoming(3), list[datetime])
    assert_type(await made.edit(interval=60), Kept)
    assert_type(await made.skip_next(), datetime | None)
    assert_type(await made.run_now(), str)
    assert_type(await made.delete(), bool)
    assert_type(app.schedules.preview(3, cron="@daily"), list[Slot])


async def without_an_app() -> None:
    assert_type(await naq.schedule(poll, interval=5), Schedule)
    assert_type(naq.schedule_sync(poll, cron="@daily"), Schedule)
    assert_type(await naq.pause_scheduled_job("x"), bool)
    assert_type(await naq.Scheduler(poll_interval=5).run(), None)
