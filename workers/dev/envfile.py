"""The file of `SLUICE_…=` lines that `sluice dev --env-file` writes."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from workers.app.settings import PREFIX, Settings
from workers.errors import SettingsError

Write = Callable[[Settings], None]


@contextmanager
def env_file(path: Path | None) -> Iterator[Write]:
    """Yields a function to call once the servers are ready. The file exists only while they are: a program that sees it
    may connect. Without a path nothing is written.

    Raises:
        SettingsError: it cannot be written, or it is a file of other content.
    """
    if path is None:
        yield lambda _settings: None
        return
    path = path.resolve()
    _make_way(path)
    written: list[str] = []

    def write(settings: Settings) -> None:
        written.append(_text(settings))
        write_privately(path, written[-1])

    try:
        yield write
    finally:
        if written and path.exists() and path.read_text(encoding="utf-8") == written[-1]:
            path.unlink()


def _make_way(path: Path) -> None:
    try:
        left = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if any(line.strip() and not line.startswith(PREFIX) for line in left):
            raise SettingsError(f"--env-file {path} has other lines than {PREFIX}…: use a file that may be replaced")
        path.unlink(missing_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent):
            pass
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--env-file {path} cannot be written: {getattr(error, 'strerror', error)}") from error


def write_privately(path: Path, text: str) -> None:
    """Writes a file at once and completely, readable only by its owner: it holds a key and perhaps a password."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(path)


def _text(settings: Settings) -> str:
    """The settings that a client needs: the same servers, prefixes and key."""
    lines = []
    for name in Settings.model_fields:
        value = getattr(settings, name)
        shared = name.startswith("kafka_") or name in {"database_url", "topic_prefix", "group_prefix", "hash_key"}
        if shared and value:
            shown = value.get_secret_value() if isinstance(value, SecretStr) else value
            lines.append(f"{PREFIX}{name}".upper() + f"={shown}\n")
    return "".join(lines)
