"""What is kept in the database."""

from django.db import models


class Greeting(models.Model):
    """Somebody who is greeted; `text` is empty until the job has run."""

    name = models.CharField(max_length=100)
    text = models.CharField(max_length=200, default="")
