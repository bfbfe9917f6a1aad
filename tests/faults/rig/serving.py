"""The app as ``naq worker rig.serving:app`` finds it, in a process whose log of naq is kept."""

from __future__ import annotations

import logging

from rig.jobs import log, make_app

app = make_app()
_handler = log().handler()
_handler.setLevel(logging.WARNING)
logging.getLogger("naq").addHandler(_handler)
