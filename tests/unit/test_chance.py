"""What naq draws is not drawn from the program's own chance, and differs in each process."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from naq import Retry
from naq.chance import CHANCE
from tests.tools import Place, ended, run, working

FORKS = """
import os
from naq.chance import CHANCE
for _ in range(4):
    if os.fork() == 0:
        os.write(1, f"{CHANCE.random()}\\n".encode())
        os._exit(0)
    os.wait()
"""


def test_jobs_that_are_tried_again_leave_a_program_its_own(place: Place) -> None:
    app = place.make()

    @app.task(name="broken", retry=Retry(max_attempts=3, base=0.001))
    async def broken() -> None:
        raise ValueError("no")

    async def test() -> None:
        drawn = CHANCE.getstate()
        random.seed(1)
        before = random.getstate()
        async with working(app):
            await ended(await broken.enqueue())
        assert random.getstate() == before
        assert CHANCE.getstate() != drawn

    run(test())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_children_of_a_fork_do_not_draw_alike() -> None:
    drawn = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True).stdout.split()
    assert len(set(drawn)) == 4
