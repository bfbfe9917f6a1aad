"""docs/wire.md says what the code does: its tables are the types, and its examples are read by them."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from naq.codec.after import After
from naq.codec.envelope import VERSION, Envelope, decode_envelope
from naq.codec.failure import MAX_CAUSES, MAX_FRAMES
from naq.codec.headers import MAX_HEADERS
from naq.codec.values import MAX_DEPTH
from naq.config import Config
from naq.job import AttemptError, JobRecord
from naq.retry import RetryWire

PAGE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
EMPTY: dict[str, Any] = {
    **{name: [] for name in ("args", "errors", "delays", "after", "ids", "limits")},
    **{name: {} for name in ("kwargs", "tags", "fill")},
}


def rows(heading: str) -> dict[str, str]:
    """Field -> default, of the first table after `heading` that says `field`."""
    table = PAGE.partition(heading)[2].partition("| field ")[2].partition("\n\n")[0]
    found = re.findall(r"^\| (`[a-z_`, ]+`) \| [a-z]+ \| (.+?) \|", table, re.MULTILINE)
    fields: dict[str, str] = {}
    for names, defaults in found:
        listed = re.findall(r"`([a-z_]+)`", names)
        each = defaults.split(", ") if ", " in defaults else [defaults] * len(listed)
        fields |= dict(zip(listed, each, strict=True))
    return fields


@pytest.mark.parametrize(
    ("heading", "struct"),
    [
        ("## The message", Envelope),
        ("`retry` has these fields", RetryWire),
        ("`after` has these fields", After),
        ("## The result", JobRecord),
    ],
)
def test_the_tables_of_fields_are_the_types(heading: str, struct: type[msgspec.Struct]):
    documented = rows(heading)
    fields = msgspec.structs.fields(struct)
    assert set(documented) == {field.name for field in fields}
    for field in fields:
        said = documented[field.name]
        if field.required:
            assert said == "required", field.name
        else:
            default = EMPTY.get(field.name, field.default) if field.default is not None else None
            assert msgspec.json.decode(said.strip("`")) == msgspec.to_builtins(default), field.name


def test_the_limits_are_the_limits():
    assert f"`v` is {VERSION}." in PAGE
    assert f"at most {MAX_FRAMES} frames" in PAGE
    assert f"at most {MAX_CAUSES} causes" in PAGE
    assert f"| {MAX_HEADERS // 1024} KiB (`max_headers`)" in PAGE
    assert f"| {MAX_DEPTH} arrays and objects" in PAGE
    assert Config().max_payload == Config().max_result == 1024**2
    assert Config().record_ttl == 7 * 86400


def test_the_shell_and_go_examples_are_jobs():
    messages = re.findall(r"""['`](\{"v".+?\})['`]""", PAGE)
    envelopes = [decode_envelope(message.encode()) for message in messages]
    assert [envelope.task for envelope in envelopes] == ["hello", "mail.send"]


def test_the_javascript_example_is_a_job():
    found = re.search(r"const job = (\{.+?\});", PAGE)
    assert found is not None
    text = re.sub(r"(\w+): ", r'"\1": ', found[1]).replace("Date.now() / 1000", "1790000000.5")
    envelope = decode_envelope(text.encode())
    assert (envelope.task, envelope.retry) == ("mail.send", RetryWire(max_attempts=5, base=2.0))


def test_the_example_of_a_record_is_one():
    found = re.search(r"```json\n(.+?)\n```", PAGE)
    assert found is not None
    record = msgspec.json.decode(found[1], type=JobRecord)
    assert record.is_final
    assert record.result is not None
    assert msgspec.json.decode(record.result) == "hello, x"


def test_the_fields_of_an_error_are_named():
    names = ", ".join(f'"{field.name}"' for field in msgspec.structs.fields(AttemptError))
    assert f"`{{{names}}}`" in PAGE
