"""POST /hello enqueues a job, GET /jobs/ID says what became of it."""

import json

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from naq.exceptions import ConfigurationError, JobNotFoundError, NaqConnectionError

from greetings.greet import greet
from greetings.tasks import app


@csrf_exempt  # for programs: nothing here goes by cookies
@require_POST
def enqueue_hello(request: HttpRequest) -> JsonResponse:
    try:
        name = json.loads(request.body)["name"]
    except (ValueError, KeyError, TypeError):
        return JsonResponse({"detail": "name: a text is needed"}, status=400)
    try:
        return JsonResponse({"job_id": greet(str(name))}, status=202)
    except NaqConnectionError:
        return JsonResponse({"detail": "jobs cannot be taken right now"}, status=503, headers={"Retry-After": "5"})


@require_GET
def show_job(request: HttpRequest, job_id: str) -> JsonResponse:
    try:
        job = app.job(job_id)
        state = job.status_sync()
    except (ConfigurationError, JobNotFoundError):
        return JsonResponse({"detail": "no such job"}, status=404)
    return JsonResponse({"state": state, "result": job.result_sync() if state == "succeeded" else None})
