"""`make bench-quick`: checks whether inbound lost more than 15 % of its ratio to the floor.

The reference is a ratio, so that it is valid on other machines as well: `benchmarks/reference.json`.
"""

from pathlib import Path
from typing import Final, NamedTuple

import msgspec

REFERENCE: Final = Path(__file__).with_name("reference.json")
MOST_LOST: Final = 0.15


class _Reference(msgspec.Struct, forbid_unknown_fields=True):
    inbound_to_floor: float


class Answer(NamedTuple):
    """`exit_code` is 1 when too much was lost."""

    sentence: str
    exit_code: int


def compare(ratio: float) -> Answer:
    """Compares with the recorded ratio."""
    reference = msgspec.json.decode(REFERENCE.read_bytes(), type=_Reference).inbound_to_floor
    change = ratio / reference - 1
    sentence = f"Inbound runs at {ratio:.3f} of the floor; recorded is {reference:.3f} ({change:+.0%})."
    if change < -MOST_LOST:
        return Answer(f"{sentence} That is more than {MOST_LOST:.0%} less.", 1)
    return Answer(sentence, 0)


def record(ratio: float) -> Answer:
    """Stores the ratio as the new reference."""
    content = msgspec.json.encode(_Reference(round(ratio, 3)))
    REFERENCE.write_bytes(msgspec.json.format(content) + b"\n")
    return Answer(f"Recorded {ratio:.3f} in {REFERENCE.name}.", 0)
