import json
from typing import Any

from django.test import Client
from naq.testing import Sandbox

from greetings.greet import greet
from greetings.models import Greeting
from greetings.tasks import app, hello


def post(data: object) -> Any:
    return Client().post("/hello", json.dumps(data), content_type="application/json")


def test_a_job_fills_in_the_row(naq_jobs: Sandbox) -> None:
    job = app.job(greet("Ada"))
    naq_jobs.drain_sync(check=True)
    assert job.result_sync(timeout=5) == "Hello, Ada!"
    assert Greeting.objects.get().text == "Hello, Ada!"


def test_a_request_enqueues_a_job(naq_jobs: Sandbox) -> None:
    accepted = post({"name": "Ada"})
    assert accepted.status_code == 202
    naq_jobs.assert_enqueued(hello, count=1)
    naq_jobs.drain_sync(check=True)
    shown = Client().get(f"/jobs/{json.loads(accepted.content)['job_id']}")
    assert shown.json() == {"state": "succeeded", "result": "Hello, Ada!"}
    assert Client().get("/jobs/unknown").status_code == 404
    assert post({}).status_code == 400


def test_without_a_broker_it_says_so(naq_jobs: Sandbox) -> None:
    with naq_jobs.broker_down():
        assert post({"name": "Ada"}).status_code == 503
