"""The file of `SLUICE_…=` lines that `sluice dev --env-file` writes."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from workers.errors import SettingsError
from workers.settings import PREFIX, Settings

Write = Callable[[Settings], None]


@contextmanager
def env_file(path: Path | None) -> Iterator[Write]:
    """Yields what to call once the servers may be used. The file is there only while they can be: whoever sees it may
    connect. Without a path nothing is written.

    Raises:
        SettingsError: it cannot be written, or a file that somebody else wrote stands there.
    """
    if path is None:
        yield lambda _settings: None
        return
    path = path.resolve()
    _make_way(path)
    written: list[str] = []

    def write(settings: Settings) -> None:
        written.append(_text(settings))
        _replace(path, written[-1])

    try:
        yield write
    finally:
        if written and path.exists() and path.read_text(encoding="utf-8") == written[-1]:
            path.unlink()


def _make_way(path: Path) -> None:
    try:
        left = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if any(line.strip() and not line.startswith(PREFIX) for line in left):
            raise SettingsError(f"--env-file {path} holds other lines than {PREFIX}…: name a file that may be replaced")
        path.unlink(missing_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent):
            pass
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--env-file {path} cannot be written: {getattr(error, 'strerror', error)}") from error


def _replace(path: Path, text: str) -> None:
    # Never half-written; and it holds a key and perhaps a password: only its owner may read it.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(path)


def _text(settings: Settings) -> str:
    """What a client needs to find the same servers, prefixes and key."""
    lines = []
    for name in Settings.model_fields:
        value = getattr(settings, name)
        shared = name.startswith("kafka_") or name in {"database_url", "topic_prefix", "group_prefix", "hash_key"}
        if shared and value:
            shown = value.get_secret_value() if isinstance(value, SecretStr) else value
            lines.append(f"{PREFIX}{name}".upper() + f"={shown}\n")
    return "".join(lines)
