"""Plays Instagram."""

from datetime import datetime
from typing import Final

from connectors.provider import Answer, Channel, Webhook
from connectors.simulator import meta_messaging
from connectors.simulator.meta_messaging import FAULTS, Place
from connectors.simulator.played import ApiRequest, Played, Report, Said, Taken

_LONGEST_TEXT: Final = 1_000


def take(channel: Channel, request: ApiRequest, number: int) -> Taken | Answer:
    """Takes a text of at most 1000 bytes, or a file."""
    return meta_messaging.take(channel, request, number, _LONGEST_TEXT)


def say(channel: Channel, said: Said) -> Webhook:
    """A message of a person."""
    return meta_messaging.say(channel, _place(channel), said)


def report(channel: Channel, taken: Taken, what: Report, at: datetime) -> Webhook | None:
    """A mark of reading. Instagram says nothing of deliveries and failures."""
    if what != "read":
        return None
    time = int(at.timestamp() * 1000)
    return meta_messaging.event(
        channel, _place(channel), taken.recipient, time, {"read": {"mid": taken.provider_message_id}}
    )


def _place(channel: Channel) -> Place:
    return Place(channel.keys.account_id, "instagram")


PLAYED: Final = Played(take=take, say=say, report=report, faults=FAULTS)
