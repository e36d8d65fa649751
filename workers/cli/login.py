"""Logins of workers, of senders and of the console: created once, and kept in files that are their `.env`. The files of
workers and of the console also hold the key of the workers' hashes.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from workers.app.database_failures import explained
from workers.app.settings import PREFIX, Settings
from workers.dev.envfile import write_privately
from workers.errors import SettingsError
from workers.store.logins import CONSOLE, SENDERS, WORKERS, Logins, Purpose

_URL: Final = f"{PREFIX}DATABASE_URL"
_KEY: Final = f"{PREFIX}HASH_KEY"


@dataclass(frozen=True, slots=True)
class EnvFile:
    """A file with a login. `option` names it on the command line. Its key of hashes is `made` here once, or `given`:
    the workers' key, from the settings or from `workers`, which is their file.
    """

    option: str
    path: Path
    purpose: Purpose
    key: Literal["made", "given"] | None = None
    workers: Path | None = None

    async def keep(self, settings: Settings) -> str:
        """Creates what is missing: the login, its password, the key. Returns the login's name. What the file holds
        stays as it is. Safe to run again, but not from two places at once.

        Raises:
            SettingsError: the file cannot be read or written, has other lines or another login, or was lost.
            SetupError, Unreachable: see `explained`.
        """
        held = self._read()
        url = settings.required_database_url()
        with explained():
            connection = await asyncpg.connect(url, server_settings={"application_name": "sluice/login"})
            try:
                logins = Logins(connection, self.purpose)
                name = await logins.name()
                values = {_URL: _as(url, name, urlsplit(held.get(_URL, "")).password or secrets.token_hex(32))}
                if self.key is not None:
                    values[_KEY] = self._key(settings, held, lost=_URL not in held and await logins.known(name))
                # First what must not be lost: a login whose password is lost can only be created again.
                self._write(values)
                await logins.keep(name, urlsplit(values[_URL]).password or "")
            finally:
                await connection.close()
        return name

    def _read(self) -> dict[str, str]:
        held = self._lines(self.path)
        expected = [_URL] if self.key is None else [_URL, _KEY]
        if held.keys() - set(expected):
            raise self._wrong(f"has other lines than {' and '.join(expected)}: use a separate file")
        if _URL in held and not (urlsplit(held[_URL]).username or "").startswith(self.purpose.prefix):
            raise self._wrong(f"holds no login of {self.purpose.role}: use a separate file")
        return held

    def _lines(self, path: Path) -> dict[str, str]:
        try:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        except (OSError, UnicodeDecodeError) as error:
            raise self._wrong(f"cannot be read: {getattr(error, 'strerror', error)}") from error
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def _key(self, settings: Settings, held: dict[str, str], *, lost: bool) -> str:
        given = settings.hash_key.get_secret_value().lower() if settings.hash_key else None
        if given is None and self.workers is not None:
            given = self._lines(self.workers).get(_KEY)
        kept = held.get(_KEY)
        if given and kept and given != kept:
            raise SettingsError(
                f"{_KEY} differs from the one in {self.path}: with it, existing hashes would match nothing"
            )
        if not given and not kept and self.key == "given":
            raise SettingsError(
                f"{self.option} needs the key of the workers' hashes: set {_KEY}, or give --worker-env with their file"
            )
        if not given and not kept and lost:
            raise SettingsError(
                f"the workers' login exists, but {self.path} with the key of its hashes does not: bring the file "
                f"back, or set {_KEY} to that key"
            )
        return given or kept or secrets.token_hex(32)

    def _write(self, values: dict[str, str]) -> None:
        try:
            write_privately(self.path, "".join(f"{name}={value}\n" for name, value in values.items()))
        except OSError as error:
            raise self._wrong(f"cannot be written: {error.strerror}") from error

    def _wrong(self, what: str) -> SettingsError:
        return SettingsError(f"{self.option} {self.path} {what}")


def of_workers(path: Path) -> EnvFile:
    """The workers' file."""
    return EnvFile("--worker-env", path.resolve(), WORKERS, "made")


def of_senders(path: Path) -> EnvFile:
    """The senders' file."""
    return EnvFile("--sender-env", path.resolve(), SENDERS)


def of_console(path: Path, workers: Path | None) -> EnvFile:
    """The console's file. Without a key in the settings it gets the one in the `workers`' file."""
    return EnvFile("--console-env", path.resolve(), CONSOLE, "given", workers)


def _as(url: str, name: str, password: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(name, safe='')}:{password}@{place}"))
