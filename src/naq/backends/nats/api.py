"""The JetStream API in the few requests that naq makes, each with its exact schema (the server checks it)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import msgspec

from naq import clock
from naq.backends.nats.client import errors
from naq.backends.nats.client.courier import BACKOFF_FIRST, BACKOFF_MOST, Courier
from naq.exceptions import BackendError

_encode = msgspec.json.encode
_decode = msgspec.json.decode
STALE_MOST: Final = 20  # tries to find a replica that is up to date ...
STALE_PAUSE: Final = 0.05  # ... and seconds between two; one is behind for single milliseconds while all is well
BATCH: Final = 256  # messages asked for at once by a walk; some 100 KB of jobs


class Message(msgspec.Struct, frozen=True):
    """A stored message: subject, stream sequence, payload, headers by name, time stored (RFC 3339)."""

    subject: str
    sequence: int
    data: bytes
    headers: dict[str, str]
    time: str = ""


class _Stored(msgspec.Struct):
    subject: str
    seq: int
    data: str = ""
    hdrs: str = ""
    time: str = ""


class _Got(msgspec.Struct):
    message: _Stored | None = None


_decode_got = msgspec.json.Decoder(_Got).decode


def _direct(payload: bytes, headers: dict[str, str]) -> Message:
    """A message as a direct get sends it: what is known of it is in its headers."""
    sequence = int(headers.get("Nats-Sequence", "0"))
    return Message(headers.get("Nats-Subject", ""), sequence, payload, headers, headers.get("Nats-Time-Stamp", ""))


def parse_headers(block: bytes) -> dict[str, str]:
    """Names and values of a raw header block; the status line and lines without a colon are passed over."""
    out: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            out[name.strip()] = value.strip()
    return out


class JetStream:
    """Requests to the JetStream API over a courier."""

    def __init__(self, courier: Courier, *, timeout: float, replicas: int = 1) -> None:
        self._courier = courier
        self.timeout = timeout
        self._alone = replicas == 1

    async def call(
        self, subject: str, body: dict[str, Any] | None = None, *, timeout: float | None = None, slow: bool = False
    ) -> dict[str, Any]:
        """One request; the reply as it came.

        Args:
            subject: behind ``$JS.API.``.
            body: the request, or None.
            timeout: seconds until it fails (default: the connect timeout).
            slow: it may work for long (a purge), so it is not asked again after 2 s.

        Raises:
            errors.Conflict, NaqBackpressureError, ConfigurationError, BackendError: by what the broker said; the
                refusal is in `__cause__`.
            NaqConnectionError: no answer by the deadline.
        """
        payload = _encode(body) if body is not None else b""
        return _decode(await self._ask(subject, payload, timeout or self.timeout, slow=slow))

    async def _ask(self, subject: str, payload: bytes, timeout: float, *, slow: bool = False) -> bytes:
        """The reply to one request, asked again while its refusal may pass."""
        deadline = clock.monotonic() + timeout
        pause = BACKOFF_FIRST
        while True:
            left = max(deadline - clock.monotonic(), 0.01)
            tries = {"try_timeout": left} if slow else {}
            data, _ = await self._courier.request(f"$JS.API.{subject}", payload, timeout=left, **tries)
            if b'"error":' not in data:  # most are without; a name or payload that says so is looked at closely
                return data
            refusal = errors.find_refusal(data)
            if refusal is None:
                return data
            if not refusal.will_pass or clock.monotonic() + pause >= deadline:
                raise errors.as_exception(refusal) from Refused(refusal)
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACKOFF_MOST)

    async def try_call(
        self, subject: str, body: dict[str, Any] | None = None, *, absent: int | frozenset[int]
    ) -> dict[str, Any] | None:
        """As `call`, but None where the refusal is the error code `absent`, or one of them."""
        codes = {absent} if isinstance(absent, int) else absent
        try:
            return await self.call(subject, body)
        except BackendError as error:
            if isinstance(error.__cause__, Refused) and error.__cause__.refusal.err_code in codes:
                return None
            raise

    async def last(self, stream: str, subject: str, *, timeout: float | None = None) -> Message | None:
        """The last message on `subject` (a filter), from the stream's leader, so never a stale one."""
        return await self._get(stream, {"last_by_subj": subject}, timeout)

    async def at(self, stream: str, sequence: int) -> Message | None:
        """The message with this stream sequence."""
        return await self._get(stream, {"seq": sequence})

    async def next(self, stream: str, subject: str, after: int) -> Message | None:
        """The first message on `subject` (a filter) with a sequence above `after`."""
        return await self._get(stream, {"seq": after + 1, "next_by_subj": subject})

    async def _get(self, stream: str, body: dict[str, Any], timeout: float | None = None) -> Message | None:
        try:
            got = _decode_got(
                await self._ask(f"STREAM.MSG.GET.{stream}", _encode(body), timeout or self.timeout)
            ).message
        except BackendError as error:
            if isinstance(error.__cause__, Refused) and error.__cause__.refusal.err_code == errors.NO_MESSAGE:
                return None
            raise
        if got is None:
            return None
        headers = parse_headers(base64.b64decode(got.hdrs)) if got.hdrs else {}
        return Message(got.subject, got.seq, base64.b64decode(got.data), headers, got.time)

    async def count(self, stream: str, subject: str) -> int:
        """How many messages of `stream` match the filter `subject`; cheap at any number (no listing)."""
        body = _encode({"seq": 1, "next_by_subj": subject, "batch": 1})
        _data, header = await self._courier.request(f"$JS.API.DIRECT.GET.{stream}", body, timeout=self.timeout)
        headers = parse_headers(header)
        if "Nats-Sequence" not in headers:
            return 0
        return int(headers.get("Nats-Num-Pending", "0")) + 1

    async def batch(self, stream: str, subject: str, *, after: int, limit: int) -> list[Message]:
        """Up to `limit` messages on `subject` (a filter) with a sequence above `after`, in one round trip."""
        body = _encode({"seq": after + 1, "next_by_subj": subject, "batch": limit})
        parts = await self._courier.ask_many(f"$JS.API.DIRECT.GET.{stream}", body, timeout=self.timeout)
        return [_direct(payload, parse_headers(header)) for payload, header in parts]

    async def lasts(self, stream: str, subjects: Sequence[str]) -> list[Message]:
        """The last message on each subject that fits one of `subjects` (filters, at most 1,024), in one round trip."""
        body = _encode({"multi_last": subjects})
        parts = await self._courier.ask_many(f"$JS.API.DIRECT.GET.{stream}", body, timeout=self.timeout)
        return [_direct(payload, parse_headers(header)) for payload, header in parts]

    async def walk(self, stream: str, subject: str, *, after: int = 0, limit: int = 0) -> AsyncGenerator[Message]:
        """The messages on `subject` (a filter) in order of sequence, at most `limit` (0: all).

        Any replica may answer. Where all are asked for, the leader is asked whether that was all.
        """
        seen = stale = 0
        while True:
            size = min(BATCH, limit - seen) if limit else BATCH
            part = await self.batch(stream, subject, after=after, limit=size) if size > 0 else []
            for message in part:
                yield message
            if part:
                seen += len(part)
                after = part[-1].sequence
            if len(part) < size or not part:
                if limit or stale >= STALE_MOST or not await self._is_behind(stream, subject, after):
                    return
                stale += 1
                await asyncio.sleep(STALE_PAUSE)

    async def _is_behind(self, stream: str, subject: str, after: int) -> bool:
        """Whether the leader has messages on `subject` above `after`."""
        if self._alone:  # it was the leader that answered
            return False
        newest = await self.last(stream, subject)
        return newest is not None and newest.sequence > after

    async def delete(self, stream: str, sequence: int) -> bool:
        """Delete by sequence, queued or in flight; False if it is not there (any more)."""
        body = {"seq": sequence, "no_erase": True}
        return await self.try_call(f"STREAM.MSG.DELETE.{stream}", body, absent=errors.DELETE_MISSING) is not None


class _Ack(msgspec.Struct):
    seq: int = 0


_decode_ack = msgspec.json.Decoder(_Ack).decode


def read_ack(payload: bytes) -> int:
    """The stream sequence in a PubAck."""
    return _decode_ack(payload).seq


class Refused(Exception):
    """What the broker said, for callers that tell one refusal from another."""

    def __init__(self, refusal: errors.Refusal) -> None:
        super().__init__(f"{refusal.code}/{refusal.err_code}: {refusal.description}")
        self.refusal = refusal
