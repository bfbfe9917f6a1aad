"""A shop: the code under test. Nothing in it knows of tests."""

from naq import Naq, Retry

app = Naq("shop", broker_url="nats://broker.internal:4222")


class TillIsAway(Exception): ...


class Till:
    """Whom the shop gets its money from."""

    def charge(self, order: int) -> int:
        raise TillIsAway(f"no line for order {order}")


till = Till()


@app.task(queue="mail", tags={"team": "post"})
async def send_receipt(to: str, order: int) -> str:
    return f"receipt {order} to {to}"


@app.task(retry=Retry(max_attempts=4, backoff="exponential", base=60))
async def charge(to: str, order: int) -> int:
    amount = till.charge(order)
    await send_receipt.enqueue(to, order=order)
    return amount


def check_out(to: str, order: int) -> None:
    """What a web request calls, in code without an event loop."""
    charge.enqueue_sync(to, order)
    send_receipt.options(delay=24 * 3600, tags={"kind": "reminder"}).enqueue_sync(to, order)


def try_to_check_out(to: str, order: int) -> bool:
    """False where the order could not be taken: the broker is away."""
    from naq import NaqConnectionError

    try:
        check_out(to, order)
    except NaqConnectionError:
        return False
    return True
