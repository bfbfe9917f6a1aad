"""``naq tokens``: who may use the server's API. Works on its database, so that the first token can be made at all."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import getpass
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from naq.cli.common import DEFAULT, Common, say
from naq.cli.database import with_database
from naq.cli.errors import NotFoundError, UsageError
from naq.cli.output import Column, ago, moment, print_rows
from naq.cli.parameter import Group
from naq.cli.values import read_duration
from naq.cli.views import Change

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

app = Group("tokens", "Who may use the server's API: tokens, and the password of its login.")
_MOST: Final = 1000  # tokens of a list


class TokenView(Struct, frozen=True, kw_only=True):
    """A token of the server, without its text: ``naq tokens list``."""

    id: str
    name: str
    role: str
    queues: list[str] | None
    state: str
    created_at: datetime | None
    created_by: str
    expires_at: datetime | None
    used_at: datetime | None


class MadeToken(Struct, frozen=True, kw_only=True):
    """A token that was made: ``naq tokens create``. `text` is shown this once."""

    id: str
    name: str
    role: str
    queues: list[str] | None
    expires_at: datetime | None
    text: str


@app.command
def create(
    name: str,
    /,
    *,
    role: Literal["viewer", "operator", "admin"] = "viewer",
    expires_in: str | None = None,
    queue: list[str] | None = None,
    db: str | None = None,
    common: Common = DEFAULT,
) -> None:
    """Make a token, and print its text, which is shown this once.

    Example: naq tokens create deploy --role operator --expires-in 30d
    Example: naq tokens create mail-team --role operator --queue mail --queue mail-slow

    Args:
        name: Whose it is; the audit log calls them so.
        role: What they may: viewer sees, operator acts on jobs and queues, admin does everything.
        expires_in: How long it opens. Default: the setting server_token_ttl, 90 days.
        queue: The queues that it is for; several with several. Default: all, and what is of no queue.
        db: The server's database. Default: the setting server_database.
    """
    from naq.cli.output import print_json
    from naq.config.server import load_server
    from naq.names import check_token
    from naq.server.access import tokens

    check_token("token", name)
    for each in queue or ():
        check_token("queue", each)
    ttl = read_duration("--expires-in", expires_in) or load_server().token_ttl
    text, row = with_database(
        db,
        lambda at: tokens.make(at, name=name, role=role, by=_who(), ttl=ttl, queues=queue),
        action="createToken",
        target=name,
    )
    if common.json:
        until = moment(row.expires_at / 1e6)
        made = MadeToken(
            id=row.id, name=name, role=role, queues=_listed(row.scope), expires_at=until, text=text
        )  # fmt: skip
        print_json(made)
    else:
        sys.stdout.write(f"{text}\n")
        say(f"{role} {name}, id {row.id}; it is kept as a hash only, so this is the one time that it is shown")


def _listed(queues: frozenset[str] | None) -> list[str] | None:
    return None if queues is None else sorted(queues)


@app.command(name="list")
def list_(*, db: str | None = None, common: Common = DEFAULT) -> None:
    """List tokens; their texts are nowhere.

    Example: naq tokens list

    Args:
        db: The server's database. Default: the setting server_database.
    """
    from naq.server.access import tokens

    rows = with_database(db, lambda at: tokens.all_of(at, limit=_MOST))
    views = [
        TokenView(
            id=row.id,
            name=row.name,
            role=row.role,
            queues=_listed(row.scope),
            state="good" if row.is_good else "revoked" if row.revoked_at else "expired",
            created_at=moment(row.created_at / 1e6),
            created_by=row.created_by,
            expires_at=moment(row.expires_at / 1e6),
            used_at=moment((row.used_at or 0) / 1e6),
        )
        for row in rows
    ]
    columns: list[Column[TokenView]] = [
        Column("ID", lambda view: view.id),
        Column("NAME", lambda view: view.name),
        Column("ROLE", lambda view: view.role),
        Column("QUEUES", lambda view: "all" if view.queues is None else ",".join(view.queues)),
        Column("STATE", lambda view: view.state),
        Column("EXPIRES", lambda view: ago(view.expires_at, common)),
        Column("USED", lambda view: ago(view.used_at, common)),
    ]
    print_rows(views, columns, common, name="id", empty="no tokens; see naq tokens create --help")


@app.command
def revoke(token_id: str, /, *, db: str | None = None, common: Common = DEFAULT) -> int:
    """Let a token open nothing any more; a server that runs learns of it within two seconds.

    Example: naq tokens revoke 01JC4N9W2VQ0R8S6T4XKZB7M3F

    Args:
        token_id: Its id, of naq tokens list.
        db: The server's database. Default: the setting server_database.
    """
    from naq.cli.changes import report
    from naq.server.access import tokens

    async def act(connection: AsyncConnection) -> bool:
        if await tokens.get(connection, token_id) is None:
            raise NotFoundError(f"there is no token {token_id!r}; see naq tokens list")
        return await tokens.revoke(connection, token_id)

    done = with_database(db, act, action="revokeToken", target=token_id)
    return report([Change(id=token_id, done=done, outcome="revoked" if done else "was revoked before")], common)


@app.command(name="hash")
def hash_() -> None:
    """Read a password, and print what to set server_admin_password to instead of the password itself.

    Example: naq tokens hash
    """
    from naq.server.access.passwords import hash_password

    password = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        raise UsageError("the password is empty; type one, or pipe it in")
    sys.stdout.write(f"{hash_password(password)}\n")


def _who() -> str:
    from naq.limits.pauses import who

    return who()
