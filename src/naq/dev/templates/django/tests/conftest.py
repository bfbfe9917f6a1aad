from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import (
    setup_databases,
    setup_test_environment,
    teardown_databases,
    teardown_test_environment,
)

import worker

assert worker.app  # Django is set up before any test is imported


@pytest.fixture(scope="session", autouse=True)
def database() -> Iterator[None]:
    """A database for the tests, in memory."""
    setup_test_environment()
    before = setup_databases(verbosity=0, interactive=False)
    yield
    teardown_databases(before, verbosity=0)
    teardown_test_environment()


@pytest.fixture(autouse=True)
def empty_database(database: None) -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM greetings_greeting")
