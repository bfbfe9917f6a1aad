from naq.testing import Sandbox

from tasks import app, hello


def test_hello(naq_jobs: Sandbox) -> None:
    job = hello.enqueue_sync("world")
    naq_jobs.drain_sync(check=True)
    assert job.result_sync(timeout=5) == "Hello, world!"


async def test_hello_on_a_real_broker(naq_broker: Sandbox) -> None:
    async with app:
        with naq_broker.worker():
            job = await hello.enqueue("world")
            assert await job.result(timeout=30) == "Hello, world!"
