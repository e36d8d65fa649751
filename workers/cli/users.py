"""What `sluice users` and `sluice tokens` do."""

import getpass
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from console import passwords
from console.access import Access
from console.person import Person
from console.process import console_postgres
from schemas.actors import Restriction
from schemas.fields import Id, Role, WorkspaceId
from workers.app.database_failures import explained
from workers.app.settings import Settings
from workers.cli.reports import Report
from workers.errors import NotFound, NotPossible, SettingsError


def person(
    name: str, role: str, workspaces: Sequence[str], restrictions: Sequence[str], *, is_operator: bool
) -> Person:
    """The user or token that the options describe.

    Raises:
        SettingsError: an option does not fit; names it.
    """
    if not (workspaces or is_operator):
        raise SettingsError("say which workspaces it sees: --workspace W, or --operator for all")
    if role == "system":
        raise SettingsError("--role: expected owner, manager or agent, got 'system'")
    found = Person(
        _fitting("NAME", name, Id),
        _fitting("--role", role, Role),
        [_fitting("--workspace", one, WorkspaceId) for one in workspaces],
        [_fitting("--restrict", one, Restriction) for one in restrictions],
        is_operator,
    )
    if not name.isprintable():
        raise SettingsError("NAME: expected printable characters")
    if found.restrictions and role != "manager":
        raise SettingsError("--restrict binds managers: use it with --role manager")
    return found


def password(name: str | None, *, from_stdin: bool) -> str | None:
    """The hash of a password that is typed twice, or is the first line of standard input; None without a name.

    Raises:
        SettingsError: it does not fit, the two differ, or there is no terminal to ask.
    """
    if name is None:
        return None
    if from_stdin:
        typed = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise SettingsError("there is no terminal to ask for the password: use --password-stdin")
    else:
        typed = getpass.getpass(f"Password of {name}: ")
        if getpass.getpass("The same again: ") != typed:
            raise SettingsError("the two passwords differ: nothing is changed")
    try:
        return passwords.hashed(typed)
    except ValueError as error:
        raise SettingsError(str(error)) from None


async def added(settings: Settings, user: Person, password_hash: str | None) -> None:
    """Makes a user.

    Raises:
        NotPossible: the name is taken.
    """
    async with _access(settings) as access:
        if not await access.add_user(user, password_hash):
            raise NotPossible(
                f"there is a user {user.name!r} already. `sluice users passwd` changes its password; to change what it "
                "may do, disable it and add it again"
            )


async def warn_of_unknown(settings: Settings, person: Person) -> None:
    """Says on standard error which workspaces of a person have had no record yet: a name may be misspelled."""
    async with _access(settings) as access:
        for workspace in await access.unknown(person.workspaces):
            print(f"note: the workspace {workspace!r} has had no record yet; is it spelled right?", file=sys.stderr)


async def users(settings: Settings) -> Report:
    """All users, by name."""
    async with _access(settings) as access:
        return Report({"users": await access.users()}, hint="There is no user.", details=("created_at",))


async def disabled(settings: Settings, name: str) -> None:
    """Disables a user.

    Raises:
        NotFound: there is no such user.
    """
    async with _access(settings) as access:
        if not await access.disable(name):
            raise NotFound(f"there is no user {name!r}, or it is disabled already")


async def changed(settings: Settings, name: str, password_hash: str | None) -> None:
    """Changes a password.

    Raises:
        NotFound: there is no such user, or it is disabled.
    """
    async with _access(settings) as access:
        if not await access.set_password(name, password_hash):
            raise NotFound(f"there is no user {name!r}, or it is disabled")


async def token(settings: Settings, owner: Person) -> str:
    """A new token.

    Raises:
        NotPossible: the name is taken.
    """
    async with _access(settings) as access:
        made = await access.add_token(owner)
    if made is None:
        raise NotPossible(f"there is a token {owner.name!r} already: revoke it first, or take another name")
    return made


async def tokens(settings: Settings) -> Report:
    """All tokens, by name, also revoked ones."""
    async with _access(settings) as access:
        return Report({"tokens": await access.tokens()}, hint="There is no token.", details=("created_at",))


async def revoked(settings: Settings, name: str) -> None:
    """Revokes a token.

    Raises:
        NotFound: there is no such token.
    """
    async with _access(settings) as access:
        if not await access.revoke(name):
            raise NotFound(f"there is no token {name!r}, or it is revoked already")


@asynccontextmanager
async def _access(settings: Settings) -> AsyncIterator[Access]:
    database = console_postgres(settings)
    try:
        with explained():
            yield Access(database)
    finally:
        await database.stop()


def _fitting(option: str, value: str, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{option}: {error}, got {value!r}") from None
