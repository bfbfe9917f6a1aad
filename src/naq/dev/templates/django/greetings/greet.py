"""What the view and the command have in common: a row, and the job that fills it in."""

from uuid import uuid4

from django.db import transaction

from greetings.models import Greeting
from greetings.tasks import hello


def greet(name: str) -> str:
    """Store whom to greet and enqueue the job; its id.

    The job is enqueued once the row is committed: a worker may be quicker than a transaction that is still open. Its id
    is known before that.
    """
    job_id = uuid4().hex
    with transaction.atomic():
        greeting = Greeting.objects.create(name=name)
        transaction.on_commit(lambda: hello.options(job_id=job_id).enqueue_sync(greeting.pk))
    return job_id
