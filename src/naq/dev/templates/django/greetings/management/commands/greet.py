"""`python manage.py greet Ada`: enqueue a job, wait for it, print its result."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from greetings.greet import greet
from greetings.tasks import app


class Command(BaseCommand):
    help = "Greet somebody in the background, and wait for it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(app.job(greet(options["name"])).result_sync(timeout=30))
