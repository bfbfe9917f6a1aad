"""What `naq worker` runs: Django is set up first, then the tasks are imported."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from greetings.tasks import app  # noqa: E402

__all__ = ["app"]
