"""docs/wire.md, docs/signing.md and docs/pickle.md say what the code does: their programs are run."""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from security_tools import key

from naq.codec.reader import Reader
from naq.codec.seal import Content
from naq.config import Config
from naq.config.keys import read_keys
from naq.job import JobSpec

DOCS = Path(__file__).parents[2] / "docs"
WIRE = (DOCS / "wire.md").read_text(encoding="utf-8")
SECRET = b"2026-07".ljust(32, b".")
PROGRAMS = re.findall(r"```python\n(.+?)```", WIRE.partition("## Signed and encrypted")[2], re.DOTALL)


@pytest.mark.parametrize(("index", "name"), [(0, "signing_keys"), (1, "encryption_keys")])
def test_the_programs_of_the_wire_format_make_jobs_that_are_taken(index: int, name: str) -> None:
    assert len(PROGRAMS) == 2
    scope: dict[str, Any] = {
        "secret": SECRET, "hmac": hmac, "json": json, "os": os, "base64": base64, "AESGCM": AESGCM,
    }  # fmt: skip
    exec(PROGRAMS[0], scope)
    exec(PROGRAMS[index], scope)
    payload = scope["payload"]
    config = Config(namespace="shop", **{name: (key("2026-07"),)})  # pyright: ignore[reportArgumentType]
    job = JobSpec(id="order-17", payload=payload.encode(), queue="default")
    envelope = Reader(config)(job)
    assert (envelope.task, bytes(envelope.args)) == ("hello", b'["x"]')


def test_the_content_of_a_record_is_named_in_order() -> None:
    names = ",".join(f'"{name}":…' for name in Content.__struct_fields__)
    assert f"`{{{names}}}`" in WIRE


def test_the_command_that_makes_a_key_makes_one() -> None:
    page = (DOCS / "signing.md").read_text(encoding="utf-8")
    found = re.search(r"^python (-c .+)$", page, re.MULTILINE)
    assert found is not None
    made = subprocess.run([sys.executable, *shlex.split(found[1])], capture_output=True, text=True, check=True).stdout
    assert read_keys(made) == (made.strip(),)
