"""How workers were by the minute, which version of the code they ran, and the queues that a token is for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# fmt: off


def upgrade() -> None:
    """Add them; tokens that are there stay those of all queues."""
    op.add_column('workers', sa.Column('code', NAME, server_default='', nullable=False))
    op.create_table('worker_minutes',
        sa.Column('worker', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('memory', sa.BigInteger, nullable=False),
        sa.Column('children_memory', sa.BigInteger, nullable=False),
        sa.Column('cpu', sa.Float, nullable=False),
        sa.Column('loop_lag', sa.Float, nullable=False),
        sa.Column('running', sa.Integer, nullable=False),
        sa.Column('processed', sa.BigInteger, nullable=False),
        sa.Column('failed', sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint('worker', 'at', name=op.f('pk_worker_minutes')))
    op.create_index('ix_worker_minutes_at', 'worker_minutes', ['at'])
    op.add_column('tokens', sa.Column('queues', sa.Text))


def downgrade() -> None:
    """Remove them; a token that was for some queues is none any more, for it would be one for all."""
    op.execute(sa.text("DELETE FROM tokens WHERE queues IS NOT NULL"))
    op.drop_column("tokens", "queues")
    op.drop_table("worker_minutes")
    op.drop_column("workers", "code")
