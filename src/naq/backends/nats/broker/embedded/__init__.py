"""One server for a folder, shared by every process that names the folder, gone with the last of them.

`share` is what a user of the server does, `start` has a server started, `locks` is how processes learn of each other,
and `supervisor` is the process that keeps the server, which also says how the files of the folder are used.
"""

from naq.backends.nats.broker.embedded.share import EmbeddedBroker, ensure_broker

__all__ = ["EmbeddedBroker", "ensure_broker"]
