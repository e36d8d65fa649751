"""Makes the steps of closing so short that a few hundred facts need many of them."""

from typing import Final

_LENGTHS: Final = {
    "closing": {"_CYCLES_AT_ONCE": 3, "_CONTACTS_AT_ONCE": 12, "_LAST_CONTACTS": 6, "_FACTS_AT_ONCE": 7},
    "on_time": {"_MESSAGES_AT_ONCE": 2},
}


def shorten(told: str | None) -> None:
    """Does so in this process if it was told anything."""
    if told is None:
        return
    from workers.billing import closing, on_time

    for module, lengths in ((closing, _LENGTHS["closing"]), (on_time, _LENGTHS["on_time"])):
        for name, length in lengths.items():
            assert hasattr(module, name)
            setattr(module, name, length)
