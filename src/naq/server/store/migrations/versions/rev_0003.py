"""Alerts: rules, channels, incidents, deliveries; who of several servers does something."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
CURRENT = sa.text("state <> 'resolved'")
# fmt: off


def upgrade() -> None:
    """Make them, and the rules that everybody wants; they tell nobody until they are given channels."""
    rules = op.create_table('alert_rules',
        sa.Column('name', NAME, nullable=False),
        sa.Column('kind', NAME, nullable=False),
        sa.Column('target', NAME, server_default='', nullable=False),
        sa.Column('threshold', sa.Float, nullable=False),
        sa.Column('window_s', sa.Integer, nullable=False),
        sa.Column('least', sa.Integer, nullable=False),
        sa.Column('for_s', sa.Integer, nullable=False),
        sa.Column('clear_s', sa.Integer, nullable=False),
        sa.Column('repeat_s', sa.Integer, nullable=False),
        sa.Column('channels', sa.Text, server_default='[]', nullable=False),
        sa.Column('enabled', sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column('muted_until', sa.BigInteger),
        sa.Column('version', sa.Integer, server_default='1', nullable=False),
        sa.Column('changed_at', sa.BigInteger, nullable=False),
        sa.Column('changed_by', NAME, nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_alert_rules')))
    op.create_table('alert_channels',
        sa.Column('name', NAME, nullable=False),
        sa.Column('kind', NAME, nullable=False),
        sa.Column('url', sa.Text, server_default='', nullable=False),
        sa.Column('form', NAME, server_default='naq', nullable=False),
        sa.Column('addresses', sa.Text, server_default='[]', nullable=False),
        sa.Column('secret', sa.Text, server_default='', nullable=False),
        sa.Column('enabled', sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column('version', sa.Integer, server_default='1', nullable=False),
        sa.Column('changed_at', sa.BigInteger, nullable=False),
        sa.Column('changed_by', NAME, nullable=False),
        sa.CheckConstraint("kind IN ('webhook', 'email')", name=op.f('ck_alert_channels_kind')),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_alert_channels')))
    op.create_table('incidents',
        sa.Column('id', NAME, nullable=False),
        sa.Column('rule', NAME, nullable=False),
        sa.Column('kind', NAME, nullable=False),
        sa.Column('subject', NAME, nullable=False),
        sa.Column('state', NAME, nullable=False),
        sa.Column('threshold', sa.Float, nullable=False),
        sa.Column('value', sa.Float, nullable=False),
        sa.Column('worst', sa.Float, nullable=False),
        sa.Column('since_at', sa.BigInteger, nullable=False),
        sa.Column('seen_at', sa.BigInteger, nullable=False),
        sa.Column('opened_at', sa.BigInteger),
        sa.Column('good_at', sa.BigInteger),
        sa.Column('acknowledged_at', sa.BigInteger),
        sa.Column('acknowledged_by', NAME, server_default='', nullable=False),
        sa.Column('note', sa.Text, server_default='', nullable=False),
        sa.Column('resolved_at', sa.BigInteger),
        sa.Column('resolved_by', NAME, server_default='', nullable=False),
        sa.Column('reopened', sa.Integer, server_default='0', nullable=False),
        sa.Column('told_at', sa.BigInteger),
        sa.Column('told', sa.Boolean, server_default=sa.false(), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'open', 'acknowledged', 'resolved')",
                           name=op.f('ck_incidents_state')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_incidents')))
    op.create_index('uq_incidents_current', 'incidents', ['rule', 'subject'], unique=True,
                    sqlite_where=CURRENT, postgresql_where=CURRENT)
    op.create_index('ix_incidents_since', 'incidents', ['since_at', 'id'])
    op.create_index('ix_incidents_state', 'incidents', ['state', 'since_at', 'id'])
    op.create_index('ix_incidents_rule', 'incidents', ['rule', 'subject', 'resolved_at'])
    op.create_index('ix_incidents_resolved', 'incidents', ['resolved_at', 'id'])
    op.create_table('deliveries',
        sa.Column('id', NAME, nullable=False),
        sa.Column('incident_id', NAME),
        sa.Column('channel', NAME, nullable=False),
        sa.Column('what', NAME, nullable=False),
        sa.Column('body', sa.Text, nullable=False),
        sa.Column('state', NAME, nullable=False),
        sa.Column('tries', sa.Integer, server_default='0', nullable=False),
        sa.Column('next_at', sa.BigInteger, nullable=False),
        sa.Column('answer', sa.Text, server_default='', nullable=False),
        sa.Column('created_at', sa.BigInteger, nullable=False),
        sa.Column('ended_at', sa.BigInteger),
        sa.CheckConstraint("what IN ('opened', 'repeated', 'resolved', 'test')", name=op.f('ck_deliveries_what')),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'failed')", name=op.f('ck_deliveries_state')),
        sa.ForeignKeyConstraint(['incident_id'], ['incidents.id'], ondelete='CASCADE',
                                name=op.f('fk_deliveries_incident_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_deliveries')))
    op.create_index('ix_deliveries_created', 'deliveries', ['created_at', 'id'])
    op.create_index('ix_deliveries_next', 'deliveries', ['state', 'next_at'])
    op.create_index('ix_deliveries_incident', 'deliveries', ['incident_id', 'created_at', 'id'])
    op.create_table('leases',
        sa.Column('name', NAME, nullable=False),
        sa.Column('holder', NAME, nullable=False),
        sa.Column('until_at', sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_leases')))
    ready = [
        ('no-workers', 'no_workers', 0.0, 300, 60),
        ('old-jobs', 'queue_age', 900.0, 300, 60),
        ('failing-tasks', 'failure_rate', 0.2, 300, 0),
        ('invalid-events', 'invalid_events', 10.0, 300, 0),
        ('missed-schedules', 'schedule_missed', 300.0, 300, 0),
        ('history-behind', 'ingest_lag', 60.0, 300, 60),
        ('broker-lost', 'broker_lost', 30.0, 300, 0),
        ('database-lost', 'database_lost', 30.0, 300, 0),
    ]
    op.bulk_insert(rules, [
        {'name': name, 'kind': kind, 'threshold': threshold, 'window_s': window, 'least': 10, 'for_s': wait,
         'clear_s': 120, 'repeat_s': 1800, 'changed_at': 0, 'changed_by': 'naq'}
        for name, kind, threshold, window, wait in ready
    ])


def downgrade() -> None:
    """Remove them."""
    for table in ("leases", "deliveries", "incidents", "alert_channels", "alert_rules"):
        op.drop_table(table)
