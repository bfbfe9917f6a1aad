"""The tasks of a small shop, as a user would write them: the app of ``make demo`` and ``naq dev --demo``."""

import asyncio
import time
from dataclasses import dataclass
from datetime import date, timedelta

from naq import Naq, Retry, current_context

app = Naq("shop")  # broker_url comes from the environment: NAQ_BROKER_URL


@dataclass
class Order:
    """What somebody wants."""

    number: int
    customer: str
    cents: int
    placed: date


@dataclass
class Invoice:
    """What they owe for it."""

    order: int
    cents: int
    due: date


class BankAway(Exception):
    """The bank does not answer; it may a little later."""


class NoSuchAddress(Exception):
    """Nobody lives there, and nobody will."""


@app.task(queue="mail")
async def send_mail(to: str, text: str) -> str:
    """Send a letter."""
    await asyncio.sleep(0.5)  # stands for a mail server
    return f"{len(text)} letters sent to {to}"


@app.task
def make_invoice(order: Order) -> Invoice:
    """Make the invoice of an order."""
    time.sleep(0.7)  # a plain function may block: it runs in a thread
    return Invoice(order.number, order.cents, order.placed + timedelta(days=14))


@app.task(retry=Retry(max_attempts=5, delays=(0.3, 0.6)))
async def charge(order: Order) -> str:
    """Have the bank pay; it does so the third time."""
    await asyncio.sleep(0.2)
    if current_context().attempt < 3:
        raise BankAway("the bank does not answer")
    return f"{order.cents / 100:.2f} charged"


@app.task(retry=Retry(max_attempts=2, delays=(0.5,)))
async def ship(order: Order) -> str:
    """Fail for good."""
    await asyncio.sleep(0.2)
    raise NoSuchAddress(f"nobody called {order.customer} lives there")


@app.task(queue="mail")
async def ask_for_review(customer: str) -> str:
    """Ask whether all was well."""
    await asyncio.sleep(0.2)
    return f"{customer} was asked"
