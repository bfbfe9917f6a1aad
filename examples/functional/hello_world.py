"""A function, enqueued by code without an event loop.

Run, in two terminals:

    naq worker -m hello_world
    python hello_world.py

Prints:

    Hello, world!
    Hello, world!
"""

import naq


def hello(name: str) -> str:
    return f"Hello, {name}!"


def main() -> None:
    job = naq.enqueue_sync(hello, "world")
    print(job.result_sync(timeout=10))
    # Whoever has the id can ask as well, from any process.
    print(naq.fetch_job_result_sync(job.job_id, timeout=10))


if __name__ == "__main__":
    main()
