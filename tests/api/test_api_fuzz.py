"""The whole document, tried out: no answer of 5xx, none that the document does not declare, none of another form."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Any

import pytest
import requests
import schemathesis
import schemathesis.specs.openapi.checks as known
from api_tools import Served, document, serving
from hypothesis import HealthCheck, Phase, settings
from schemathesis.pytest import lazy

from naq.config import Config
from naq.testing.broker import bundled_server

#: Of each operation: enough to find what is wrong with its form, few enough for CI. With more they are other ones each
#: time: FUZZ_EXAMPLES=50 takes ten minutes.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
DOCUMENT = document()
#: Where each operation is. A stream has no end; what it says is tested by itself.
PLACES = {
    operation["operationId"]: (path, method)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if operation["operationId"] != "streamEvents"
}


SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """A server and a broker of their own, with jobs of every kind."""
    with bundled_server() as nats:
        config = Config(broker_url=nats.url, namespace="fuzz")
        patient = {"request_timeout": 60.0}  # that a busy machine is slow is no finding
        folder = tmp_path_factory.mktemp("fuzz")
        with serving(config, folder, auth="tokens", admin_password="never", **patient) as one:
            yield one


@pytest.fixture(scope="module")
def session(fuzzed: Served) -> Generator[requests.Session]:
    """An admin's, on one connection."""
    with requests.Session() as one:
        one.headers["Authorization"] = f"Bearer {fuzzed.token('admin')}"
        yield one


def not_an_error(_context: Any, response: Any, _case: Any) -> None:
    assert response.status_code < 500, response.text


def answers(case: Any, fuzzed: Served, session: requests.Session) -> None:
    openapi: Any = known
    names = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
    checks: list[Callable[..., Any]] = [not_an_error, *(getattr(openapi, name) for name in names)]
    case.call_and_validate(base_url=fuzzed.url, session=session, checks=checks, timeout=30)


@pytest.mark.parametrize("operation", PLACES)
def test_every_operation_answers_as_the_document_says(
    operation: str, fuzzed: Served, session: requests.Session
) -> None:
    """Its cases are made here: with `schema.parametrize` each process that collects tests made those of all, in 5 s."""
    path, method = PLACES[operation]
    library: Any = schemathesis
    making: Any = lazy
    schema = library.openapi.from_dict({**DOCUMENT, "paths": {path: {method: DOCUMENT["paths"][path][method]}}})
    [made] = making.get_all_tests(schema=schema, test_func=answers, settings=SETTINGS, given_kwargs={})
    _, test = made.ok()
    test(fuzzed=fuzzed, session=session)


def test_the_document_is_whole() -> None:
    names: list[str] = []
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            names.append(operation["operationId"])
            assert operation["summary"], (method, path)
            assert operation["tags"], (method, path)
            if path.startswith("/api/"):
                assert {"401", "403", "422", "429", "500", "503"} <= set(operation["responses"]), (method, path)
    assert len(names) == len(set(names)) > 60
