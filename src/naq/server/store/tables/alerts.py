"""What is watched, who is told, what was wrong, and what was sent about it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    false,
    text,
    true,
)

from naq.server.store.tables.base import Name, metadata

alert_rules: Final = Table(
    "alert_rules",
    metadata,
    Column("name", Name, primary_key=True),
    Column("kind", Name, nullable=False, doc="one of naq.server.alerts.rules"),
    Column("target", Name, nullable=False, server_default="", doc="a task, queue or schedule; empty: each of them"),
    Column("threshold", Float, nullable=False, doc="in the unit of the kind; more than this is bad"),
    Column("window_s", Integer, nullable=False, doc="how far back is counted, where the kind counts"),
    Column("least", Integer, nullable=False, doc="jobs below which a share or a percentile says nothing"),
    Column("for_s", Integer, nullable=False, doc="how long it must be bad before it opens"),
    Column("clear_s", Integer, nullable=False, doc="how long it must be good before it is resolved"),
    Column("repeat_s", Integer, nullable=False, doc="seconds between two messages about one incident at least"),
    Column("channels", Text, nullable=False, server_default="[]", doc="JSON array of names"),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("muted_until", BigInteger),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", Name, nullable=False),
)
"""When something is wrong."""

alert_channels: Final = Table(
    "alert_channels",
    metadata,
    Column("name", Name, primary_key=True),
    Column("kind", Name, nullable=False),
    Column("url", Text, nullable=False, server_default="", doc="of a webhook"),
    Column("form", Name, nullable=False, server_default="naq", doc="what a webhook is sent"),
    Column("addresses", Text, nullable=False, server_default="[]", doc="JSON array: who gets an e-mail"),
    Column("secret", Text, nullable=False, server_default="", doc="what a webhook is signed with"),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", Name, nullable=False),
    CheckConstraint("kind IN ('webhook', 'email')", name="kind"),
)
"""Who is told."""

incidents: Final = Table(
    "incidents",
    metadata,
    Column("id", Name, primary_key=True),
    Column("rule", Name, nullable=False, doc="its name; the rule may have gone"),
    Column("kind", Name, nullable=False),
    Column("subject", Name, nullable=False, doc="the task, queue or schedule; empty: the whole"),
    Column("state", Name, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("value", Float, nullable=False, doc="at the last look"),
    Column("worst", Float, nullable=False),
    Column("since_at", BigInteger, nullable=False, doc="when it was first bad"),
    Column("seen_at", BigInteger, nullable=False, doc="when it was last bad"),
    Column("opened_at", BigInteger, doc="the last time it opened; NULL: it is not sure yet"),
    Column("good_at", BigInteger, doc="since when it is good again; NULL: it is bad"),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", Name, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("resolved_at", BigInteger),
    Column("resolved_by", Name, nullable=False, server_default="", doc="empty: by itself"),
    Column("reopened", Integer, nullable=False, server_default="0", doc="how often it came back soon"),
    Column("told_at", BigInteger, doc="when the last message about it was made"),
    Column("told", Boolean, nullable=False, server_default=false(), doc="whether this opening was told"),
    CheckConstraint("state IN ('pending', 'open', 'acknowledged', 'resolved')", name="state"),
    Index("uq_incidents_current", "rule", "subject", unique=True, sqlite_where=text("state <> 'resolved'"),
          postgresql_where=text("state <> 'resolved'")),
    Index("ix_incidents_since", "since_at", "id"),
    Index("ix_incidents_state", "state", "since_at", "id"),
    Index("ix_incidents_rule", "rule", "subject", "resolved_at"),
    Index("ix_incidents_resolved", "resolved_at", "id"),
)  # fmt: skip
"""What was wrong, and until when; of one rule and subject at most one at a time has not been resolved."""

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("id", Name, primary_key=True),
    Column("incident_id", Name, ForeignKey("incidents.id", ondelete="CASCADE"), doc="NULL: a test"),
    Column("channel", Name, nullable=False, doc="its name; the channel may have gone"),
    Column("what", Name, nullable=False),
    Column("body", Text, nullable=False, doc="JSON: naq.server.alerts.message"),
    Column("state", Name, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_at", BigInteger, nullable=False, doc="when it is tried next"),
    Column("answer", Text, nullable=False, server_default="", doc="what came of the last try"),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    CheckConstraint("what IN ('opened', 'repeated', 'resolved', 'test')", name="what"),
    CheckConstraint("state IN ('waiting', 'sent', 'failed')", name="state"),
    Index("ix_deliveries_created", "created_at", "id"),
    Index("ix_deliveries_next", "state", "next_at"),
    Index("ix_deliveries_incident", "incident_id", "created_at", "id"),
)
"""What was, or is to be, sent."""

leases: Final = Table(
    "leases",
    metadata,
    Column("name", Name, primary_key=True),
    Column("holder", Name, nullable=False),
    Column("until_at", BigInteger, nullable=False),
)
"""Who of several servers does something; in the database, so that it holds while the broker is away."""

readings: Final = Table(
    "readings",
    metadata,
    Column("kind", Name, primary_key=True, doc="one of naq.server.alerts.rules, of those that look at how things are"),
    Column("subject", Name, primary_key=True),
    Column("at", BigInteger, primary_key=True, doc="the beginning of the minute"),
    Column("value", Float, nullable=False, doc="at one look in it; what was 0 has no row"),
    Index("ix_readings_at", "at"),
)
"""What rules would have been judged by, by the minute: what a preview is made of where nothing else tells."""

dismissed: Final = Table(
    "dismissed",
    metadata,
    Column("id", Name, primary_key=True, doc="what it is and of what: naq.server.attention"),
    Column("until_at", BigInteger, nullable=False),
    Column("by", Name, nullable=False),
)
"""What needs a person and is not shown for a while, because one has seen it."""
