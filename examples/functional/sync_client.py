"""A client: one connection for everything, for code without an event loop, shared by threads.

Run, in two terminals:

    naq worker -m sync_client
    python sync_client.py

Prints:

    [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]
    succeeded
    [100, 121]
"""

from concurrent.futures import ThreadPoolExecutor

import naq


def square(n: int) -> int:
    return n * n


def main() -> None:
    with naq.SyncClient() as client:
        jobs = [client.enqueue(square, n) for n in range(10)]
        print([job.result_sync(timeout=10) for job in jobs])
        print(client.job(jobs[0].job_id).status_sync())

        def squared(n: int) -> int:
            return client.enqueue(square, n).result_sync(timeout=10)

        with ThreadPoolExecutor() as pool:
            print(list(pool.map(squared, [10, 11])))


if __name__ == "__main__":
    main()
