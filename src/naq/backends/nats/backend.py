"""The whole backend: every protocol of the seam, one file a verb below it.

Session (connection) <- Enqueue, Fetch <- Recall <- Settle <- Find <- Wait <- Signals <- Cancel <- Early <- Queues
<- Letters <- Events <- Registry <- Upkeep: each adds its methods, and uses only those before it.
"""

from __future__ import annotations

from naq.backends.nats.enqueue import Enqueue
from naq.backends.nats.entries import Entries
from naq.backends.nats.listing import Listing
from naq.backends.nats.upkeep import Upkeep


class NatsBackend(Enqueue, Listing, Entries, Upkeep):
    """Jobs on NATS JetStream. Belongs to the event loop that opened it."""
