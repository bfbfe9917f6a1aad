"""The OpenAPI document: what FastAPI makes of the routes, and what it cannot know."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import FastAPI

from naq.server.access.identify import COOKIE
from naq.server.api.live import StreamItem
from naq.server.api.models import ProblemBody
from naq.server.problems import CATALOGUE

_HEADERS: Final[dict[str, Any]] = {
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Sent again with the same request, it is done once and answered twice.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[\\x21-\\x7e]+$"},
    },
    "X-Request-ID": {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "description": "What the log, the audit log and the answer call this request; made where it is not given.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "The ETag of an answer: where it would be the same, 304 without a body.",
        "schema": {"type": "string", "maxLength": 1000},
    },
}


def complete(app: FastAPI) -> None:
    """Make `app.openapi` say everything."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(plain())
        return app.openapi_schema

    app.openapi = openapi


def text(app: FastAPI) -> str:
    """The document as it is committed."""
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    document["info"].pop("version", None)
    document["info"]["version"] = "1"
    document.pop("servers", None)
    components = document.setdefault("components", {})
    components["parameters"] = _HEADERS
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of `naq tokens create`."},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": COOKIE,
            "description": "Of a login; its writes need X-CSRF-Token.",
        },
    }
    schemas = components.setdefault("schemas", {})
    schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schema["properties"]["code"]["enum"] = sorted(CATALOGUE)
    schemas[ProblemBody.__name__] = schema
    schemas[StreamItem.__name__] = StreamItem.model_json_schema(ref_template="#/components/schemas/{model}")
    for operations in document["paths"].values():
        for method, operation in operations.items():
            names = ["X-Request-ID", *(["Idempotency-Key"] if "x-naq-audit" in operation else [])]
            if method == "get" and "application/json" in operation["responses"].get("200", {}).get("content", {}):
                names.append("If-None-Match")
                operation["responses"]["304"] = {"description": "As `If-None-Match` has it."}
            operation.setdefault("parameters", []).extend({"$ref": f"#/components/parameters/{name}"} for name in names)
            answers = operation["responses"]
            problem = answers.get("422", {}).get("content", {})
            if "application/json" in problem and "HTTPValidationError" in json.dumps(problem):
                answers.pop("422")
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document
