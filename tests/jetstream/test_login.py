"""Logins by key: the seed never leaves us, the server's challenge is signed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from jetstream_tools import server_with

from naq import Config, ConfigurationError, JobState, Naq, NaqConnectionError
from naq.backends.nats.client.address import read_addresses
from naq.backends.nats.client.login import get_login

nkeys: Any = pytest.importorskip("nkeys", reason="missing: nkeys; make setup")


def make_key(kind: int) -> tuple[str, str, Any]:
    """A seed, its public key, and the pair."""
    seed = nkeys.encode_seed(os.urandom(32), kind)
    pair = nkeys.from_seed(bytearray(seed))
    return bytes(seed).decode(), pair.public_key.decode(), pair


def make_jwt(issuer: tuple[str, str, Any], subject: str, **nats: Any) -> str:
    """A token as NATS has them: what `nats` says of `subject`, signed by `issuer`."""
    claims = {
        "iss": issuer[1],
        "sub": subject,
        "name": nats["type"],
        "iat": int(time.time()),
        "jti": "any",
    }
    parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, {**claims, "nats": {"version": 2, **nats}}]
    text = b".".join(encode(json.dumps(part).encode()) for part in parts)
    return (text + b"." + encode(issuer[2].sign(text))).decode()


def encode(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def enqueue(url: str, **login: str) -> JobState:
    """The state of a job that was enqueued with this `login`."""
    app = Naq("keys", broker_url=url, connect_timeout=2.0, **login)  # pyright: ignore[reportArgumentType]

    @app.task(name="ping")
    async def ping() -> None: ...

    async def main() -> JobState:
        async with app:
            return await (await ping.enqueue()).status()

    return asyncio.run(main())


def test_by_nkey(tmp_path: Path) -> None:
    seed, public, _ = make_key(nkeys.PREFIX_BYTE_USER)
    other, _, _ = make_key(nkeys.PREFIX_BYTE_USER)
    lines = f'jetstream {{ store_dir: "{tmp_path}/js" }}\nauthorization {{ users: [{{ nkey: {public} }}] }}'
    with server_with(tmp_path, lines) as url:
        assert enqueue(url, nkey_seed=seed) is JobState.QUEUED
        with pytest.raises(NaqConnectionError, match="Authorization Violation"):
            enqueue(url, nkey_seed=other)
        with pytest.raises(NaqConnectionError, match="Authorization Violation"):
            enqueue(url)
        with pytest.raises(ConfigurationError, match="no nkey seed") as caught:
            enqueue(url, nkey_seed=seed[:-1] + "!")
        assert seed[:-1] not in str(caught.value)


def test_without_nkeys_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    [address] = read_addresses("nats://127.0.0.1")
    monkeypatch.setitem(sys.modules, "nkeys", None)  # as where it is not installed
    with pytest.raises(ConfigurationError, match=r"naq\[nkeys\]"):
        get_login(Config(nkey_seed="SU"), address, "a challenge")


def test_a_login_of_the_settings_goes_before_that_of_the_url() -> None:
    [address] = read_addresses("nats://ada:one@127.0.0.1")
    [token] = read_addresses("nats://t0ken@127.0.0.1")
    [nobody] = read_addresses("nats://127.0.0.1")
    assert get_login(Config(), address, "") == {"user": "ada", "pass": "one"}
    assert get_login(Config(user="bob", password="two"), address, "") == {"user": "bob", "pass": "two"}
    assert get_login(Config(token="three"), address, "") == {"auth_token": "three"}
    assert get_login(Config(), token, "") == {"auth_token": "t0ken"}
    assert get_login(Config(), nobody, "") == {}


def test_by_creds(tmp_path: Path) -> None:
    operator, account, system = (
        make_key(kind) for kind in (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT)
    )
    user = make_key(nkeys.PREFIX_BYTE_USER)
    free = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1) | {"wildcards": True}
    stores = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)
    preload = {
        account[1]: make_jwt(operator, account[1], type="account", limits=free | stores),
        system[1]: make_jwt(operator, system[1], type="account", limits=free),
    }
    lines = "\n".join(
        [
            f'jetstream {{ store_dir: "{tmp_path}/js" }}',
            f"operator: {make_jwt(operator, operator[1], type='operator')}",
            f"system_account: {system[1]}",
            "resolver: MEMORY",
            f"resolver_preload: {{ {', '.join(f'{key}: {jwt}' for key, jwt in preload.items())} }}",
        ]
    )
    jwt = make_jwt(account, user[1], type="user", subs=-1, data=-1, payload=-1)
    creds = tmp_path / "ada.creds"
    creds.write_text(
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user[0]}\n------END USER NKEY SEED------\n"
    )
    with server_with(tmp_path, lines) as url:
        assert enqueue(url, creds=str(creds)) is JobState.QUEUED
        creds.write_text("nothing")
        with pytest.raises(ConfigurationError, match="has no USER NKEY SEED"):
            enqueue(url, creds=str(creds))
        with pytest.raises(ConfigurationError, match="cannot be read"):
            enqueue(url, creds=str(tmp_path / "none.creds"))
