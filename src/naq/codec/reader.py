"""What a worker does with the bytes of a job: open, check, decode. Nothing is trusted before its turn."""

from __future__ import annotations

from typing import Final

from naq.codec.envelope import JSON, ONLY_JSON, Envelope, decode_envelope
from naq.codec.sealing import seal_for
from naq.config import Config
from naq.exceptions import PayloadTooLarge, SerializationError
from naq.job import JobSpec


class Reader:
    """Reads jobs under `config`: takes JSON and the codec that it names, sealed as its keys say.

    `record_arguments`: bytes of arguments that the record of a job carries.

    Raises:
        ConfigurationError: what its keys need is not installed.
    """

    def __init__(self, config: Config) -> None:
        self._seal: Final = seal_for(config)
        self._codecs: Final = ONLY_JSON | {config.codec}
        self._limit: Final = config.max_payload
        self.record_arguments: Final = config.record_arguments

    def __call__(self, job: JobSpec) -> Envelope:
        """The envelope of `job`.

        Raises:
            PayloadTooLarge: it is over `max_payload`; nothing of it was read.
            SerializationError: it is no job that is taken here; says why.
        """
        if self._seal is None:
            return decode_envelope(job.payload, limit=self._limit, codecs=self._codecs)
        if len(job.payload) > self._limit:
            raise PayloadTooLarge(
                f"malformed job: {len(job.payload)} bytes, more than the limit of {self._limit} (max_payload)"
            )
        try:
            opened = self._seal.open_job(job.payload, job_id=job.id, queue=job.queue)
        except SerializationError as error:
            text = str(error)
            raise SerializationError(text if text.startswith("malformed") else f"malformed job: {text}") from error
        envelope = decode_envelope(opened.payload, codecs=self._codecs)
        if opened.task and opened.task != envelope.task:
            raise SerializationError("malformed job: it names one task outside and another in what is encrypted")
        if envelope.codec != JSON and self._seal.signs and not opened.signed:
            raise SerializationError(
                "malformed job: its arguments are pickled and it is not signed; with signing_keys only signed ones are"
                " unpickled, whatever else is accepted"
            )
        return envelope
