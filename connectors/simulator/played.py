"""What the simulator needs to play a provider: plain functions from data to data, one module for each provider.

The module has the name of the provider, and one value `PLAYED`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Literal, NamedTuple

import msgspec

from connectors.provider import Answer, Channel, Provider, Webhook

Report = Literal["delivered", "read", "failed"]
Fault = Literal["throttled", "broken", "stopped", "refused"]


class ApiRequest(NamedTuple):
    """A request to the API of a provider. `path` is what follows the channel's `base_url`, with a slash and without
    query; names of headers are in lower case.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Said(NamedTuple):
    """What a person writes. `number` is another one for each message, for its ids."""

    sender: str
    text: str
    name: str | None
    number: int
    at: datetime


class Taken(NamedTuple):
    """A message that the provider took, and how it answers. `reference` is what its later reports need, if anything."""

    recipient: str
    text: str
    provider_message_id: str
    answer: Answer
    reference: str = ""


class Repeat(NamedTuple):
    """How a provider takes a call once: the key of a request, and the answer to a key that it took before."""

    key: Callable[[ApiRequest], str]
    answer: Callable[[Taken], Answer]


@dataclass(frozen=True, slots=True)
class Played:
    """One provider.

    - `take(channel, request, number)`: judges a call as the provider does: token, fields, limits.
    - `say(channel, said)`: the signed webhook of a message.
    - `report(channel, taken, what, at)`: the signed webhook of a report; None where the provider has no such report.
    - `faults`: how it answers a call that goes wrong, as far as it knows such a fault.
    - `repeat`: how it takes a repeated call once; None if it takes it again.
    """

    take: Callable[[Channel, ApiRequest, int], Taken | Answer]
    say: Callable[[Channel, Said], Webhook]
    report: Callable[[Channel, Taken, Report, datetime], Webhook | None]
    faults: Mapping[Fault, Answer]
    repeat: Repeat | None = None


def played(provider: Provider) -> Played:
    """How to play this provider."""
    found: Played = import_module(f"connectors.simulator.{provider.name}").PLAYED
    return found


def json_answer(status: int, value: object, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with the JSON of a value."""
    return Answer(status, {"content-type": "application/json"} | dict(headers or {}), msgspec.json.encode(value))
