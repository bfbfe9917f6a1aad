"""Sealing: what is stored of a job, encrypted and then signed, each where there are keys for it.

Both are bound to the place of what is sealed (namespace, queue, job id; of a record also its run, state and task), so
that a sealed job or record that somebody copies to another place is refused there. The formats are in docs/wire.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Raw, Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from naq.codec import cipher, macs
from naq.codec.envelope import ENCRYPTED, JSON, VERSION, Envelope, decode_envelope, encode_envelope
from naq.codec.values import READ_ERRORS
from naq.config.keys import Keyring
from naq.exceptions import PayloadTooLarge, SerializationError
from naq.job import AttemptError, JobRecord, JobState

if TYPE_CHECKING:
    MaybeRaw = Raw | None
else:
    MaybeRaw = Raw  # as in naq.job.record

_SIGNATURE: Final = re.compile(rb'\s*,\s*"sig"\s*:\s*"([A-Za-z0-9_-]{1,32}:[0-9a-f]{64})"\s*\}\s*\Z')
_TAIL: Final = macs.LENGTH + 80  # bytes at the end of a job in which its signature stands, white space included
_SIGNED: Final = macs.LENGTH + 16  # bytes that signing adds at most
_ENCRYPTED: Final = (
    400  # bytes of an encrypted envelope beside what is encrypted, at most: the task's name and the time
)
_OUTER: Final = frozenset({JSON, "pickle", ENCRYPTED})
_VALUE: Final = "naq-value-1"  # what a sealed value begins with
_HIDDEN: Final = "(encrypted)"
_read_sealed: Final = Decoder(tuple[str, str]).decode
_encode: Final = Encoder().encode


def is_sealed(payload: bytes) -> bool:
    """Whether the stored job `payload` is signed or encrypted, as far as that can be seen without a key."""
    if _SIGNATURE.search(payload, max(len(payload) - _TAIL, 0)) is not None:
        return True
    try:
        return _read_codec(payload).codec == ENCRYPTED
    except READ_ERRORS:
        return False  # no envelope; whoever claims it will say so


class Opened(NamedTuple):
    """A job as its producer wrote it.

    Attributes:
        payload: its envelope.
        signed: whether a signature says that its producer wrote it.
        task: where it was encrypted, the task that the outside names, else "".
    """

    payload: bytes
    signed: bool
    task: str = ""


class Content(Struct, frozen=True, omit_defaults=True):
    """What of a record is sealed."""

    result: MaybeRaw = None
    errors: list[AttemptError] = []
    reason: str = ""
    arguments: MaybeRaw = None


class _Codec(Struct):
    codec: str = JSON


_read_codec: Final = Decoder(_Codec).decode
_read_content: Final = Decoder(Content).decode


class Seal:
    """Seals and opens what is stored in one namespace, with `signing` and `encryption` keys or None for each.

    Attributes:
        signs: whether there are keys to sign with or to check signatures by.
        encrypts: whether what is stored is encrypted from now on.
        keeps_secrets: whether nothing that was encrypted is stored as it is: everything is encrypted, or nothing was.
    """

    def __init__(self, namespace: str, signing: Keyring | None, encryption: Keyring | None) -> None:
        if encryption is not None:
            cipher.require()
        self._namespace = namespace
        self._signing = signing
        self._encryption = encryption
        self._signer = signing if signing is not None and signing.first is not None else None
        self._cipher = encryption if encryption is not None and encryption.first is not None else None
        self.signs: Final = signing is not None
        self.encrypts: Final = self._cipher is not None
        self.keeps_secrets: Final = self.encrypts or encryption is None

    def room(self, limit: int) -> int:
        """Bytes that a job may have so that it has at most `limit` once it is sealed."""
        if self._signer is not None:
            limit -= _SIGNED
        if self._cipher is not None:
            limit = (limit - _ENCRYPTED) // 4 * 3 - cipher.OVERHEAD
        return max(limit, 0)

    def seal_job(self, payload: bytes, *, job_id: str, queue: str, task: str, at: float, limit: int) -> bytes:
        """The encoded envelope `payload` of `task`, enqueued `at`, as it is stored for this job.

        Raises:
            PayloadTooLarge: it is longer than `limit` bytes then.
        """
        place = self._place("naq-job-1", queue, job_id)
        if self._cipher is not None:
            sealed = Raw(_encode(cipher.encrypt(self._cipher, place, payload)))
            payload = encode_envelope(Envelope(v=VERSION, task=task, codec=ENCRYPTED, args=sealed, at=at))
        if self._signer is not None:
            signature = macs.sign(self._signer, place, payload)
            payload = b'%b,"sig":"%b"}' % (payload[:-1], signature.encode("ascii"))
        if len(payload) > limit:
            raise PayloadTooLarge(
                f"job of task {task!r} is {len(payload)} bytes once it is signed or encrypted, more than the limit of"
                f" {limit} (max_payload): store the data elsewhere and pass a reference, or raise the limit"
            )
        return payload

    def open_job(self, payload: bytes, *, job_id: str, queue: str) -> Opened:
        """What was sealed; nothing of it is read before its signature is accepted.

        Raises:
            SerializationError: it does not carry what is asked for here, or that is wrong; says why.
        """
        place, signed = self._place("naq-job-1", queue, job_id), False
        if self._signing is not None:
            found = _SIGNATURE.search(payload, max(len(payload) - _TAIL, 0))
            if found is not None:
                payload = payload[: found.start()] + b"}"
                macs.check(self._signing, place, payload, found[1].decode("ascii"))
                signed = True
            elif not self._signing.optional:
                raise SerializationError("it is not signed, and only signed jobs are taken here (signing_keys)")
        if self._encryption is None:
            return Opened(payload, signed)
        outer = decode_envelope(payload, codecs=_OUTER)
        if outer.codec != ENCRYPTED:
            if self._encryption.optional:
                return Opened(payload, signed)
            raise SerializationError("it is not encrypted, and only encrypted jobs are taken here (encryption_keys)")
        try:
            key_id, text = _read_sealed(outer.args)
        except READ_ERRORS as error:
            raise SerializationError("args of an encrypted job must be the key's id and the text in base64") from error
        return Opened(cipher.decrypt(self._encryption, place, key_id, text), signed, outer.task)

    def move_job(self, payload: bytes, *, job_id: str, queue: str, to: str, limit: int) -> bytes:
        """The stored job `payload` of `queue` as it is stored in the queue `to`: opened here, sealed for there.

        What is neither signed nor encrypted stays as it is: nobody would know afterwards that nobody had signed it.

        Raises:
            SerializationError: as `open_job`; or it is encrypted, and not signed though there are keys to sign with.
            PayloadTooLarge: it is longer than `limit` bytes then.
        """
        opened = self.open_job(payload, job_id=job_id, queue=queue)
        if opened.payload == payload:
            return payload
        if self._signer is not None and not opened.signed:
            raise SerializationError(
                "it is not signed, and moved it would be: sign jobs first, or let it run where it is"
            )
        said = decode_envelope(payload, codecs=_OUTER)
        return self.seal_job(opened.payload, job_id=job_id, queue=to, task=said.task, at=said.at, limit=limit)

    def seal_record(self, record: JobRecord) -> JobRecord:
        """A final `record` as it is stored."""
        place = self._place_of(record, record.id)
        content = _content(record)
        if self._cipher is not None:
            sealed = ":".join(cipher.encrypt(self._cipher, place, content))
            errors = [self.hide(error) for error in record.errors]
            record = replace(record, result=None, errors=errors, reason="", arguments=None, sealed=sealed)
            content = sealed.encode("ascii")
        if self._signer is not None:
            record = replace(record, sig=macs.sign(self._signer, place, content))
        return record

    def open_record(self, record: JobRecord, job_id: str) -> JobRecord:
        """The final `record` of the job `job_id` as its worker made it.

        Only successes must be signed and encrypted: a job that is cancelled while it waits ends without a worker, and
        nobody takes that for a result.

        Raises:
            SerializationError: it does not carry what is asked for here, or that is wrong; says why.
        """
        place = self._place_of(record, job_id)
        must = record.state is JobState.SUCCEEDED
        if self._signing is not None:
            if record.sig:
                macs.check(self._signing, place, record.sealed.encode() or _content(record), record.sig)
            elif must and not self._signing.optional:
                raise SerializationError("it is not signed, and only signed results are taken here (signing_keys)")
        if not record.sealed:
            if must and self._encryption is not None and not self._encryption.optional:
                raise SerializationError("it is not encrypted, and only encrypted ones are taken (encryption_keys)")
            return record
        if self._encryption is None:
            return unopened(record)
        key_id, _, text = record.sealed.partition(":")
        data = cipher.decrypt(self._encryption, place, key_id, text)
        try:
            content = _read_content(data)
        except READ_ERRORS as error:
            raise SerializationError(f"what was encrypted in it is no content of a record: {error}") from error
        return replace(
            record,
            result=content.result,
            errors=content.errors,
            reason=content.reason,
            arguments=content.arguments,
            sealed="",
        )

    def seal_value(self, data: bytes, *place: str) -> bytes:
        """`data` that is kept beside a job, for its `place` (what it is, and of what): see docs/wire.md."""
        where, how = self._place("naq-value-1", *place), "p"
        if self._cipher is not None:
            data, how = ":".join(cipher.encrypt(self._cipher, where, data)).encode("ascii"), "e"
        signature = "-" if self._signer is None else macs.sign(self._signer, where, data)
        return f"{_VALUE} {how} {signature}\n".encode("ascii") + data

    def open_value(self, data: bytes, *place: str) -> bytes:
        """What was sealed for this `place`.

        Raises:
            SerializationError: it does not carry what is asked for here, or that is wrong; says why.
        """
        where, how, signature = self._place("naq-value-1", *place), "p", "-"
        if data.startswith(_VALUE.encode() + b" "):
            head, _, data = data.partition(b"\n")
            how, _, signature = head.decode("ascii", "replace")[len(_VALUE) + 1 :].partition(" ")
        if self._signing is not None:
            if signature != "-":
                macs.check(self._signing, where, data, signature)
            elif not self._signing.optional:
                raise SerializationError("it is not signed, and only signed values are taken here (signing_keys)")
        if how == "e":
            if self._encryption is None:
                raise SerializationError("it is encrypted, and there are no encryption_keys here (docs/signing.md)")
            key_id, _, text = data.decode("ascii", "replace").partition(":")
            return cipher.decrypt(self._encryption, where, key_id, text)
        if self._encryption is not None and not self._encryption.optional:
            raise SerializationError("it is not encrypted, and only encrypted ones are taken here (encryption_keys)")
        return data

    @staticmethod
    def hide(error: AttemptError) -> AttemptError:
        """What of `error` may be stored in the clear beside encrypted jobs: its class, attempt and time."""
        return AttemptError(type=error.type, message=_HIDDEN, attempt=error.attempt, at=error.at)

    def _place(self, label: str, *parts: str) -> bytes:
        """`parts` after the kind of text and the namespace, a line each; what is sealed follows."""
        text = "\n".join((label, self._namespace, *parts, ""))
        if text.count("\n") != len(parts) + 2:
            raise SerializationError("a line break in a name: it was not written by naq")
        return text.encode(errors="surrogatepass")

    def _place_of(self, record: JobRecord, job_id: str) -> bytes:
        return self._place("naq-record-1", record.queue, job_id, str(record.run), record.state.value, record.task)


def unopened(record: JobRecord) -> JobRecord:
    """An encrypted `record` where there are no keys for it: as good as it is, unless there is a result in it.

    Raises:
        SerializationError: there is.
    """
    if record.state is JobState.SUCCEEDED:
        raise SerializationError("it is encrypted, and there are no encryption_keys here (docs/signing.md)")
    return record


def _content(record: JobRecord) -> bytes:
    return _encode(Content(record.result, record.errors, record.reason, record.arguments))
