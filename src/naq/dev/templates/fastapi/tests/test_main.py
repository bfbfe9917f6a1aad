from fastapi.testclient import TestClient
from naq.testing import Sandbox

from main import web
from tasks import hello


def test_hello(naq_jobs: Sandbox) -> None:
    job = hello.enqueue_sync("world")
    naq_jobs.drain_sync(check=True)
    assert job.result_sync(timeout=5) == "Hello, world!"


def test_a_request_enqueues_a_job(naq_jobs: Sandbox) -> None:
    with TestClient(web) as client:
        accepted = client.post("/hello", json={"name": "Ada"})
        assert accepted.status_code == 202
        naq_jobs.assert_enqueued(hello, args={"name": "Ada"}, count=1)
        naq_jobs.drain_sync(check=True)
        shown = client.get(f"/jobs/{accepted.json()['job_id']}")
        assert shown.json() == {"state": "succeeded", "result": "Hello, Ada!"}
        assert client.get("/jobs/unknown").status_code == 404


def test_without_a_broker_it_says_so(naq_jobs: Sandbox) -> None:
    with TestClient(web) as client, naq_jobs.broker_down():
        assert client.post("/hello", json={"name": "Ada"}).status_code == 503
