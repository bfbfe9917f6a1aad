"""Enqueueing inside a SQL transaction: rows in a table of yours, and a relay that hands them to the broker.

Imported by those who use it only; SQLAlchemy, psycopg, Django and the like are touched when one of theirs is handed in.
"""

from naq.outbox.outbox import Outbox
from naq.outbox.relay import Relay
from naq.outbox.tables import ddl

__all__ = ["Outbox", "Relay", "ddl"]
