"""Later: after a delay, at a time, or not at all. The broker holds the timers; no scheduler has to run.

Run, in two terminals:

    naq worker -m later
    python later.py

Prints:

    scheduled
    cancelled: True, and once more: False
    tea
    cake
    the one that was cancelled: cancelled
"""

from datetime import UTC, datetime, timedelta

import naq


def serve(what: str) -> str:
    return what


def main() -> None:
    cake = naq.enqueue_at_sync(datetime.now(UTC) + timedelta(seconds=1), serve, "cake")
    tea = naq.enqueue_in_sync(timedelta(seconds=0.5), serve, "tea")
    never = naq.enqueue_in_sync(3600, serve, "supper")
    print(never.status_sync())

    first, again = (naq.cancel_scheduled_job_sync(never.job_id) for _ in range(2))
    print(f"cancelled: {first}, and once more: {again}")
    for job in (tea, cake):
        print(job.result_sync(timeout=10))
    print("the one that was cancelled:", never.status_sync())


if __name__ == "__main__":
    main()
