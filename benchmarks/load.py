"""Loads of messages: about 480 bytes each, from a fixed set of contacts, the same for every side."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from aiokafka.partitioner import murmur2
from confluent_kafka import Producer

from tests.acceptance.making import Wire

PARTITIONS: Final = 12
CONTACTS: Final = 10_000
FIRST_NUMBER: Final = 10_000_000
_TEXT: Final = (
    "Hello, I ordered the blue chair last week and it has not arrived yet. Could you tell me where it is? "
    "The number of the order is {n}."
)


@dataclass(frozen=True)
class Crowd:
    """The senders. A share `flood` of all messages comes from one contact, the others from all."""

    workspaces: int = 1
    contacts: int = CONTACTS
    flood: float = 0.0

    def messages(self, count: int) -> Iterator[Wire]:
        """`count` messages of the last hour, a millisecond apart."""
        dice = random.Random(20_261_122)
        start = datetime.now(UTC) - timedelta(hours=1)
        for n in range(count):
            contact = FLOODER if dice.random() < self.flood else dice.randrange(self.contacts)
            yield message(n, self.workspace(contact), contact, start + timedelta(milliseconds=n))

    def workspace(self, contact: int) -> str:
        """Contacts belong to one workspace each; if there is only one, it is `acme`."""
        return "acme" if self.workspaces == 1 else f"tenant-{contact % self.workspaces:03}"


FLOODER: Final = 4_711
"""The number of the contact that floods, if one does."""


def message(n: int, workspace: str, contact: int, received: datetime) -> Wire:
    """The n-th message."""
    number = address(contact)
    value = {
        "workspace_id": workspace,
        "channel_id": "wa-main",
        "channel": "whatsapp",
        "provider_message_id": f"wamid.HBgM{n:028d}",
        "sender": {"address": number, "name": f"Customer {contact}", "language": "de"},
        "sent_at": received,
        "received_at": received,
        "content": {"type": "text", "text": _TEXT.format(n=n)},
    }
    return Wire("messages.inbound", f"{workspace}:whatsapp:{number}".encode(), msgspec.json.encode(value))


def address(contact: int) -> str:
    """A contact's telephone number."""
    return f"+49151{FIRST_NUMBER + contact}"


def partition_of_the_flood() -> int:
    """The partition of the contact that floods."""
    key = message(0, "acme", FLOODER, datetime.now(UTC)).key
    return int(murmur2(key) & 0x7FFFFFFF) % PARTITIONS


def producer(bootstrap: str, linger_ms: int) -> Producer:
    """A producer with Kafka's default partitioner."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": linger_ms,
            "log_level": 2,  # what it says of the broker's end is no news
            "queue.buffering.max.messages": 1_000_000,
        }
    )


def fill(bootstrap: str, prefix: str, records: Iterable[Wire]) -> None:
    """Produces everything and waits until it is acknowledged.

    Raises:
        RuntimeError: Kafka did not acknowledge it.
    """
    filling = producer(bootstrap, linger_ms=50)
    for record in records:
        while True:
            try:
                filling.produce(prefix + record.topic, record.value, record.key)
                break
            except BufferError:
                filling.poll(0.05)
    if filling.flush(60):
        raise RuntimeError("Kafka did not take the load")
