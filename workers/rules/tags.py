"""Tags of contacts: each is a value with a stamp, so an older removal that arrives late removes nothing."""

import unicodedata
from typing import Final

from schemas import limits
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.results import Done, Refused, Result

ABSENT: Final[LastWrite[bool]] = LastWrite(value=False)
_NO_NAME: Final = Refused("invalid", "`tag`: expected a text with visible characters")
TOO_MANY: Final = Refused("invalid", f"`tag`: a contact has at most {limits.TAGS_PER_CONTACT} tags")
TOO_MANY_NAMES: Final = Refused("invalid", f"`tag`: a workspace has at most {limits.TAGS_PER_WORKSPACE:,} tags")


def named(tag: str) -> str | Refused:
    """A tag as it is stored: NFC, without spaces at its ends. Capitals make another tag."""
    return unicodedata.normalize("NFC", tag).strip() or _NO_NAME


def put(before: LastWrite[bool], tag: str, stamp: WriteStamp, *, on: bool, has: int) -> tuple[Result, LastWrite[bool]]:
    """The result of adding or removing a tag, and its new state; `has`: how many tags the contact has."""
    after = before.write(on, stamp)
    if after.value and not before.value and has >= limits.TAGS_PER_CONTACT:
        return TOO_MANY, before
    return Done({"tag": tag} if after.value != before.value else {}), after
