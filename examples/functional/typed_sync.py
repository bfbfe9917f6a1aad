"""The tasks of an app, from code without an event loop: the same names with `_sync` at the end, typed the same.

Run, in two terminals:

    naq worker typed_sync.py
    python typed_sync.py

Prints:

    3
    [1, 4, 9]
    removed
"""

from naq import Naq

app = Naq("typed_sync")


@app.task
def add(a: int, b: int = 0) -> int:
    return a + b


@app.task
async def square(n: int) -> int:
    return n * n


def main() -> None:
    job = add.enqueue_sync(1, b=2)
    print(job.result_sync(timeout=10))

    jobs = square.enqueue_many_sync(square.call(n) for n in (1, 2, 3))
    print([job.result_sync(timeout=10) for job in jobs])

    later = add.options(delay=3600).enqueue_sync(1)
    print(later.cancel_sync())


if __name__ == "__main__":
    main()
