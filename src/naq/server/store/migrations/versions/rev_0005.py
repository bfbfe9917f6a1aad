"""Traces and links of jobs, saved views, what bulk actions do and leave out, more ways to decide about errors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TRACED = sa.text("trace IS NOT NULL")
# fmt: off


def upgrade() -> None:
    """Add them; of jobs that are there already traces and links are not known."""
    op.add_column('jobs', sa.Column('trace', NAME))
    op.create_index('ix_jobs_trace', 'jobs', ['trace', 'created_at', 'id'],
                    sqlite_where=TRACED, postgresql_where=TRACED)
    op.create_table('links',
        sa.Column('parent_id', NAME, nullable=False),
        sa.Column('job_id', NAME, nullable=False),
        sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], ondelete='CASCADE', name=op.f('fk_links_job_id')),
        sa.PrimaryKeyConstraint('parent_id', 'job_id', name=op.f('pk_links')))
    op.create_index('ix_links_job_id', 'links', ['job_id'])
    op.create_table('views',
        sa.Column('id', NAME, nullable=False),
        sa.Column('owner', NAME, nullable=False),
        sa.Column('name', NAME, nullable=False),
        sa.Column('filter', sa.Text, nullable=False),
        sa.Column('sort', NAME, nullable=False),
        sa.Column('columns', sa.Text, server_default='[]', nullable=False),
        sa.Column('version', sa.Integer, server_default='1', nullable=False),
        sa.Column('changed_at', sa.BigInteger, nullable=False),
        sa.Column('changed_by', NAME, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_views')))
    op.create_index('uq_views_name', 'views', ['owner', 'name'], unique=True)
    op.add_column('bulk', sa.Column('spread_s', sa.Integer))
    op.add_column('bulk', sa.Column('options', sa.Text, server_default='{}', nullable=False))
    op.add_column('bulk', sa.Column('skips', sa.Text, server_default='{}', nullable=False))
    op.add_column('errors', sa.Column('ignored_count', sa.BigInteger))
    op.add_column('errors', sa.Column('resolved_in', sa.Text))


def downgrade() -> None:
    """Remove them."""
    for table, column in (("errors", "resolved_in"), ("errors", "ignored_count"), ("bulk", "skips"),
                          ("bulk", "options"), ("bulk", "spread_s")):
        op.drop_column(table, column)
    op.drop_table("views")
    op.drop_table("links")
    op.drop_index("ix_jobs_trace", "jobs")
    op.drop_column("jobs", "trace")
