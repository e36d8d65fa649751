"""The workers' login and the key of their hashes: created once, and kept in a file that is the workers' `.env`."""

import secrets
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from workers.app.database_failures import explained
from workers.app.settings import PREFIX, Settings
from workers.dev.envfile import write_privately
from workers.errors import SettingsError
from workers.store.logins import Logins

_URL: Final = f"{PREFIX}DATABASE_URL"
_KEY: Final = f"{PREFIX}HASH_KEY"


async def keep(settings: Settings, path: Path) -> str:
    """Creates what is missing: the login, its password, the key. Returns the login's name. What `path` holds stays as
    it is. Safe to run again, but not from two places at once.

    Raises:
        SettingsError: the file cannot be read or written, has other lines, or was lost.
        SetupError, Unreachable: see `explained`.
    """
    held = _read(path)
    url = settings.required_database_url()
    with explained():
        connection = await asyncpg.connect(url, server_settings={"application_name": "sluice/login"})
        try:
            logins = Logins(connection)
            name = await logins.name()
            key = _key(settings, held, path, lost=_URL not in held and await logins.known(name))
            password = urlsplit(held.get(_URL, "")).password or secrets.token_hex(32)
            # First what must not be lost: a login whose password is lost can only be created again.
            _write(path, {_URL: _as(url, name, password), _KEY: key})
            await logins.keep(name, password)
        finally:
            await connection.close()
    return name


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--worker-env {path} cannot be read: {getattr(error, 'strerror', error)}") from error
    held = {name: value for name, _, value in (line.partition("=") for line in lines)}
    if held.keys() - {_URL, _KEY}:
        raise SettingsError(f"--worker-env {path} has other lines than {_URL} and {_KEY}: use a separate file")
    return held


def _key(settings: Settings, held: dict[str, str], path: Path, *, lost: bool) -> str:
    given = settings.hash_key.get_secret_value().lower() if settings.hash_key else None
    kept = held.get(_KEY)
    if given and kept and given != kept:
        raise SettingsError(f"{_KEY} differs from the one in {path}: with it, existing hashes would match nothing")
    if not given and not kept and lost:
        raise SettingsError(
            f"the workers' login exists, but {path} with the key of its hashes does not: bring the file "
            f"back, or set {_KEY} to that key"
        )
    return given or kept or secrets.token_hex(32)


def _as(url: str, name: str, password: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(name, safe='')}:{password}@{place}"))


def _write(path: Path, values: dict[str, str]) -> None:
    try:
        write_privately(path, "".join(f"{name}={value}\n" for name, value in values.items()))
    except OSError as error:
        raise SettingsError(f"--worker-env {path} cannot be written: {error.strerror}") from error
