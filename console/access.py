"""Users, tokens and sessions. Secrets are random and kept as their SHA-256; passwords as argon2id."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from console.person import Person
from workers.process.postgres import AWAY, Postgres
from workers.process.queries import statements

_SQL: Final = statements("console", "access")
SESSION: Final = timedelta(hours=12)
LINK: Final = timedelta(hours=12)
PROXIED: Final = "proxy-"
"""How a session begins that counts only while the proxy names its user."""
CLEANED_S: Final = 300.0


def digest(secret: str) -> bytes:
    """What is kept of a random secret."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()


class Access:
    """Finds out who asks. Every method raises as `Postgres` does. Disabling and revoking act at once: nothing is
    cached.
    """

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def of_session(self, session: str) -> Person | None:
        """The user of a session; None: there is none, or none any more."""
        return await self._one("of_session", digest(session))

    async def of_token(self, token: str) -> Person | None:
        """The owner of a token; None: there is none, or it was revoked."""
        return await self._one("of_token", digest(token))

    async def by_proxy(self, name: str) -> tuple[Person, str] | None:
        """The user that a trusted proxy names, with a new session that counts only while it does; None: there is no
        such user.
        """
        rows = await self._postgres.fetch(_SQL["of_name"], name)
        return (_person(rows[0]), await self.begun(rows[0]["user_id"], PROXIED)) if rows else None

    async def by_link(self, link: str) -> str | None:
        """A new session for a link that logs in once; None: it was used, or is too old."""
        rows = await self._postgres.fetch(_SQL["use_link"], digest(link))
        return await self.begun(rows[0]["user_id"]) if rows else None

    async def begun(self, user_id: object, prefix: str = "") -> str:
        """A new session of a user, for twelve hours. Of very many sessions of a user the oldest one ends."""
        session = prefix + secrets.token_urlsafe(32)
        await self._postgres.fetch(_SQL["begin_session"], digest(session), user_id, SESSION)
        return session

    async def end(self, session: str) -> None:
        """Ends a session."""
        await self._postgres.fetch(_SQL["end_session"], digest(session))

    async def link(self, name: str) -> str | None:
        """A secret that logs the user in once, within twelve hours; None: there is no such user."""
        link = secrets.token_urlsafe(32)
        return link if await self._postgres.fetch(_SQL["make_link"], digest(link), name, LINK) else None

    async def keep_user(self, person: Person) -> None:
        """Makes a user without a password, or changes it. The password stays as it is."""
        await self._postgres.fetch(_SQL["keep_user"], *_columns(person))

    async def add_user(self, person: Person, password_hash: str | None) -> bool:
        """Makes a user, or enables a disabled one with what is given here; False: the name is taken."""
        return bool(await self._postgres.fetch(_SQL["add_user"], *_columns(person), password_hash))

    async def users(self) -> Sequence[Mapping[str, Any]]:
        """All users, by name."""
        return [dict(row) for row in await self._postgres.fetch(_SQL["users"])]

    async def disable(self, name: str) -> bool:
        """Disables a user and ends its sessions; False: there is no such user."""
        return bool(await self._postgres.fetch(_SQL["disable"], name))

    async def set_password(self, name: str, password_hash: str | None) -> bool:
        """Changes a password and ends the user's sessions; False: there is no such user."""
        return bool(await self._postgres.fetch(_SQL["set_password"], name, password_hash))

    async def add_token(self, person: Person) -> str | None:
        """A new token of the API, which is shown only now; None: the name has a token already."""
        token = secrets.token_urlsafe(32)
        return token if await self._postgres.fetch(_SQL["add_token"], *_columns(person), digest(token)) else None

    async def tokens(self) -> Sequence[Mapping[str, Any]]:
        """All tokens, by name, also those that are revoked."""
        return [dict(row) for row in await self._postgres.fetch(_SQL["tokens"])]

    async def unknown(self, workspaces: Sequence[str]) -> Sequence[str]:
        """Those of the workspaces that have had no record yet."""
        rows = await self._postgres.fetch(_SQL["unknown_workspaces"], list(workspaces))
        return [row["workspace_id"] for row in rows]

    async def revoke(self, name: str) -> bool:
        """Revokes a token; False: there is no such token."""
        return bool(await self._postgres.fetch(_SQL["revoke"], name))

    async def keep_clean(self) -> None:
        """Removes what has expired, again and again, until it is cancelled."""
        while True:
            with suppress(*AWAY):
                await self.clean()
            await asyncio.sleep(CLEANED_S)

    async def clean(self) -> None:
        """Removes what has expired."""
        await self._postgres.fetch(_SQL["clean"])

    async def _one(self, statement: str, value: object) -> Person | None:
        rows = await self._postgres.fetch(_SQL[statement], value)
        return _person(rows[0]) if rows else None


def _columns(person: Person) -> Sequence[object]:
    return [person.name, person.role, list(person.restrictions), list(person.workspaces), person.is_operator]


def _person(row: Mapping[str, Any]) -> Person:
    return Person(row["name"], row["role"], row["workspaces"], row["restrictions"], row["is_operator"])
