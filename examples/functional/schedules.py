"""A function that runs again and again, by an interval or a cron expression. Workers keep it going.

Run, in two terminals:

    naq worker -m schedules
    python schedules.py

Prints:

    2 pings
    due at 7 in Berlin
    paused: True
    every ten minutes: True
    cancelled: True, and once more: False
"""

import time
from zoneinfo import ZoneInfo

import naq
from naq import sync


def ping() -> str:
    return "ping"


def report(what: str) -> str:
    return what


def main() -> None:
    pings = naq.schedule_sync(ping, interval=1, repeat=2)
    while len(sync.run("", pings.info).past) < 2:
        time.sleep(0.1)
    print("2 pings")

    daily = naq.schedule_sync(report, "sales", cron="0 7 * * *", timing={"tz": "Europe/Berlin", "missed": "skip"})
    [due] = sync.run("", daily.upcoming, 1)
    print(f"due at {due.astimezone(ZoneInfo('Europe/Berlin')).hour} in Berlin")
    print("paused:", naq.pause_scheduled_job_sync(daily.job_id))
    naq.resume_scheduled_job_sync(daily.job_id)
    print("every ten minutes:", naq.modify_scheduled_job_sync(daily.job_id, interval=600))
    print(f"cancelled: {naq.cancel_scheduled_job_sync(daily.job_id)}, and once more: ", end="")
    print(naq.cancel_scheduled_job_sync(daily.job_id))
    naq.cancel_scheduled_job_sync(pings.job_id)


if __name__ == "__main__":
    main()
