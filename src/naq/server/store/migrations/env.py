"""What Alembic runs: with the connection that it was given, or as SQL for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from alembic import context

from naq.server.store.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

attributes: dict[str, Any] = context.config.attributes
if context.is_offline_mode():
    url = cast("URL", attributes["url"])
    context.configure(dialect_name=url.get_backend_name(), target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    connection = cast("Connection", attributes["connection"])
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=False)
    context.run_migrations()
