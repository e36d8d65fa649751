"""The address of a send, and whether the channel is open to it (contract 4.5).

`channel_state`, `channel_obstacle` and `understood` are the same rules in SQL: `tests/store/test_one_answer.py`
compares.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from workers.rules.identities import REACHABLE_UNASKED, ResolvedIdentity, identify, scope_of

ChannelState = Literal["active", "inactive", "unavailable"]
Obstacle = Literal["bad_address", "contact_must_initiate", "unknown_contact"]

_SCHEME: Final = re.compile(r"^ *(?:whatsapp|tel|sms):", re.IGNORECASE)
# ASCII letters and everything beyond ASCII, except digits, direction marks and spaces.
_LETTER: Final = re.compile(
    r"[A-Za-z]|[^\x01-\x7f\u00a0\u0660-\u0669\u06f0-\u06f9\u2000-\u206f\ufeff\uff0b\uff10-\uff19]"
)


@dataclass(frozen=True, slots=True)
class Known:
    """A stored identity of the contact. Higher `identity_id`s are newer."""

    identity_id: int
    channel: str
    scope: str
    lookup: str
    address: str
    connected_at: datetime | None


@dataclass(frozen=True, slots=True)
class SendTarget:
    """`scope` and `lookup` identify the owner of the address; `address` is what the sender gets.

    `understood`: Sluice can parse it, so a send to it needs no earlier interaction.
    """

    scope: str
    lookup: str
    address: str
    understood: bool


@dataclass(frozen=True, slots=True)
class Nowhere:
    """There is no address to send to."""

    obstacle: Obstacle


Aim = SendTarget | Nowhere


def state(channel: str, connected_at: datetime | None, *, understood: bool) -> ChannelState:
    """Whether an address accepts sends. On three kinds a parsed address accepts sends before any interaction."""
    if connected_at is not None:
        return "active"
    return "inactive" if channel in REACHABLE_UNASKED and understood else "unavailable"


def obstacle(channel: str, aim: Aim, connected_at: datetime | None) -> Obstacle | None:
    """Why `aim` cannot be used; `connected_at` of the stored identity, None also if there is none.

    An address that has interacted can be answered in any form, except alphabetic sender ids on `sms`.
    """
    if isinstance(aim, Nowhere):
        return aim.obstacle
    if connected_at is not None:
        return "bad_address" if channel == "sms" and not aim.understood and _is_alphabetic(aim.lookup) else None
    if not aim.understood:
        return "bad_address"
    return "contact_must_initiate" if state(channel, None, understood=True) == "unavailable" else None


def aim_at_address(identity: ResolvedIdentity, heard: str | None = None) -> SendTarget:
    """The target of a send to a typed address; uses the spelling that was `heard` from there, if any."""
    return SendTarget(identity.scope, identity.lookup, heard or identity.address, identity.understood)


def aim_at_contact(
    channel: str, channel_id: str, known: Iterable[Known], on_file: str | None, region: str | None
) -> Aim:
    """The target of a send to a contact: its newest identity on that channel, else the number or e-mail address in its
    fields.
    """
    scope = scope_of(channel, channel_id)
    own = [k for k in known if k.channel == channel and k.scope == scope]
    if own:
        return _newest(channel, channel_id, own)
    if on_file and channel in REACHABLE_UNASKED:
        return aim_at_address(identify(channel, channel_id, on_file, region))
    return Nowhere("contact_must_initiate")


def _newest(channel: str, channel_id: str, own: Iterable[Known]) -> SendTarget:
    """Prefers identities that accept sends: a short code that wrote once must not hide a number that wrote."""

    def rank(known: Known) -> tuple[bool, bool, bool, int]:
        target, connected_at = _stored(channel, channel_id, known), known.connected_at
        free = obstacle(channel, target, connected_at) is None
        return free, connected_at is not None, target.understood, known.identity_id

    return _stored(channel, channel_id, max(own, key=rank))


def _stored(channel: str, channel_id: str, known: Known) -> SendTarget:
    understood = identify(channel, channel_id, known.address, None).understood
    return SendTarget(known.scope, known.lookup, known.address, understood)


def _is_alphabetic(address: str) -> bool:
    return _LETTER.search(_SCHEME.sub("", address)) is not None
