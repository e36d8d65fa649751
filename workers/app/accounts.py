"""The accounts file: which workspaces a billing account owns. The billing worker stores it at its start."""

import tomllib
from collections.abc import Mapping
from typing import Final

from workers.app.settings import PREFIX, Settings
from workers.errors import SettingsError
from workers.rules.accounts import accounts_of

_NAME: Final = f"{PREFIX}ACCOUNTS_FILE"


def accounts_in_file(settings: Settings) -> Mapping[str, str] | None:
    """The account of each workspace; None if no file is set.

    Raises:
        SettingsError: the file cannot be read, or is wrong.
    """
    if settings.accounts_file is None:
        return None
    try:
        return accounts_of(tomllib.loads(settings.accounts_file.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"{_NAME}: the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{_NAME}: the file is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{_NAME}: the file is not TOML: {error}") from None
    except ValueError as error:
        raise SettingsError(f"{_NAME}: {error}") from None
