"""Which names are names. What is refused here never reaches a subject, a file name or a header."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naq.exceptions import ConfigurationError
from naq.names import MAX_TASK, MAX_TOKEN, check_task, check_token, is_task_name, is_token

HOSTILE = [
    *(
        "",
        " ",
        "a b",
        " a",
        "a ",
        "*",
        ">",
        "a.*",
        "a.>",
        "a\r\nb",
        "a\n",
        "a\x00",
        "\x00",
        "\t",
        "a/b",
        "../a",
    ),
    *("é", "名", "a\u200b", "\ud800", "1" * 4096, "a" * 65 + "!", "$JS", "a%", "a=b", "a,b", "~", "+", "²", "٣"),
]


@pytest.mark.parametrize("name", [*HOSTILE, "a.b", "a:b"])
@pytest.mark.parametrize("kind", ["queue", "job id", "namespace", "tag"])
def test_hostile_tokens_are_refused_with_the_rule(kind: str, name: str):
    with pytest.raises(ConfigurationError, match=rf"^{kind} .* is not allowed: use 1 to 64 letters") as caught:
        check_token(kind, name)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", [*HOSTILE, "1task", ".a", "-a", ":a", "a" * (MAX_TASK + 1)])
def test_hostile_task_names_are_refused_with_the_rule(name: str):
    with pytest.raises(ConfigurationError, match="is not allowed: use 1 to 200 letters"):
        check_task(name)


@pytest.mark.parametrize("value", [None, 1, b"a", ["a"], object()])
def test_what_is_no_text_is_refused(value: Any):
    with pytest.raises(ConfigurationError):
        check_token("queue", value)
    with pytest.raises(ConfigurationError):
        check_task(value)


@pytest.mark.parametrize("name", ["a", "A-b_9", "9", "-", "_", "x" * MAX_TOKEN])
def test_tokens(name: str):
    assert check_token("queue", name) == name


@pytest.mark.parametrize("name", ["send", "mail.send", "shop.mail:Sender.send", "_x", "a-b", "a" * MAX_TASK])
def test_task_names(name: str):
    assert check_task(name) == name


@given(st.text(max_size=80))
def test_a_token_is_printable_ascii_without_anything_a_subject_means(text: str):
    if is_token(text):
        assert 1 <= len(text) <= MAX_TOKEN
        assert text.isascii()
        assert not set(text) & set(" .*>\r\n\t\x00/\\$%~")
    if is_task_name(text):
        assert 1 <= len(text) <= MAX_TASK
        assert text.isascii()
        assert not set(text) & set(" *>\r\n\t\x00/\\$%~")
