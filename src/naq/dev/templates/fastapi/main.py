"""The web application: POST /hello enqueues a job, GET /jobs/ID says what became of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from naq.exceptions import ConfigurationError, JobNotFoundError, NaqConnectionError
from pydantic import BaseModel

from tasks import app, hello


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with app:  # connects here, so that a broker that cannot be reached shows at the start
        yield


web = FastAPI(title="@@NAME@@", lifespan=lifespan)


class Greeting(BaseModel):
    name: str


class Accepted(BaseModel):
    job_id: str


class Progress(BaseModel):
    state: str
    result: str | None = None


@web.post("/hello", status_code=202)
async def enqueue_hello(greeting: Greeting) -> Accepted:
    job = await hello.enqueue(greeting.name)
    return Accepted(job_id=job.id)


@web.get("/jobs/{job_id}")
async def show_job(job_id: str) -> Progress:
    try:
        job = app.job(job_id)
        state = await job.status()
    except (ConfigurationError, JobNotFoundError):
        raise HTTPException(404, "no such job") from None
    return Progress(state=state, result=await job.result() if state == "succeeded" else None)


@web.exception_handler(NaqConnectionError)
async def broker_away(_request: Request, _error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "jobs cannot be taken right now"}, status_code=503, headers={"Retry-After": "5"})
