"""Any exception at all becomes data of bounded size, and describing it never fails."""

import re
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naq.codec.failure import (
    MAX_CAUSE_FRAMES,
    MAX_CAUSE_MESSAGE,
    MAX_CAUSES,
    MAX_FRAMES,
    MAX_MESSAGE,
    describe,
)
from naq.job import AttemptError


def described(exc: BaseException) -> AttemptError:
    """`exc` as data; it must also survive the trip, whatever is in it."""
    error = describe(exc, attempt=3, at=5.0)
    data = msgspec.json.encode(error)
    assert msgspec.json.decode(data, type=AttemptError) == error
    assert len(data) < 100_000
    return error


def raised(exc: BaseException, depth: int = 0) -> BaseException:
    def down(left: int) -> None:
        if left:
            down(left - 1)
        raise exc

    try:
        down(depth)
    except BaseException as caught:  # noqa: BLE001
        return caught
    raise AssertionError("it raises")


def test_what_a_person_needs():
    error = described(raised(ValueError("no such user"), depth=2))
    assert error.type == "builtins.ValueError"
    assert error.message == "no such user"
    assert (error.attempt, error.at, error.causes) == (3, 5.0, [])
    assert [frame.function for frame in error.frames] == ["raised", *["raised.<locals>.down"] * 3]
    assert error.frames[-1].source == "raise exc"
    assert error.frames[-1].file == __file__
    assert error.frames[-1].line > 30


def test_notes_are_part_of_the_message():
    exc = ValueError("no such user")
    exc.add_note("while sending mail 5")
    exc.add_note("in shop 7")
    assert described(exc).message == "no such user\nwhile sending mail 5\nin shop 7"


def fails_thrice() -> None:
    try:
        try:
            {}["a"]
        except KeyError:
            raise OSError("second")  # noqa: B904
    except OSError as error:
        raise ValueError("third") from error


def test_causes_nearest_first_and_only_those_that_python_shows():
    with pytest.raises(ValueError, match="third") as caught:
        fails_thrice()
    causes = described(caught.value).causes
    assert [(one.type, one.message) for one in causes] == [("builtins.OSError", "second"), ("builtins.KeyError", "'a'")]
    assert [one.frames[-1].function for one in causes] == ["fails_thrice"] * 2
    caught.value.__cause__ = None
    caught.value.__suppress_context__ = True
    assert described(caught.value).causes == []


def test_a_group_shows_what_it_holds_before_what_caused_it():
    group = ExceptionGroup("two of three", [ValueError("a"), ExceptionGroup("inner", [OSError("b")])])
    group.__cause__ = KeyError("c")
    error = described(raised(group))
    assert error.type == "builtins.ExceptionGroup"
    assert "two of three" in error.message
    assert [cause.message for cause in error.causes] == ["a", "inner (1 sub-exception)", "'c'", "b"]


def test_circles_end():
    one, other = ValueError("one"), OSError("other")
    one.__context__, other.__context__ = other, one
    assert [cause.message for cause in described(one).causes] == ["other"]
    one.__cause__ = one
    assert described(one).causes == []


def test_a_long_chain_is_cut():
    exc: BaseException = ValueError("last")
    for n in range(1000):
        before, exc = exc, OSError(str(n))
        exc.__cause__ = before
    assert [cause.message for cause in described(exc).causes] == [str(n) for n in range(998, 998 - MAX_CAUSES, -1)]


def test_a_huge_group_is_cut():
    error = described(ExceptionGroup("many", [ValueError(str(n)) for n in range(10_000)]))
    assert [cause.message for cause in error.causes] == [str(n) for n in range(MAX_CAUSES)]


def test_deep_tracebacks_keep_both_ends():
    error = described(raised(ValueError("deep"), depth=300))
    assert len(error.frames) == MAX_FRAMES
    middle = error.frames[MAX_FRAMES // 2]
    assert middle.function == f"... {302 - MAX_FRAMES + 1} frames left out ..."
    assert error.frames[0].function == "raised"
    assert error.frames[-1].source == "raise exc"


@pytest.mark.parametrize("depth", [MAX_FRAMES - 3, MAX_FRAMES - 2, MAX_FRAMES - 1])
def test_tracebacks_around_the_limit(depth: int):
    error = described(raised(ValueError("deep"), depth=depth))
    assert len(error.frames) == min(depth + 2, MAX_FRAMES)
    left_out = [int(n) for frame in error.frames for n in re.findall(r"(\d+) frames left out", frame.function)]
    assert sum(left_out) + len(error.frames) - len(left_out) == depth + 2


def test_causes_are_cut_shorter():
    exc = ValueError("top")
    exc.__cause__ = raised(OSError("x" * 10_000), depth=100)
    (cause,) = described(exc).causes
    assert len(cause.message) == MAX_CAUSE_MESSAGE
    assert len(cause.frames) == MAX_CAUSE_FRAMES


def test_endless_recursion():
    def again() -> None:
        again()

    with pytest.raises(RecursionError) as caught:
        again()
    error = described(caught.value)
    assert error.type == "builtins.RecursionError"
    assert len(error.frames) == MAX_FRAMES


def test_a_message_of_ten_megabytes():
    assert described(ValueError("é" * 10_000_000)).message == "é" * (MAX_MESSAGE // 2)


@given(st.text(st.characters(), max_size=3000).map(lambda text: text * 5))
def test_any_text_is_cut_to_what_json_can_carry(text: str):
    message = described(ValueError(text)).message
    assert len(message.encode()) <= MAX_MESSAGE
    if text.isascii():
        assert message == text[:MAX_MESSAGE]


class LyingText(str):
    __slots__ = ()

    def __getitem__(self, index: Any) -> str:
        raise RuntimeError("mine")

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"\xff" * 100_000


def hostile(**members: Any) -> BaseException:
    return type("Hostile", (Exception,), members)("text")


def raises(error: BaseException) -> Any:
    def method(*_: Any) -> Any:
        raise error

    return method


def recurse(self: BaseException) -> str:
    return str(self)


HOSTILE = {
    "str raises": hostile(__str__=raises(RuntimeError("no"))),
    "str and repr raise": hostile(__str__=raises(RuntimeError("no")), __repr__=raises(RuntimeError("no"))),
    "str exits": hostile(__str__=raises(SystemExit(1))),
    "str interrupts": hostile(__str__=raises(KeyboardInterrupt())),
    "str recurses": hostile(__str__=recurse),
    "str returns no text": hostile(__str__=lambda self: 5),  # pyright: ignore[reportUnknownLambdaType]
    "str returns text that lies": hostile(__str__=lambda self: LyingText("text")),  # pyright: ignore[reportUnknownLambdaType]
    "half a surrogate pair": ValueError("\ud800 \udfff"),
    "nothing can be asked": hostile(__getattribute__=raises(RuntimeError("no"))),
    "traceback is none": hostile(__traceback__="x"),
    "cause raises": hostile(__cause__=property(raises(RuntimeError("no")))),
    "cause is no exception": hostile(__cause__=5, __context__="x"),
    "notes are no list": hostile(__notes__=5),
    "notes are hostile": hostile(__notes__=[hostile(__str__=raises(SystemExit(1))), LyingText("x"), 5, "\ud800"]),
    "class lies": hostile(__class__=int),
    "names are no text": hostile(__module__=5, __qualname__="x" * 5000),
    "bool and eq raise": hostile(__bool__=raises(RuntimeError("no")), __eq__=raises(RuntimeError("no")), __hash__=None),
    "group that lies": type("Group", (ExceptionGroup,), {"exceptions": property(raises(SystemExit(2)))})(
        "g", [OSError()]
    ),
    "group of anything": type("Group", (ExceptionGroup,), {"exceptions": (5, "x", None)})("g", [OSError()]),
    "exit": SystemExit(3),
    "unicode error": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_hostile_gets_out(name: str):
    assert described(HOSTILE[name]).type
    assert described(raised(HOSTILE[name])).frames is not None
    holder = ValueError("outer")
    BaseException.__setattr__(holder, "__cause__", HOSTILE[name])
    assert len(described(holder).causes) == 1


def test_code_that_has_no_source():
    scope: dict[str, Any] = {}
    exec(compile("def work():\n    1 / 0", "<made up>", "exec"), scope)
    with pytest.raises(ZeroDivisionError) as caught:
        scope["work"]()
    frame = described(caught.value).frames[-1]
    assert (frame.file, frame.line, frame.function, frame.source) == ("<made up>", 2, "work", "")


def test_source_that_is_no_text(tmp_path: Any):
    path = tmp_path / "made.py"
    path.write_bytes(b"\xff\xfe\x00\n" * 5)
    scope: dict[str, Any] = {}
    exec(compile("def work():\n    1 / 0", str(path), "exec"), scope)
    with pytest.raises(ZeroDivisionError) as caught:
        scope["work"]()
    assert described(caught.value).frames[-1].source == ""


def test_describing_imports_nothing():
    before = set(sys.modules)
    described(raised(ValueError("x")))
    assert set(sys.modules) == before
