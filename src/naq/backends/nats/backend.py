"""The whole backend: every protocol of the seam, one file a verb below it.

Session (connection) <- Fetch <- Recall <- Settle <- Find <- Keyed <- Enqueue, and Find <- Wait <- Signals <- Cancel
<- Early <- Queues <- Letters <- Flow, Events <- Registry <- Upkeep: each adds methods, and uses only those before it.
Hold stands on Queues and Entries, Exchange on Keyed and Hold, Amend and Move on Exchange, Purge on Hold.
"""

from __future__ import annotations

from naq.backends.nats.enqueue import Enqueue
from naq.backends.nats.flow import Flow
from naq.backends.nats.follow import Follow
from naq.backends.nats.listing import Listing
from naq.backends.nats.move import Move
from naq.backends.nats.purge import Purge
from naq.backends.nats.upkeep import Upkeep


class NatsBackend(Move, Purge, Enqueue, Listing, Flow, Follow, Upkeep):
    """Jobs on NATS JetStream. Belongs to the event loop that opened it."""
