"""Tasks whose jobs wait for each other."""

from __future__ import annotations

from dataclasses import dataclass

from naq import Naq


@dataclass
class Page:
    url: str
    words: int


class Tasks:
    """The tasks of one test."""

    def __init__(self, app: Naq) -> None:
        self.ran: list[str] = []
        ran = self.ran

        @app.task(name="fetch")
        async def fetch(url: str) -> Page:
            ran.append(url)
            return Page(url, len(url))

        @app.task(name="count")
        async def count(page: Page) -> int:
            assert isinstance(page, Page)
            ran.append(f"count {page.url}")
            return page.words

        @app.task(name="total")
        async def total(counts: list[int | None], extra: int = 0, *, pages: list[Page] | None = None) -> int:
            assert all(isinstance(page, Page) for page in pages or [])
            ran.append("total")
            return sum(one or 0 for one in counts) + extra

        @app.task(name="note")
        async def note(text: str) -> str:
            ran.append(text)
            return text

        @app.task(name="fail")
        async def fail(text: str = "") -> int:
            ran.append(f"fail {text}")
            raise ValueError("on purpose")

        self.fetch, self.count, self.total, self.note, self.fail = fetch, count, total, note, fail
