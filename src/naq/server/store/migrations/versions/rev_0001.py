"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# fmt: off


def where(condition: str) -> dict[str, Any]:
    """An index over the rows of which `condition` holds."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Make them."""
    op.create_table('cursors',
        sa.Column('name', NAME, nullable=False),
        sa.Column('log', NAME, nullable=False),
        sa.Column('cursor', NAME, nullable=True),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('events', sa.BigInteger, server_default='0', nullable=False),
        sa.Column('invalid', sa.BigInteger, server_default='0', nullable=False),
        sa.Column('restarts', sa.BigInteger, server_default='0', nullable=False),
        sa.Column('saved_at', sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_cursors')))
    op.create_table('depths',
        sa.Column('queue', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('queued', sa.BigInteger, nullable=False),
        sa.Column('running', sa.BigInteger, nullable=False),
        sa.Column('scheduled', sa.BigInteger, nullable=False),
        sa.Column('blocked', sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint('queue', 'at', name=op.f('pk_depths')))
    op.create_index('ix_depths_at', 'depths', ['at'])
    op.create_table('durations',
        sa.Column('step', sa.Integer, nullable=False),
        sa.Column('scope', NAME, nullable=False),
        sa.Column('name', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('measure', NAME, nullable=False),
        sa.Column('bucket', sa.SmallInteger(), nullable=False),
        sa.Column('count', sa.BigInteger, nullable=False),
        sa.CheckConstraint("measure IN ('run', 'wait')", name=op.f('ck_durations_measure')),
        sa.PrimaryKeyConstraint('step', 'scope', 'name', 'at', 'measure', 'bucket', name=op.f('pk_durations')))
    op.create_index('ix_durations_step_at', 'durations', ['step', 'at'])
    op.create_table('errors',
        sa.Column('fingerprint', NAME, nullable=False),
        sa.Column('task', NAME, nullable=False),
        sa.Column('type', NAME, nullable=False),
        sa.Column('message', sa.Text, nullable=False),
        sa.Column('detail', sa.Text, nullable=True),
        sa.Column('state', NAME, server_default='open', nullable=False),
        sa.Column('count', sa.BigInteger, server_default='0', nullable=False),
        sa.Column('first_at', sa.BigInteger, nullable=False),
        sa.Column('last_at', sa.BigInteger, nullable=False),
        sa.Column('last_job_id', NAME, nullable=False),
        sa.Column('note', sa.Text, server_default='', nullable=False),
        sa.Column('decided_at', sa.BigInteger, nullable=True),
        sa.Column('ignored_until', sa.BigInteger, nullable=True),
        sa.CheckConstraint("state IN ('open', 'resolved', 'ignored', 'regressed')", name=op.f('ck_errors_state')),
        sa.PrimaryKeyConstraint('fingerprint', name=op.f('pk_errors')))
    op.create_index('ix_errors_count', 'errors', ['count', 'fingerprint'])
    op.create_index('ix_errors_last', 'errors', ['last_at', 'fingerprint'])
    op.create_index('ix_errors_state', 'errors', ['state', 'last_at', 'fingerprint'])
    op.create_index('ix_errors_task', 'errors', ['task', 'last_at', 'fingerprint'])
    op.create_table('invalid',
        sa.Column('id', sa.Integer, autoincrement=True, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('seen_at', sa.BigInteger, nullable=False),
        sa.Column('kind', NAME, nullable=False),
        sa.Column('job_id', NAME, nullable=False),
        sa.Column('queue', NAME, nullable=False),
        sa.Column('cursor', NAME, nullable=False),
        sa.Column('reason', sa.Text, nullable=False),
        sa.Column('data', sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_invalid')))
    op.create_index('ix_invalid_seen', 'invalid', ['seen_at', 'id'])
    op.create_table('jobs',
        sa.Column('id', NAME, nullable=False),
        sa.Column('task', NAME, server_default='', nullable=False),
        sa.Column('queue', NAME, server_default='', nullable=False),
        sa.Column('priority', NAME, server_default='normal', nullable=False),
        sa.Column('state', NAME, nullable=False),
        sa.Column('run', sa.Integer, server_default='1', nullable=False),
        sa.Column('attempt', sa.Integer, server_default='1', nullable=False),
        sa.Column('delivered', sa.Integer, server_default='1', nullable=False),
        sa.Column('worker', NAME, server_default='', nullable=False),
        sa.Column('parent_id', NAME, nullable=True),
        sa.Column('root_id', NAME, nullable=True),
        sa.Column('schedule', NAME, nullable=True),
        sa.Column('key', NAME, nullable=True),
        sa.Column('created_at', sa.BigInteger, nullable=False),
        sa.Column('run_at', sa.BigInteger, nullable=True),
        sa.Column('started_at', sa.BigInteger, nullable=True),
        sa.Column('finished_at', sa.BigInteger, nullable=True),
        sa.Column('expires_at', sa.BigInteger, nullable=True),
        sa.Column('wait_us', sa.BigInteger, nullable=True),
        sa.Column('duration_us', sa.BigInteger, nullable=True),
        sa.Column('reason', sa.Text, server_default='', nullable=False),
        sa.Column('tags', sa.Text, nullable=True),
        sa.Column('limits', sa.Text, nullable=True),
        sa.Column('waits_for', sa.Text, nullable=True),
        sa.Column('args', sa.Text, nullable=True),
        sa.Column('result', sa.Text, nullable=True),
        sa.Column('error_type', NAME, nullable=True),
        sa.Column('error', sa.Text, nullable=True),
        sa.Column('fingerprint', NAME, nullable=True),
        sa.Column('progress', sa.Float(), nullable=True),
        sa.Column('progress_text', sa.Text, nullable=True),
        sa.Column('rank', sa.BigInteger, server_default='0', nullable=False),
        sa.Column('ranked_at', sa.BigInteger, server_default='0', nullable=False),
        sa.Column('updated_at', sa.BigInteger, server_default='0', nullable=False),
        sa.CheckConstraint("priority IN ('high', 'normal', 'low')", name=op.f('ck_jobs_priority')),
        sa.CheckConstraint("state IN ('scheduled', 'blocked', 'queued', 'running', 'retrying', "
            "'succeeded', 'failed', 'cancelled', 'expired')", name=op.f('ck_jobs_state')),
        sa.ForeignKeyConstraint(['parent_id'], ['jobs.id'], name=op.f('fk_jobs_parent_id'), ondelete='SET NULL'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs')))
    op.create_index('ix_jobs_created', 'jobs', ['created_at', 'id', 'state'])
    op.create_index('ix_jobs_duration', 'jobs', ['duration_us', 'id'], **where('duration_us IS NOT NULL'))
    op.create_index('ix_jobs_fingerprint', 'jobs', ['fingerprint', 'created_at', 'id'],
        **where('fingerprint IS NOT NULL'))
    op.create_index('ix_jobs_finished', 'jobs', ['finished_at', 'id'], **where('finished_at IS NOT NULL'))
    op.create_index('ix_jobs_key', 'jobs', ['key', 'created_at', 'id'], **where('key IS NOT NULL'))
    op.create_index('ix_jobs_parent', 'jobs', ['parent_id', 'created_at', 'id'], **where('parent_id IS NOT NULL'))
    op.create_index('ix_jobs_queue', 'jobs', ['queue', 'state', 'created_at', 'id'])
    op.create_index('ix_jobs_root', 'jobs', ['root_id', 'created_at', 'id'], **where('root_id IS NOT NULL'))
    op.create_index('ix_jobs_schedule', 'jobs', ['schedule', 'created_at', 'id'], **where('schedule IS NOT NULL'))
    op.create_index('ix_jobs_started', 'jobs', ['started_at', 'id'], **where('started_at IS NOT NULL'))
    op.create_index('ix_jobs_state', 'jobs', ['state', 'created_at', 'id'])
    op.create_index('ix_jobs_task', 'jobs', ['task', 'state', 'created_at', 'id'])
    op.create_index('ix_jobs_worker', 'jobs', ['worker', 'created_at', 'id'], **where("worker <> ''"))
    op.create_table('queues',
        sa.Column('name', NAME, nullable=False),
        sa.Column('queued', sa.BigInteger, nullable=False),
        sa.Column('running', sa.BigInteger, nullable=False),
        sa.Column('scheduled', sa.BigInteger, nullable=False),
        sa.Column('blocked', sa.BigInteger, nullable=False),
        sa.Column('paused', sa.Boolean(), server_default=sa.text('false'), nullable=False),
        sa.Column('concurrency', sa.Integer, nullable=True),
        sa.Column('seen_at', sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_queues')))
    op.create_table('rollups',
        sa.Column('step', sa.Integer, nullable=False),
        sa.Column('scope', NAME, nullable=False),
        sa.Column('name', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('what', NAME, nullable=False),
        sa.Column('count', sa.BigInteger, nullable=False),
        sa.Column('run_us', sa.BigInteger, nullable=False),
        sa.Column('wait_us', sa.BigInteger, nullable=False),
        sa.CheckConstraint("scope IN ('all', 'task', 'queue')", name=op.f('ck_rollups_scope')),
        sa.CheckConstraint('step IN (60, 3600)', name=op.f('ck_rollups_step')),
        sa.PrimaryKeyConstraint('step', 'scope', 'name', 'at', 'what', name=op.f('pk_rollups')))
    op.create_index('ix_rollups_step_at', 'rollups', ['step', 'at'])
    op.create_table('tasks',
        sa.Column('name', NAME, nullable=False),
        sa.Column('queue', NAME, nullable=False),
        sa.Column('first_at', sa.BigInteger, nullable=False),
        sa.Column('last_at', sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_tasks')))
    op.create_table('workers',
        sa.Column('id', NAME, nullable=False),
        sa.Column('state', NAME, nullable=False),
        sa.Column('host', NAME, nullable=False),
        sa.Column('pid', sa.Integer, nullable=False),
        sa.Column('version', NAME, nullable=False),
        sa.Column('queues', sa.Text, nullable=False),
        sa.Column('tasks', sa.Text, nullable=False),
        sa.Column('concurrency', sa.Integer, nullable=False),
        sa.Column('running', sa.Integer, nullable=False),
        sa.Column('processed', sa.BigInteger, nullable=False),
        sa.Column('failed', sa.BigInteger, nullable=False),
        sa.Column('started_at', sa.BigInteger, nullable=False),
        sa.Column('seen_at', sa.BigInteger, nullable=False),
        sa.Column('gone_at', sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_workers')))
    op.create_index('ix_workers_seen', 'workers', ['seen_at', 'id'])
    op.create_table('attempts',
        sa.Column('job_id', NAME, nullable=False),
        sa.Column('run', sa.Integer, nullable=False),
        sa.Column('attempt', sa.Integer, nullable=False),
        sa.Column('outcome', NAME, nullable=False),
        sa.Column('worker', NAME, server_default='', nullable=False),
        sa.Column('started_at', sa.BigInteger, nullable=True),
        sa.Column('ended_at', sa.BigInteger, nullable=False),
        sa.Column('next_in_us', sa.BigInteger, nullable=True),
        sa.Column('error_type', NAME, nullable=True),
        sa.Column('error', sa.Text, nullable=True),
        sa.Column('detail', sa.Text, nullable=True),
        sa.Column('fingerprint', NAME, nullable=True),
        sa.CheckConstraint("outcome IN ('retrying', 'succeeded', 'failed', 'cancelled', 'expired')",
            name=op.f('ck_attempts_outcome')),
        sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_attempts_job_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('job_id', 'run', 'attempt', name=op.f('pk_attempts')))
    op.create_index('ix_attempts_ended', 'attempts', ['ended_at'])
    op.create_index('ix_attempts_fingerprint', 'attempts', ['fingerprint', 'ended_at'])
    op.create_table('error_hours',
        sa.Column('fingerprint', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('count', sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(['fingerprint'], ['errors.fingerprint'], name=op.f('fk_error_hours_fingerprint'),
            ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('fingerprint', 'at', name=op.f('pk_error_hours')))
    op.create_index('ix_error_hours_at', 'error_hours', ['at'])
    op.create_table('events',
        sa.Column('job_id', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('kind', NAME, nullable=False),
        sa.Column('data', sa.Text, nullable=False),
        sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_events_job_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('job_id', 'at', 'kind', name=op.f('pk_events')))
    op.create_table('logs',
        sa.Column('job_id', NAME, nullable=False),
        sa.Column('told_at', sa.BigInteger, nullable=False),
        sa.Column('n', sa.Integer, nullable=False),
        sa.Column('run', sa.Integer, nullable=False),
        sa.Column('attempt', sa.Integer, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('level', NAME, nullable=False),
        sa.Column('logger', NAME, nullable=False),
        sa.Column('text', sa.Text, nullable=False),
        sa.Column('dropped', sa.Integer, server_default='0', nullable=False),
        sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_logs_job_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('job_id', 'told_at', 'n', name=op.f('pk_logs')))
    op.create_table('tags',
        sa.Column('name', NAME, nullable=False),
        sa.Column('value', NAME, nullable=False),
        sa.Column('created_at', sa.BigInteger, nullable=False),
        sa.Column('job_id', NAME, nullable=False),
        sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_tags_job_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('name', 'value', 'created_at', 'job_id', name=op.f('pk_tags')))
    op.create_index('ix_tags_job_id', 'tags', ['job_id'])


def downgrade() -> None:
    """Remove them, those first that refer to others."""
    for table in (
        "tags",
        "logs",
        "events",
        "error_hours",
        "attempts",
        "workers",
        "tasks",
        "rollups",
        "queues",
        "jobs",
        "invalid",
        "errors",
        "durations",
        "depths",
        "cursors",
    ):
        op.drop_table(table)
