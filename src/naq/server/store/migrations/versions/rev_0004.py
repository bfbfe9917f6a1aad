"""Rollups by a quarter of an hour and by six hours, made of those that are there; on SQLite without row ids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
KEYS = {"rollups": ["step", "scope", "name", "at", "what"],
        "durations": ["step", "scope", "name", "at", "measure", "bucket"]}  # fmt: skip
SUMS = {"rollups": ["count", "run_us", "wait_us"], "durations": ["count"]}
BEFORE, AFTER = "step IN (60, 3600)", "step IN (60, 900, 3600, 21600)"
# fmt: off


def upgrade() -> None:
    """Make them, in one statement a step and table, which sorts on disk what does not fit into memory."""
    _remake(AFTER, with_rowid=False)
    for table, sums in SUMS.items():
        for finer, step in ((60, 900), (3600, 21600)):
            at = f"at / {step * 1_000_000} * {step * 1_000_000}"  # whole numbers: the beginning of its step
            key = [str(step), *(at if name == "at" else name for name in KEYS[table][1:])]
            columns = ", ".join([*KEYS[table], *sums])
            values = ", ".join([*key, *(f"CAST(sum({name}) AS BIGINT)" for name in sums)])
            # PostgreSQL takes a number in GROUP BY for a column's place, and needs none for what is the same everywhere
            op.execute(f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} WHERE step = {finer}"  # noqa: S608
                       f" GROUP BY {', '.join(key[1:])} ORDER BY {', '.join(key[1:])}")


def downgrade() -> None:
    """Remove them: those they were made of are there."""
    for table in SUMS:
        op.execute(f"DELETE FROM {table} WHERE step IN (900, 21600)")  # noqa: S608
    _remake(BEFORE, with_rowid=True)


def _remake(steps: str, *, with_rowid: bool) -> None:
    """The tables with this check of `step`; SQLite cannot change one, nor how a table lies."""
    if op.get_context().dialect.name != "sqlite":
        op.drop_constraint(op.f('ck_rollups_step'), 'rollups', type_='check')
        op.create_check_constraint(op.f('ck_rollups_step'), 'rollups', steps)
        return
    for table in SUMS:
        op.drop_index(f'ix_{table}_step_at', table)
        op.rename_table(table, f'{table}_before')
    op.create_table('rollups',
        sa.Column('step', sa.Integer, nullable=False),
        sa.Column('scope', NAME, nullable=False),
        sa.Column('name', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('what', NAME, nullable=False),
        sa.Column('count', sa.BigInteger, nullable=False),
        sa.Column('run_us', sa.BigInteger, nullable=False),
        sa.Column('wait_us', sa.BigInteger, nullable=False),
        sa.CheckConstraint(steps, name=op.f('ck_rollups_step')),
        sa.CheckConstraint("scope IN ('all', 'task', 'queue')", name=op.f('ck_rollups_scope')),
        sa.PrimaryKeyConstraint('step', 'scope', 'name', 'at', 'what', name=op.f('pk_rollups')),
        sqlite_with_rowid=with_rowid)
    op.create_table('durations',
        sa.Column('step', sa.Integer, nullable=False),
        sa.Column('scope', NAME, nullable=False),
        sa.Column('name', NAME, nullable=False),
        sa.Column('at', sa.BigInteger, nullable=False),
        sa.Column('measure', NAME, nullable=False),
        sa.Column('bucket', sa.SmallInteger, nullable=False),
        sa.Column('count', sa.BigInteger, nullable=False),
        sa.CheckConstraint("measure IN ('run', 'wait')", name=op.f('ck_durations_measure')),
        sa.PrimaryKeyConstraint('step', 'scope', 'name', 'at', 'measure', 'bucket', name=op.f('pk_durations')),
        sqlite_with_rowid=with_rowid)
    for table, sums in SUMS.items():
        columns = ", ".join([*KEYS[table], *sums])
        op.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_before"  # noqa: S608
                   f" ORDER BY {', '.join(KEYS[table])}")
        op.drop_table(f'{table}_before')
        op.create_index(f'ix_{table}_step_at', table, ['step', 'at'])
