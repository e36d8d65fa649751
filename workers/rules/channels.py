"""Which address a send goes to, and whether the channel is open to it (contract 4.5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from workers.rules.identities import REACHABLE_UNASKED, Identity, identify, scope_of

State = Literal["active", "inactive", "unavailable"]
Obstacle = Literal["bad_address", "contact_must_initiate", "unknown_contact"]


@dataclass(frozen=True, slots=True)
class Known:
    """An identity of the contact as it is stored. `identity_id` grows with age: the newest has the highest."""

    identity_id: int
    channel: str
    scope: str
    lookup: str
    address: str
    connected_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reachable:
    """`scope` and `lookup` say whose address it is; `address` is what the sender gets."""

    scope: str
    lookup: str
    address: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Why nothing can be sent; scope, lookup and address where an address is known all the same."""

    obstacle: Obstacle
    scope: str | None = None
    lookup: str | None = None
    address: str | None = None


Aim = Reachable | Unreachable


def state(channel: str, connected_at: datetime | None) -> State:
    """Of a known address: a contact that never interacted on it can be written to first on three kinds only."""
    if connected_at is not None:
        return "active"
    return "inactive" if channel in REACHABLE_UNASKED else "unavailable"


def aim_at_address(identity: Identity, connected_at: datetime | None) -> Aim:
    """A send to an address; `connected_at` of the stored identity, None also where there is none."""
    parts = identity.scope, identity.lookup, identity.address
    if not identity.understood:
        return Unreachable("bad_address", *parts)
    if state(identity.channel, connected_at) == "unavailable":
        return Unreachable("contact_must_initiate", *parts)
    return Reachable(*parts)


def aim_at_contact(
    channel: str, channel_id: str, known: Iterable[Known], on_file: str | None, region: str | None
) -> Aim:
    """A send to a contact: its newest identity on that channel, else the number or e-mail address on file."""
    scope = scope_of(channel, channel_id)
    own = [k for k in known if k.channel == channel and k.scope == scope]
    if own:
        return _newest(channel, channel_id, own)
    if on_file and channel in REACHABLE_UNASKED:
        return aim_at_address(identify(channel, channel_id, on_file, region), None)
    return Unreachable("contact_must_initiate")


def _newest(channel: str, channel_id: str, own: list[Known]) -> Aim:
    # A short code that wrote once must not hide the number that can be answered.
    aims = [(_stored(channel, channel_id, k), k.connected_at is not None, k.identity_id) for k in own]
    return max(aims, key=lambda a: (isinstance(a[0], Reachable), *a[1:]))[0]


def _stored(channel: str, channel_id: str, known: Known) -> Aim:
    parts = known.scope, known.lookup, known.address
    if not identify(channel, channel_id, known.address, None).understood:
        return Unreachable("bad_address", *parts)
    if state(channel, known.connected_at) == "unavailable":
        return Unreachable("contact_must_initiate", *parts)
    return Reachable(*parts)
