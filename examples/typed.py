"""Arguments and results keep their types: dataclasses, dates, decimals, enums and more.

Prints:

    Price(amount=Decimal('24.90'), currency=<Currency.EUR: 'EUR'>)
    refused: task 'typed.quote': parameter 'nights' expects int, got str 'three'
"""

import asyncio
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum

from naq import Naq, SerializationError

app = Naq("typed", broker_url="embedded:.naq")


class Currency(Enum):
    EUR = "EUR"
    USD = "USD"


@dataclass
class Price:
    amount: Decimal
    currency: Currency


@app.task
async def quote(nights: int, arrival: date) -> Price:
    season = Decimal("8.30") if arrival.month in {6, 7, 8} else Decimal("6.00")
    return Price(season * nights, Currency.EUR)


async def main() -> None:
    async with app:
        job = await quote.enqueue(nights=3, arrival=date(2030, 7, 1))
        print(await job.result(timeout=10))
        try:
            await quote.enqueue(nights="three", arrival=date(2030, 7, 1))  # pyright: ignore[reportArgumentType]  a type checker says so before it runs
        except SerializationError as error:
            print(f"refused: {error}")


if __name__ == "__main__":
    asyncio.run(main())
