"""`sluice records check`: judges the records of a file, one JSON value a line, and holds one at a time."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final

from schemas import limits
from schemas.checking import Judgement, judged
from schemas.framing import too_large
from workers.cli.progress_line import Progress
from workers.errors import SettingsError

_STANDARD_INPUT: Final = "-"
_LONGEST: Final = limits.MAX_VALUE_BYTES + len(b"\r\n") + 1
_PIECE: Final = 1024 * 1024


def opened(name: str) -> AbstractContextManager[BinaryIO]:
    """A file to read, or standard input for `-`.

    Raises:
        SettingsError: it cannot be read.
    """
    if name == _STANDARD_INPUT and sys.stdin is not None:
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise SettingsError(f"FILE: {name} cannot be read: {error.strerror}") from None


def checked(topic: str, file: BinaryIO, limit: int) -> dict[str, Any]:
    """How many records there are and what becomes of them; of those with an error the first `limit`, by line.

    Raises:
        SettingsError: the file cannot be read to its end.
    """
    counts: Counter[str] = Counter()
    problems: list[dict[str, Any]] = []
    progress = Progress("records")
    try:
        for number, judgement in _judgements(topic, file):
            counts[judgement.outcome] += 1
            if judgement.error is not None and len(problems) < limit:
                problems.append({"line": number, "outcome": judgement.outcome, "error": judgement.error})
            progress.show(counts.total())
    except OSError as error:
        raise SettingsError(f"FILE: it cannot be read to its end: {error.strerror}") from None
    return {
        "topic": topic,
        "records": counts.total(),
        "readable": counts["readable"],
        "refused": counts["refused"],
        "dead_letters": counts["dead_letter"],
        "problems": problems,
    }


def _judgements(topic: str, file: BinaryIO) -> Iterator[tuple[int, Judgement]]:
    """Line numbers from 1. Lines without text are no records."""
    number = 0
    while piece := file.readline(_LONGEST):
        number += 1
        value, size = piece.removesuffix(b"\n").removesuffix(b"\r"), len(piece)
        while piece and not piece.endswith(b"\n"):
            piece = file.readline(_PIECE)
            size += len(piece)
        if len(value) > limits.MAX_VALUE_BYTES:
            yield number, Judgement("dead_letter", too_large(size - piece.endswith(b"\n")))
        elif value.strip():
            yield number, judged(topic, value)
