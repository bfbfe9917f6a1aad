"""A task's arguments and result between Python and JSON, by the annotations of its function.

`Signature.of` reads them once, at declaration. At enqueue the arguments are encoded and read back as the worker will
read them, so that a wrong one is refused before anything is stored; at the worker they are decoded.

What survives the trip: everything that msgspec knows (numbers, str, bytes, datetime and its kin, UUID, Decimal, Enum,
dataclasses, attrs classes, Structs, TypedDict, NamedTuple, containers and unions of these), paths, and pydantic models
where the program imported pydantic. A datetime without an offset means UTC and arrives with it. A parameter without an
annotation takes plain JSON values; in these a tuple arrives as a list.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, ClassVar, Final, NamedTuple, TypedDict

from msgspec import Raw
from msgspec.json import Decoder

from naq.codec.compare import Difference, difference
from naq.codec.envelope import JSON, NO_ARGS, NO_KWARGS
from naq.codec.parameters import Parameter, Parameters, read_parameters
from naq.codec.utc import as_utc, has_naive
from naq.codec.values import ENCODER, MAX_DEPTH, READ_ERRORS, decoder, is_too_deep, lost_number, shown, why
from naq.exceptions import PayloadTooLarge, SerializationError

# One level is the envelope's own, one the array or object that the arguments are in.
_ARGUMENT_DEPTH: Final = MAX_DEPTH - 2
_MAX_SHAPES: Final = 64  # ways to call a task that are kept ready; one that is called in more ways is slower, not wrong
_NULL: Final = Raw(b"null")
_encode: Final = ENCODER.encode
_split: Final = Decoder(list[Raw]).decode
_split_named: Final = Decoder(dict[str, Raw]).decode


class _Shape(NamedTuple):
    """How to read the arguments of calls that give the same number by position and the same names."""

    positional: Callable[[Any], tuple[Any, ...]]
    named: Callable[[Any], dict[str, Any]]


class Signature:
    """How the arguments and the result of one task travel. Immutable; safe in threads.

    Attributes:
        task: its name, for messages.
        codec: what its jobs say about their arguments (`Envelope.codec`).
    """

    __slots__ = ("_has_datetime", "_parameters", "_result", "_shapes", "task")
    codec: ClassVar[str] = JSON

    def __init__(self, func: Callable[..., Any], task: str) -> None:
        self.task = task
        self._parameters = self._read_parameters(func, task)
        self._result = self._parameters.result
        self._has_datetime = self._parameters.has_datetime
        # By the number of positional arguments, or by that and the names. Grows as calls are seen.
        self._shapes: dict[int | tuple[int | str, ...], _Shape | None] = {}

    @property
    def parameters(self) -> Parameters:
        """What it takes and gives, for those who describe it."""
        return self._parameters

    @staticmethod
    def _read_parameters(func: Callable[..., Any], task: str) -> Parameters:
        return read_parameters(func, task)

    @classmethod
    def of(cls, func: Callable[..., Any], task: str | None = None) -> Signature:
        """The signature of `func`. `task` is its name in messages (default: the function's).

        Raises:
            ConfigurationError: a parameter or the result is of a type that cannot travel, or an annotation cannot be
                resolved.
        """
        return cls(func, task or getattr(func, "__qualname__", repr(func)))

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Raw, Raw]:
        """`args` and `kwargs` as a JSON array and a JSON object, checked against the annotations.

        Raises:
            SerializationError: they do not fit the function, one is of the wrong type, or has no JSON form. Names the
                task, the parameter, what it expects and what was given.
        """
        shape = self._shape(len(args), kwargs)
        if shape is not None:
            try:
                data = _encode(args)
                fits = shape.positional(data) == args and not is_too_deep(data, _ARGUMENT_DEPTH + 1)
                if fits and not kwargs:
                    return Raw(data), NO_KWARGS
                if fits:
                    named = _encode(kwargs)
                    if shape.named(named) == kwargs and not is_too_deep(named, _ARGUMENT_DEPTH + 1):
                        return Raw(data), Raw(named)
            except Exception:  # noqa: BLE001, S110 - reading runs the users' classes; the long way says what is wrong
                pass
        return self._encode_each(args, kwargs)

    def encode_around(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], holes: Container[int | str]
    ) -> tuple[Raw, Raw]:
        """As `encode`, with null for the arguments whose position or name is in `holes`: they are put in later.

        Raises:
            SerializationError: as `encode`, for all others.
        """
        self._check_call(len(args), kwargs)
        positional = [
            _NULL if at in holes else self._encode_one(one, value)
            for at, (one, value) in enumerate(zip(self._at(len(args)), args, strict=True))
        ]
        named = {
            name: _NULL if name in holes else self._encode_one(self._named(name), value, name)
            for name, value in kwargs.items()
        }
        return Raw(_encode(positional)), Raw(_encode(named)) if named else NO_KWARGS

    def check_around(self, args: Raw, kwargs: Raw, holes: Container[int | str]) -> None:
        """Refuse what `decode` would, but for the arguments whose position (as text) or name is in `holes`.

        Raises:
            SerializationError: as `decode`.
        """
        try:
            positional, named = _split(args), _split_named(kwargs)
        except READ_ERRORS as error:
            raise SerializationError(f"task {self.task!r}: its arguments cannot be read: {why(error)}") from error
        self._check_call(len(positional), named)
        for at, raw in enumerate(positional):
            if str(at) not in holes:
                self.decode_one(at, raw, len(positional))
        for name, raw in named.items():
            if name not in holes:
                self.decode_one(name, raw, len(positional))

    def decode_one(self, place: int | str, raw: Raw, count: int) -> Any:
        """The value of one argument, by position or name, of a call with `count` positional ones.

        Raises:
            SerializationError: it is not of the type that the parameter has.
        """
        parameter = self._at(count)[place] if isinstance(place, int) else self._named(place)
        return self._read(parameter, raw, f"task {self.task!r}: parameter {parameter.name!r}")

    def decode(self, args: Raw = NO_ARGS, kwargs: Raw = NO_KWARGS) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What to call the function with.

        Raises:
            SerializationError: the arguments do not fit the function; names the task, the parameter and the reason.
        """
        try:
            positional, given = _split(args), None if kwargs is NO_KWARGS else _split_named(kwargs)
        except READ_ERRORS as error:
            raise SerializationError(f"task {self.task!r}: its arguments cannot be read: {why(error)}") from error
        shape = self._shape(len(positional), given)
        if shape is not None:
            try:
                values, named = shape.positional(args), shape.named(kwargs) if given else {}
            except Exception:  # noqa: BLE001, S110 - reading runs the users' classes; the long way says what is wrong
                pass
            else:
                if self._has_datetime:
                    return _with_offsets(args, values), _with_offsets(kwargs, named)
                return values, named
        return self._decode_each(positional, given or {})

    def encode_result(self, value: Any, *, limit: int | None = None) -> Raw:
        """What the function returned, as JSON. Whether it fits the annotation is for the reader to find out.

        Raises:
            SerializationError: it has no JSON form.
            PayloadTooLarge: it is longer than `limit` bytes.
        """
        if value is None:
            return _NULL
        data = self._encode_value(f"task {self.task!r}: the result", value)
        # msgspec writes NaN and infinity as null; only then is it worth reading back.
        if b"null" in data and (lost := lost_number(value)) is not None:
            raise SerializationError(f"task {self.task!r}: the result holds {lost!r}, which JSON has no form for")
        if limit is not None and len(data) > limit:
            raise PayloadTooLarge(
                f"task {self.task!r}: the result is {len(data)} bytes, more than the limit of {limit} (max_result):"
                " store the data elsewhere and return a reference, or raise the limit"
            )
        return Raw(data)

    def decode_result(self, raw: Raw | None) -> Any:
        """The value that `raw` is, of the type that the function is annotated to return; None if there is none.

        Raises:
            SerializationError: it is of another type.
        """
        return None if raw is None else self._read(self._result, raw, f"task {self.task!r}: the result")

    def encode_item(self, value: Any, *, limit: int | None = None) -> Raw:
        """As `encode_result`, what a generator gave."""
        return self.encode_result(value, limit=limit)

    def decode_item(self, raw: Raw) -> Any:
        """The item that `raw` is, of the type that the generator is annotated to give.

        Raises:
            SerializationError: it is of another type.
        """
        return self._read(self._parameters.item or self._result, raw, f"task {self.task!r}: an item")

    def _shape(self, count: int, names: Mapping[str, Any] | None) -> _Shape | None:
        """How to read such a call at once, or None where each argument has to be read alone.

        Raises:
            SerializationError: the function cannot be called like this.
        """
        key = (count, *names) if names else count
        try:
            return self._shapes[key]
        except KeyError:
            pass
        self._check_call(count, names or {})
        parameters = self._parameters
        if count > len(parameters.positional) or not parameters.by_name.keys() >= (names or {}).keys():
            return None  # some go to *args or **kwargs, which take any number and any name
        if len(self._shapes) >= _MAX_SHAPES:
            return None
        annotations = tuple(parameter.annotation for parameter in parameters.positional[:count])
        fields = {name: parameters.by_name[name].annotation for name in names or {}}
        shape = _Shape(
            decoder(tuple.__class_getitem__(annotations)).decode,
            decoder(TypedDict("_Named", fields)).decode,  # pyright: ignore[reportArgumentType, reportUnknownMemberType]
        )
        self._shapes[key] = shape
        return shape

    def _check_call(self, count: int, names: Iterable[str]) -> None:
        try:
            self._parameters.signature.bind(*([None] * count), **dict.fromkeys(names))
        except TypeError as error:
            raise SerializationError(f"task {self.task!r} cannot be called with these arguments: {error}") from error

    def _at(self, count: int) -> list[Parameter]:
        """The parameters that `count` positional arguments go to."""
        taken = list(self._parameters.positional[:count])
        if self._parameters.rest is not None:
            taken += [self._parameters.rest] * (count - len(taken))
        return taken

    def _named(self, name: str) -> Parameter:
        found = self._parameters.by_name.get(name, self._parameters.extra)
        assert found is not None, "bound before"
        return found

    def _encode_each(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Raw, Raw]:
        positional = [self._encode_one(one, value) for one, value in zip(self._at(len(args)), args, strict=True)]
        named = {name: self._encode_one(self._named(name), value, name) for name, value in kwargs.items()}
        return Raw(_encode(positional)), Raw(_encode(named)) if named else NO_KWARGS

    def _encode_one(self, parameter: Parameter, value: Any, name: str = "") -> Raw:
        what = f"task {self.task!r}: parameter {name or parameter.name!r}"
        data = self._encode_value(f"{what} ({parameter.expected})", value)
        try:
            arrives = parameter.decoder.decode(data)
        except Exception as error:  # reading runs the users' classes, which may raise anything
            raise SerializationError(
                f"{what} expects {parameter.expected}, got {shown(value)}{_detail(error)}"
            ) from error
        if is_too_deep(data, _ARGUMENT_DEPTH):
            raise SerializationError(f"{what} is nested more than {_ARGUMENT_DEPTH} deep")
        if (differs := difference(value, arrives)) is not None:
            raise SerializationError(_explain(what, parameter, value, differs))
        return Raw(data)

    @staticmethod
    def _encode_value(what: str, value: Any) -> bytes:
        try:
            return _encode(value)
        except Exception as error:  # writing runs the users' classes, which may raise anything
            raise SerializationError(
                f"{what}: {shown(value)} cannot be stored as JSON: {why(error)}; pass plain data (an id, a path, a"
                " dict, a dataclass) and make the object from it where it is needed"
            ) from error

    def _decode_each(self, positional: list[Raw], named: Mapping[str, Raw]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        what = f"task {self.task!r}: parameter "
        values = tuple(
            self._read(one, raw, f"{what}{one.name!r}")
            for one, raw in zip(self._at(len(positional)), positional, strict=True)
        )
        return values, {name: self._read(self._named(name), raw, f"{what}{name!r}") for name, raw in named.items()}

    @staticmethod
    def _read(parameter: Parameter, raw: Raw, what: str) -> Any:
        try:
            value = parameter.decoder.decode(raw)
        except Exception as error:  # reading runs the users' classes, which may raise anything
            raise SerializationError(f"{what} does not fit {parameter.expected}: {why(error)}") from error
        return _with_offsets(raw, value) if parameter.has_datetime else value


def _with_offsets(raw: Raw, value: Any) -> Any:
    return as_utc(value) if has_naive(raw) else value


def _detail(error: Exception) -> str:
    """What `error` says beyond the types that the message names already."""
    text = why(error)
    return "" if text.startswith("Expected `") and ", got `" in text and " - at " not in text else f": {text}"


def _explain(what: str, parameter: Parameter, value: Any, differs: Difference) -> str:
    part, arrives = shown(differs.given), type(differs.arrives).__qualname__
    if type(differs.given) is type(
        differs.arrives
    ):  # such as an offset with seconds, or an int beyond a float's digits
        return f"{what} expects {parameter.expected}, got {part}, which would arrive as {shown(differs.arrives)}"
    if parameter.annotation is Any:
        return f"{what} is not annotated, so it takes plain JSON only: {part} would arrive as {arrives}; annotate it"
    if differs.given is value:
        return f"{what} expects {parameter.expected}, got {part}"
    return f"{what} expects {parameter.expected}, got {shown(value)}: {part} in it would arrive as {arrives}"
