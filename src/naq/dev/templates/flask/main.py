"""The web application: POST /hello enqueues a job, GET /jobs/ID says what became of it."""

from flask import Flask, abort, request
from flask.typing import ResponseReturnValue
from naq.exceptions import ConfigurationError, JobNotFoundError, NaqConnectionError

from tasks import app, hello

web = Flask(__name__)


@web.post("/hello")
def enqueue_hello() -> ResponseReturnValue:
    name = request.get_json().get("name")
    if not isinstance(name, str):
        abort(400, "name: a text is needed")
    job = hello.enqueue_sync(name)
    return {"job_id": job.id}, 202


@web.get("/jobs/<job_id>")
def show_job(job_id: str) -> ResponseReturnValue:
    try:
        job = app.job(job_id)
        state = job.status_sync()
    except (ConfigurationError, JobNotFoundError):
        abort(404, "no such job")
    return {"state": state, "result": job.result_sync() if state == "succeeded" else None}


@web.errorhandler(NaqConnectionError)
def broker_away(_error: NaqConnectionError) -> ResponseReturnValue:
    return {"detail": "jobs cannot be taken right now"}, 503, {"Retry-After": "5"}
