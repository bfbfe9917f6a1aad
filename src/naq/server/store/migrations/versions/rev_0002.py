"""Access: tokens, audit, answers by key, secrets, bulk actions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# fmt: off


def upgrade() -> None:
    """Make them."""
    op.create_table('tokens',
        sa.Column('id', NAME, nullable=False),
        sa.Column('kind', NAME, nullable=False),
        sa.Column('name', NAME, nullable=False),
        sa.Column('role', NAME, nullable=False),
        sa.Column('hash', NAME, nullable=False),
        sa.Column('created_at', sa.BigInteger, nullable=False),
        sa.Column('created_by', NAME, nullable=False),
        sa.Column('expires_at', sa.BigInteger, nullable=False),
        sa.Column('revoked_at', sa.BigInteger),
        sa.Column('used_at', sa.BigInteger),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'admin')", name=op.f('ck_tokens_role')),
        sa.CheckConstraint("kind IN ('token', 'session')", name=op.f('ck_tokens_kind')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_tokens')),
        sa.UniqueConstraint('hash', name=op.f('uq_tokens_hash')))
    op.create_index('ix_tokens_kind', 'tokens', ['kind', 'created_at', 'id'])
    op.create_table('audit',
        sa.Column('id', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('who', NAME, nullable=False),
        sa.Column('role', NAME, nullable=False),
        sa.Column('address', NAME, nullable=False),
        sa.Column('action', NAME, nullable=False),
        sa.Column('target', NAME, nullable=False),
        sa.Column('status', sa.Integer, nullable=False),
        sa.Column('request_id', NAME, nullable=False),
        sa.Column('before', sa.Text),
        sa.Column('after', sa.Text),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_audit')))
    op.create_index('ix_audit_at', 'audit', ['at', 'id'])
    op.create_index('ix_audit_who', 'audit', ['who', 'at', 'id'])
    op.create_index('ix_audit_action', 'audit', ['action', 'at', 'id'])
    op.create_index('ix_audit_target', 'audit', ['target', 'at', 'id'])
    op.create_table('idempotency',
        sa.Column('who', NAME, nullable=False),
        sa.Column('key', NAME, nullable=False),
        sa.Column('fingerprint', NAME, nullable=False),
        sa.Column('status', sa.Integer),
        sa.Column('headers', sa.Text),
        sa.Column('body', sa.LargeBinary),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint('who', 'key', name=op.f('pk_idempotency')))
    op.create_index('ix_idempotency_at', 'idempotency', ['at'])
    op.create_table('secrets',
        sa.Column('name', NAME, nullable=False),
        sa.Column('value', sa.Text, nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_secrets')))
    op.create_table('bulk',
        sa.Column('id', NAME, nullable=False),
        sa.Column('name', NAME, nullable=False),
        sa.Column('action', NAME, nullable=False),
        sa.Column('filter', sa.Text, nullable=False),
        sa.Column('ids', sa.Text),
        sa.Column('before_at', sa.BigInteger, nullable=False),
        sa.Column('rate', sa.Integer),
        sa.Column('state', NAME, nullable=False),
        sa.Column('created_at', sa.BigInteger, nullable=False),
        sa.Column('created_by', NAME, nullable=False),
        sa.Column('finished_at', sa.BigInteger),
        sa.Column('total', sa.BigInteger),
        sa.Column('done', sa.BigInteger, server_default='0', nullable=False),
        sa.Column('skipped', sa.BigInteger, server_default='0', nullable=False),
        sa.Column('failed', sa.BigInteger, server_default='0', nullable=False),
        sa.Column('failures', sa.Text, server_default='[]', nullable=False),
        sa.Column('place', sa.Text),
        sa.Column('runner', NAME, server_default='', nullable=False),
        sa.Column('runs_until', sa.BigInteger, server_default='0', nullable=False),
        sa.CheckConstraint("state IN ('running', 'finished', 'aborted')", name=op.f('ck_bulk_state')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_bulk')))
    op.create_index('ix_bulk_created', 'bulk', ['created_at', 'id'])
    op.create_index('ix_bulk_state', 'bulk', ['state', 'created_at', 'id'])


def downgrade() -> None:
    """Remove them."""
    for table in ("bulk", "secrets", "idempotency", "audit", "tokens"):
        op.drop_table(table)
