"""A Django project in one file, whose jobs go through an outbox: ``python django_shop.py ENGINE NAME URL TABLE``.

Parts of it are shown in docs/outbox.md.
"""
# ruff: noqa: RUF012 - as Django's own migrations are
# pyright: basic, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

import asyncio
import sys
from typing import Any

import django
from django.conf import settings
from django.db import connection, migrations, models, transaction

from naq import Job, Naq
from naq.outbox import Outbox

ENGINE, NAME, HOST, PORT, USER, TABLE = sys.argv[1:7]
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": f"django.db.backends.{ENGINE}",
            "NAME": NAME,
            "HOST": HOST,
            "PORT": PORT,
            "USER": USER,
        }
    }
)
django.setup()

app = Naq("shop", broker_url="memory:django")
outbox = Outbox(app, "django:default", table=TABLE)


@app.task(name="send_receipt")
async def send_receipt(order: int) -> str:
    return f"receipt for order {order}"


class Order(models.Model):
    number = models.IntegerField()

    class Meta:
        app_label = "shop"
        db_table = f"{TABLE}_orders"


class Migration(migrations.Migration):
    dependencies = []
    operations = [
        migrations.RunPython(
            lambda apps, editor: outbox.create_table_sync(editor.connection),
            lambda apps, editor: editor.execute("DROP TABLE naq_outbox"),
        )
    ]


def place_order(number: int, *, card: str = "good") -> Job[str]:
    with transaction.atomic():
        Order.objects.create(number=number)
        job = outbox.enqueue_sync(connection, send_receipt, number)
        if card == "bad":
            raise ValueError("the card was refused")
    return job


def migrate() -> None:
    """What ``manage.py migrate`` does with the migration above."""
    from django.db.migrations.state import ProjectState

    with connection.schema_editor() as editor:
        editor.create_model(Order)
        Migration("0001", "shop").apply(ProjectState(), editor)


def orders() -> list[int]:
    return list(Order.objects.order_by("number").values_list("number", flat=True))


def shop() -> list[Any]:
    """What a view does, in the thread that Django's connections belong to."""
    first = place_order(1)
    try:
        place_order(2, card="bad")
    except ValueError as error:
        print(error)
    with transaction.atomic():  # a savepoint in an outer block
        third = place_order(3)
    jobs = [first, third]
    print("orders", orders())
    connection.close()
    return jobs


async def main() -> None:
    from naq.worker import Worker

    await asyncio.to_thread(migrate)
    worker = Worker(app)
    running = asyncio.create_task(worker.run())
    await worker.wait_ready()
    jobs = await asyncio.to_thread(shop)
    for job in jobs:
        print(await job.result(timeout=20))
    worker.stop()
    await running
    await app.close()


if __name__ == "__main__":
    asyncio.run(main())
