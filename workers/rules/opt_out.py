"""Recognises opt-out and opt-in words (contract 3.7): the letters and digits of the whole text must equal a word."""

import re
import unicodedata
from typing import Final

STOP_WORDS: Final = frozenset(["STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT", "ARRET"])
START_WORDS: Final = frozenset(["START", "UNSTOP"])
OPT_OUT_CHANNELS: Final = frozenset({"sms", "whatsapp"})
_LONGEST: Final = max(map(len, STOP_WORDS | START_WORDS))

# Every character that is no letter or digit, combining accents included. The four code points are invisible letters.
_IGNORED: Final = r"[\W_\u115f\u1160\u3164\uffa0]"
_IGNORED_RUN: Final = re.compile(f"{_IGNORED}+")
# Matches if the text has more letters than the longest word; reads only its beginning. The quantifier is possessive, so
# no text causes backtracking.
_TOO_LONG: Final = re.compile(rf"(?:{_IGNORED}*+\w){{{_LONGEST + 1}}}")


def opted_out_by(channel: str, kind: str, text: str | None) -> bool | None:
    """Returns True if the sender opts out, False if they opt in again, None otherwise."""
    if not text or kind != "message" or channel not in OPT_OUT_CHANNELS or _TOO_LONG.match(text):
        return None
    letters = _IGNORED_RUN.sub("", text)
    if not letters.isascii():  # removes accents, and converts full-width letters
        letters = _IGNORED_RUN.sub("", unicodedata.normalize("NFKD", letters))
    word = letters.upper()
    if word in STOP_WORDS:
        return True
    return False if word in START_WORDS else None
