"""Dead letters: which of them can be replayed."""

from typing import Final

BATCH_FAULT: Final = "batch: "
"""Prefix of errors that stand for a batch that cannot be read."""
TOO_LARGE: Final = "too_large: "
"""Prefix of errors that stand for a batch that is too large."""
REPLAY_HEADER: Final = "sluice_dead_letter_id"
"""Header of a replayed record: the id of its row, so that another failure counts there."""


def why_not_replayed(error: str, value: bytes | None, *, is_erased: bool) -> str | None:
    """Why a letter cannot be replayed, by its error and the value that is kept; None: it can."""
    if is_erased:
        return "impossible: its content was erased"
    if error.startswith((BATCH_FAULT, TOO_LARGE)):
        return "impossible: it is a whole batch that could not be read, and no record"
    return "impossible: its value was null, or too large to keep" if value is None else None
