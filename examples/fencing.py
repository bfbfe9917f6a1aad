"""A worker that was taken for dead wakes up and writes. SQL refuses it, with `Context.fence`.

Prints:

    attempt 2 wrote 120: True
    attempt 1 wakes up and writes 100: False
    balance: 120
"""

import asyncio
import sqlite3
from pathlib import Path

from naq import Naq, current_context

app = Naq("fencing", broker_url="embedded:.naq")

TABLE = "CREATE TABLE accounts (id TEXT PRIMARY KEY, balance INTEGER, fence INTEGER NOT NULL DEFAULT 0)"


def write_balance(path: str, account: str, balance: int, fence: int) -> bool:
    """Write, unless a later claim of the job has written already; whether it was written."""
    db = sqlite3.connect(path)
    try:
        with db:
            done = db.execute(
                "UPDATE accounts SET balance = ?, fence = ? WHERE id = ? AND fence <= ?",
                (balance, fence, account, fence),
            )
        return done.rowcount == 1
    finally:
        db.close()


@app.task(retry=[0.1])
def settle(path: str, account: str, balance: int) -> tuple[bool, int]:
    context = current_context()
    if context.attempt == 1:
        Path("stale.txt").write_text(str(context.fence))  # stands for a worker that froze here
        raise TimeoutError
    return write_balance(path, account, balance, context.fence), context.attempt


def stale_fence() -> int:
    return int(Path("stale.txt").read_text())


async def main() -> None:
    path = "bank.db"
    db = sqlite3.connect(path)
    db.execute(TABLE)
    db.execute("INSERT INTO accounts (id, balance) VALUES ('anna', 0)")
    db.commit()
    async with app:
        written, attempt = await (await settle.enqueue(path, "anna", 120)).result(timeout=20)
    print(f"attempt {attempt} wrote 120: {written}")
    stale = stale_fence()
    print(f"attempt 1 wakes up and writes 100: {write_balance(path, 'anna', 100, stale)}")
    (balance,) = db.execute("SELECT balance FROM accounts").fetchone()
    print(f"balance: {balance}")
    db.close()


if __name__ == "__main__":
    asyncio.run(main())
