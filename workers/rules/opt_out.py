"""Opt-out words (contract 3.7): the whole text is the word, or it is an ordinary message."""

from typing import Final

STOP_WORDS: Final = frozenset(["STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT", "ARRET"])
START_WORDS: Final = frozenset(["START", "UNSTOP"])
CHANNELS: Final = frozenset({"sms", "whatsapp"})
_LONGEST: Final = max(map(len, STOP_WORDS | START_WORDS))


def opted_out_by(channel: str, kind: str, text: str | None) -> bool | None:
    """True: the sender opts out. False: opts in again. None: says nothing about it."""
    if not text or kind != "message" or channel not in CHANNELS:
        return None
    word = text.strip()
    if word.endswith((".", "!")):
        word = word[:-1].rstrip()
    if len(word) > _LONGEST:
        return None
    word = word.upper()
    if word in STOP_WORDS:
        return True
    return False if word in START_WORDS else None
