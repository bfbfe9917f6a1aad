"""The event log, folded into the history."""

from naq.server.ingest.pruning import keep
from naq.server.ingest.reader import Batch, Place, Reader
from naq.server.ingest.service import Ingest, Lag

__all__ = ["Batch", "Ingest", "Lag", "Place", "Reader", "keep"]
