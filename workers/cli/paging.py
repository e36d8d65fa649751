"""Pages of long lists: where one begins, and how the next one is asked for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from shlex import quote
from typing import Any
from uuid import UUID

from schemas.fields import utc_text
from workers.cli.terminal import required_moment
from workers.errors import SettingsError
from workers.store.page_reports import Before


def before(text: str | None) -> Before:
    """What `--before` says: a time, or a time and an id.

    Raises:
        SettingsError: it is something else.
    """
    at, row_id = before_text(text)
    try:
        return Before(at, None if row_id is None else UUID(row_id))
    except ValueError:
        raise SettingsError(f"--before: expected the id of a row behind the /, got {row_id!r}") from None


def before_text(text: str | None) -> tuple[datetime | None, str | None]:
    """The same for lists whose ids are any text.

    Raises:
        SettingsError: it begins with no time.
    """
    time, slash, row_id = (text or "").partition("/")
    return None if text is None else required_moment(time, "--before"), row_id if slash else None


def older_than(rows: Sequence[Mapping[str, Any]], time: str, row_id: str) -> str | None:
    """The option for the page behind the last row, by its columns for time and id; None: there is no row."""
    return f"--before {quote(f'{utc_text(rows[-1][time])}/{rows[-1][row_id]}')}" if rows else None


def behind(rows: Sequence[Mapping[str, Any]], *columns: str) -> str | None:
    """The same for lists that are not by time."""
    return f"--after {quote(':'.join(str(rows[-1][column]) for column in columns))}" if rows else None
