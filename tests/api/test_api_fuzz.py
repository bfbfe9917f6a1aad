"""The whole document, tried out: no answer of 5xx, none that the document does not declare, none of another form."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Any

import pytest
import schemathesis
import schemathesis.specs.openapi.checks as known
from api_tools import Served, serving
from hypothesis import HealthCheck, Phase, settings

from naq.config import Config
from naq.config.server import ServerConfig
from naq.server.api.app import make_app
from naq.testing.broker import bundled_server

#: Of each operation: enough to find what is wrong with its form, few enough for CI. With more they are other ones each
#: time: FUZZ_EXAMPLES=50 takes ten minutes.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
DOCUMENT = make_app(Config(broker_url="memory:"), ServerConfig()).openapi()
#: A stream has no end; what it says is tested by itself.
LOADED: Any = schemathesis.openapi.from_dict(DOCUMENT)
SCHEMA: Any = LOADED.exclude(operation_id="streamEvents")


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
def admin(fuzzed: Served) -> str:
    return fuzzed.token("admin")


def not_an_error(_context: Any, response: Any, _case: Any) -> None:
    assert response.status_code < 500, response.text


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)
def test_every_operation_answers_as_the_document_says(case: Any, fuzzed: Served, admin: str) -> None:
    openapi: Any = known
    names = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
    checks: list[Callable[..., Any]] = [not_an_error, *(getattr(openapi, name) for name in names)]
    case.call_and_validate(base_url=fuzzed.url, headers={"Authorization": f"Bearer {admin}"}, checks=checks, timeout=30)


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
