"""Marks on charts, what alert rules saw by the minute, what people put aside for a while; more rules to begin with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: Rules that everybody wants; they tell nobody until they are given channels. One of this name that is there stays.
RULES = [("lost-workers", "workers_lost", 0.0, 0), ("new-errors", "new_errors", 0.0, 0),
         ("nearly-full", "storage", 0.9, 60)]  # fmt: skip
NEW_KINDS = "('dead_letters', 'storage', 'worker_memory')"
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# fmt: off


def upgrade() -> None:
    """Make them."""
    op.create_table('marks',
        sa.Column('id', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('kind', NAME, nullable=False),
        sa.Column('title', sa.Text, nullable=False),
        sa.Column('version', NAME, server_default='', nullable=False),
        sa.Column('url', sa.Text, server_default='', nullable=False),
        sa.Column('made_by', NAME, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_marks')))
    op.create_index('ix_marks_at', 'marks', ['at', 'id'])
    op.create_table('readings',
        sa.Column('kind', NAME, nullable=False),
        sa.Column('subject', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('value', sa.Float, nullable=False),
        sa.PrimaryKeyConstraint('kind', 'subject', 'at', name=op.f('pk_readings')))
    op.create_index('ix_readings_at', 'readings', ['at'])
    op.create_table('dismissed',
        sa.Column('id', NAME, nullable=False),
        sa.Column('until_at', sa.BigInteger, nullable=False),
        sa.Column('by', NAME, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_dismissed')))
    # What the health strip counts: jobs that are due within the hour.
    due = sa.text("state = 'scheduled'")
    op.create_index('ix_jobs_due', 'jobs', ['run_at'], sqlite_where=due, postgresql_where=due)
    for name, kind, threshold, wait in RULES:
        op.execute("INSERT INTO alert_rules (name, kind, target, threshold, window_s, least, for_s, clear_s, repeat_s,"  # noqa: S608
                   f" changed_at, changed_by) SELECT '{name}', '{kind}', '', {threshold}, 300, 10, {wait}, 120, 1800,"
                   f" 0, 'naq' WHERE NOT EXISTS (SELECT 1 FROM alert_rules WHERE name = '{name}')")


def downgrade() -> None:
    """Remove them, and rules of kinds that were not there before."""
    names = ", ".join(f"'{name}'" for name, *_ in RULES)
    op.execute(f"DELETE FROM alert_rules WHERE kind IN {NEW_KINDS} OR (changed_by = 'naq' AND name IN ({names}))")  # noqa: S608
    op.execute(f"DELETE FROM incidents WHERE kind IN {NEW_KINDS}")  # noqa: S608
    op.drop_index('ix_jobs_due', 'jobs')
    for table in ("dismissed", "readings", "marks"):
        op.drop_table(table)
