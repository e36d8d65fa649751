"""Users, tokens and sessions. Secrets are random and kept as their SHA-256; passwords as argon2id."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from console.person import Person
from workers.process.postgres import Postgres
from workers.process.queries import statements

_SQL: Final = statements("console", "access")
SESSION: Final = timedelta(hours=12)
LINK: Final = timedelta(minutes=10)


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

    async def of_name(self, name: str) -> Person | None:
        """The user of a name that a trusted proxy says."""
        return await self._one("of_name", name)

    async def by_link(self, link: str) -> str | None:
        """A new session for a link that logs in once; None: it was used, or is too old."""
        rows = await self._postgres.fetch(_SQL["use_link"], digest(link))
        return await self.begun(rows[0]["user_id"]) if rows else None

    async def begun(self, user_id: object) -> str:
        """A new session of a user, for twelve hours."""
        session = secrets.token_urlsafe(32)
        await self._postgres.fetch(_SQL["begin_session"], digest(session), user_id, SESSION)
        return session

    async def end(self, session: str) -> None:
        """Ends a session."""
        await self._postgres.fetch(_SQL["end_session"], digest(session))

    async def link(self, name: str) -> str | None:
        """A secret that logs the user in once, within ten minutes; None: there is no such user."""
        link = secrets.token_urlsafe(32)
        return link if await self._postgres.fetch(_SQL["make_link"], digest(link), name, LINK) else None

    async def keep_user(self, person: Person, password_hash: str | None = None) -> None:
        """Makes a user, or changes it. Without a hash the password stays as it is."""
        await self._postgres.fetch(
            _SQL["keep_user"],
            person.name,
            person.role,
            list(person.restrictions),
            list(person.workspaces),
            person.is_operator,
            password_hash,
        )

    async def add_token(self, person: Person) -> str | None:
        """A new token of the API, which is shown only now; None: the name has a token already."""
        token = secrets.token_urlsafe(32)
        rows = await self._postgres.fetch(
            _SQL["add_token"],
            digest(token),
            person.name,
            person.role,
            list(person.restrictions),
            list(person.workspaces),
            person.is_operator,
        )
        return token if rows else None

    async def _one(self, statement: str, value: object) -> Person | None:
        rows = await self._postgres.fetch(_SQL[statement], value)
        return _person(rows[0]) if rows else None


def _person(row: Mapping[str, Any]) -> Person:
    return Person(row["name"], row["role"], row["workspaces"], row["restrictions"], row["is_operator"])
