"""What a command would touch, in words, by the figures of `sluice.impact`. Pure."""

from collections.abc import Mapping
from typing import Final

MOST: Final = 10_000
"""A figure above it means more than that."""
_ASKED: Final = 500
"""Of more contacts than these the other figures are those of some of them."""

_GOES: Final = {
    "runs": "would be halted",
    "holds": "would be cancelled",
    "messages": "would be dropped",
    "contacts": "would be blocked",
}
_PROTECTS: Final = {
    "runs": "at work now: their next message would wait for a person",
    "holds": "would wait for one reason more",
    "contacts": "would be protected",
}
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "block_contact": _GOES,
    "merge_contacts": {
        "runs": "of the loser would be halted",
        "holds": "of the loser would go to the survivor",
        "contacts": "would become one",
    },
    "delete_contacts": {
        "runs": "would be halted",
        "holds": "would be cancelled",
        "messages": "would be erased for good",
        "contacts": "would be deleted",
    },
    "attach_contact": _PROTECTS,
    "protect_company": _PROTECTS,
    "define_status": _PROTECTS,
    "set_profile_status": _PROTECTS,
    "set_profile_companies": _PROTECTS,
}
"""By command: what would become of what a figure counts. Figures that are not here say nothing of this command."""

NOTHING: Final = "nothing: it would change nothing, or be refused"


def told(command: str, figures: Mapping[str, int]) -> dict[str, str]:
    """What stands beside each figure of the command that is not 0; empty: it touches nothing."""
    some = figures["contacts"] > _ASKED
    words = {
        name: f"{_number(figures[name], at_least=some and name != 'contacts')} {word}"
        for name, word in WORDS[command].items()
        if figures[name]
    }
    active = figures["active_contacts"]
    return words | ({"active contacts": _active(active)} if active else {})


def _number(count: int, *, at_least: bool = False) -> str:
    if count > MOST:
        return f"more than {MOST:,}"
    return f"at least {count:,}" if at_least else f"{count:,}"


def _active(change: int) -> str:
    return f"the counts of open cycles would be {_number(abs(change))} {'less' if change < 0 else 'more'} in all"
