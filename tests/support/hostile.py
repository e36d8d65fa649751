"""Texts that try to control an operator's terminal, or to look like another text."""

from typing import Final

from hypothesis import strategies as st

PIECES: Final = (
    *("\x1b[2J", "\x1b]0;title\x07", "\x1b", "\x9b31m", "\x90", "\x00", "\x08", "\t", "\r", "\n", "\x7f", "\x85"),
    *("\u202a", "\u202e", "\u2066", "\u2069", "\u200e", "\u061c", "\u2028", "\u2029", "\u200b", "\ufeff", "\U000e0041"),
    *(
        "[red]",
        "[/]",
        "[link=https://example.com]",
        ":bomb:",
        "{0}",
        "%s",
        '"',
        "\\",
        "\\x1b",
        "a",
        "é",
        "漢",
        "🙂",
        " ",
    ),
)

texts: Final = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=20)
"""Such texts, and any other."""

EVERYTHING: Final = "".join(piece for piece in PIECES if piece != "\x00")
"""All of them in one text that PostgreSQL takes."""


def inert(text: str) -> bool:
    """Whether a terminal shows `text` as it stands. Ends of lines are the only control characters in it."""
    return all(character == "\n" or character.isprintable() for character in text)
