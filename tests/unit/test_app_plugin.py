"""Backends of other distributions: found through the entry-point group ``naq.backends``, as installed packages are."""

import sys
from pathlib import Path

import pytest

from naq import Config, ConfigurationError
from naq.backends import from_url
from naq.backends.memory import MemoryBackend

PLUGIN = """
from naq.backends.memory import connect as memory

def connect(config):
    return memory(config)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution on the path that brings backends `shelf`, `broken` and `absent`."""
    (tmp_path / "naq_shelf.py").write_text(PLUGIN, encoding="utf-8")
    info = tmp_path / "naq_shelf-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: naq-shelf\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[naq.backends]\nshelf = naq_shelf:connect\nbroken = naq_shelf:nothing\nabsent = naq_absent:connect\n"
        "nats = naq_shelf:connect\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


@pytest.mark.usefixtures("installed")
def test_a_scheme_of_another_distribution() -> None:
    assert isinstance(from_url(Config(broker_url="shelf:anything")), MemoryBackend)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("scheme", "says"), [("broken", "nothing"), ("absent", "naq_absent")])
def test_one_that_cannot_be_loaded_says_why(scheme: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"the backend '{scheme}' \(naq_.*cannot be loaded: .*{says}"):
        from_url(Config(broker_url=f"{scheme}:x"))


@pytest.mark.usefixtures("installed")
def test_naqs_own_schemes_cannot_be_taken_over() -> None:
    assert not isinstance(from_url(Config(broker_url="nats://127.0.0.1:1")), MemoryBackend)


@pytest.mark.usefixtures("installed")
def test_it_is_among_the_suggestions() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'shelf'"):
        from_url(Config(broker_url="shelv:x"))
