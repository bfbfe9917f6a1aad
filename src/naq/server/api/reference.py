"""The OpenAPI document as a page: plain HTML, no scripts, one style, which the security policy names by its hash."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
nav ul { columns: 14rem; padding: 0; list-style: none; }
h2 { margin-top: 3rem; border-bottom: 1px solid; }
details { margin: .5rem 0; padding: .5rem .75rem; border: 1px solid #8886; border-radius: .4rem; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 4.2rem; font-family: ui-monospace, monospace; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .5rem; background: #8882; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #8884; }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: Of the page: its own style, and nothing else from anywhere.
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_Part = dict[str, Any]


def render(document: _Part, prefix: str) -> str:
    """`document` as a page; `prefix` is what a proxy puts before paths."""
    by_tag: dict[str, list[tuple[str, str, _Part]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            by_tag.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    schemas: _Part = document["components"]["schemas"]
    parts = [
        "<!doctype html>", '<html lang="en">', '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(document['info']['title'])}: API</title>", f"<style>{_STYLE}</style>", "<main>",
        f"<h1>{escape(document['info']['title'])}: API</h1>", f"<p>{_prose(document['info']['description'])}</p>",
        f'<p>The same for programs: <a href="{escape(prefix)}/api/v1/openapi.json">openapi.json</a>.</p>',
        '<nav aria-label="Contents"><ul>',
        *(f'<li><a href="#{escape(tag)}">{escape(tag)}</a>' for tag in by_tag),
        '<li><a href="#schemas">schemas</a>', "</ul></nav>",
    ]  # fmt: skip
    for tag, operations in by_tag.items():
        parts.append(f'<h2 id="{escape(tag)}">{escape(tag)}</h2>')
        for method, path, operation in operations:
            parts += _operation(method, prefix + path, operation, document)
    parts.append('<h2 id="schemas">schemas</h2>')
    for name in sorted(schemas):
        parts += _schema(name, schemas[name])
    return "\n".join([*parts, "</main>", "</html>", ""])


def _operation(method: str, path: str, operation: _Part, document: _Part) -> Iterator[str]:
    name = escape(operation["operationId"])
    yield f'<details id="{name}"><summary><b>{method}</b> <code>{escape(path)}</code> '
    yield f"{escape(operation['summary'])}</summary>"
    yield f"<p>{_prose(operation.get('description', ''))}</p>"
    yield f"<p>Needs: {escape(operation.get('x-naq-role', 'nobody'))}.</p>"
    known = document["components"]["parameters"]
    given = [known[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in operation.get("parameters", [])]
    if given:
        yield "<table><tr><th>parameter<th>in<th>type<th>"
        for one in given:
            needed = "" if one.get("required") else "?"
            yield (f"<tr><td><code>{escape(one['name'])}{needed}</code><td>{escape(one['in'])}"
                   f"<td>{_type(one['schema'])}<td>{_prose(one.get('description', ''))}")  # fmt: skip
        yield "</table>"
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: <code>{escape(kind)}</code>, {_type(content.get('schema', {}))}</p>"
    yield "<table><tr><th>answer<th><th>"
    for status, answer in operation["responses"].items():
        contents = answer.get("content", {})
        types = ", ".join(_type(content.get("schema", content.get("itemSchema", {}))) for content in contents.values())
        yield f"<tr><td>{escape(str(status))}<td>{types}<td>{_prose(answer.get('description', ''))}"
    yield "</table>"
    yield f"<pre>{escape(_curl(method, path, operation))}</pre></details>"


def _curl(method: str, path: str, operation: _Part) -> str:
    words = ["curl", "" if method == "GET" else f"-X {method}", '-H "Authorization: Bearer $NAQ_TOKEN"']
    if "application/json" in operation.get("requestBody", {}).get("content", {}):
        words += ["-H 'Content-Type: application/json'", "-d @body.json"]
    return " ".join(word for word in [*words, f'"$NAQ_SERVER{path}"'] if word)


def _schema(name: str, schema: _Part) -> Iterator[str]:
    yield f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
    yield f"<p>{_prose(schema.get('description', ''))}</p>"
    if properties := schema.get("properties"):
        yield "<table>"
        for field, one in properties.items():
            needed = "" if field in schema.get("required", ()) else "?"
            about = _prose(one.get("description", ""))
            yield f"<tr><td><code>{escape(field)}{needed}</code><td>{_type(one)}<td>{about}"
        yield "</table>"
    else:
        yield f"<p>{_type(schema)}</p>"
    yield "</details>"


def _type(schema: _Part) -> str:  # noqa: PLR0911 - one a form of schema
    """A schema in a few words, with links to those that have a name."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    if "enum" in schema:
        return " ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    match schema.get("type"):
        case "array":
            return f"array of {_type(schema.get('items', {}))}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"object of {_type(schema['additionalProperties'])}"
        case None:
            return "anything"
        case kind:
            return escape(" ".join(str(part) for part in (kind, schema.get("format")) if part))


def _prose(text: str) -> str:
    """Escaped, with what stands between backquotes as code."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
