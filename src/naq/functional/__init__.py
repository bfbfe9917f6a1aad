"""naq without an app: functions by their import path, queues by their name, and a ``_sync`` twin of everything.

One file a verb. The names are public as those of `naq` (``naq.enqueue``); importing this package imports none of them.
"""
