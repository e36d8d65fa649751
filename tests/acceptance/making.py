"""Records as producers write them: JSON dicts in the contract's words, with defaults for what a test leaves out."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, NamedTuple
from uuid import uuid4

import msgspec

Json = dict[str, Any]

MISSING: Final = object()
PHONE: Final = "+4915112345678"
WHATSAPP: Final[Json] = {"channel": "whatsapp", "address": PHONE}
"""The identity that writes unless a test names another."""


class Maker:
    """Makes records of the workspace `id`. Any field can be given by its name; `MISSING` takes a default away."""

    def __init__(self, id_: str) -> None:
        self.id = id_
        self._numbers = count(1)

    def message(self, text: str = "hello", *, at: datetime | None = None, address: str = PHONE, **fields: Any) -> Json:
        """An InboundMessage that was sent, and received, at `at`."""
        moment = at or now()
        channel = fields.get("channel", "whatsapp")
        return _without_missing(
            {
                "workspace_id": self.id,
                "channel_id": f"{channel}-main",
                "channel": channel,
                "provider_message_id": f"m{next(self._numbers)}",
                "sender": {"address": address},
                "sent_at": moment,
                "received_at": moment,
                "kind": "message",
                "content": {"type": "text", "text": text},
            }
            | fields
        )

    def command(self, name: str, /, *, at: datetime | None = None, **fields: Any) -> Json:
        """A command of the owner, from the settings, issued at `at`."""
        head = {
            "command_id": str(uuid4()),
            "workspace_id": self.id,
            "command": name,
            "actor": {"id": "olga", "role": "owner", "module": "settings"},
            "issued_at": at or now(),
        }
        return _without_missing(head | fields)

    def send(self, text: str = "hello", *, at: datetime | None = None, **fields: Any) -> Json:
        """A SendRequest to the usual number on WhatsApp, from the inbox."""
        channel = fields.get("channel", "whatsapp")
        return _without_missing(
            {
                "send_id": str(uuid4()),
                "workspace_id": self.id,
                "channel_id": f"{channel}-main",
                "channel": channel,
                "to": {"address": PHONE},
                "content": {"type": "text", "text": text},
                "requested_at": at or now(),
                "requested_by": {"id": "anna", "role": "agent"},
                "source": "inbox",
            }
            | fields
        )

    def receipt(self, send: Json, status: str, *, at: datetime | None = None, **fields: Any) -> Json:
        """A DeliveryReceipt for a SendRequest."""
        about = {"workspace_id": self.id, "channel_id": send["channel_id"], "send_id": send["send_id"]}
        return _without_missing(about | {"status": status, "at": at or now()} | fields)

    def event(self, name: str, run_id: str, *, at: datetime | None = None, **fields: Any) -> Json:
        """A WorkflowEvent: `run_started` (automatic, for the usual identity), `step_requested`, `run_finished`."""
        started = {"workflow_id": "welcome", "identity": WHATSAPP, "trigger": "automatic"}
        defaults = started if name == "run_started" else {"outcome": "completed"} if name == "run_finished" else {}
        head = {"workspace_id": self.id, "event": name, "run_id": run_id, "at": at or now()}
        return _without_missing(head | defaults | fields)


def now() -> datetime:
    """This moment. A stage's database and broker keep the same time."""
    return datetime.now(UTC)


def topic_of(fact: Json) -> str:
    """The input topic a record belongs to, by its fields."""
    for field, topic in (
        ("command", "contacts.commands"),
        ("event", "workflows.events"),
        ("sender", "messages.inbound"),
        ("to", "messages.outbound"),
        ("status", "messages.receipts"),
    ):
        if field in fact:
            return topic
    raise ValueError(f"no topic takes {sorted(fact)}")


def key_of(fact: Json) -> bytes:
    """The record's key as the contract asks producers for it."""
    match topic_of(fact):
        case "messages.inbound":
            rest = f"{fact['channel']}:{fact['sender']['address']}"
        case "messages.outbound":
            to = fact["to"]
            rest = str(to["contact_id"]) if "contact_id" in to else f"{fact['channel']}:{to['address']}"
        case "messages.receipts":
            rest = str(fact.get("send_id") or fact["provider_message_id"])
        case "workflows.events":
            rest = str(fact["run_id"])
        case _:
            rest = _target(fact)
    return f"{fact['workspace_id']}:{rest}".encode()


class Wire(NamedTuple):
    """A record to produce; `topic` is without prefix."""

    topic: str
    key: bytes
    value: bytes


def wire(fact: Json) -> Wire:
    """The record as it travels."""
    return Wire(topic_of(fact), key_of(fact), msgspec.json.encode(fact))


def _target(command: Json) -> str:
    for name in ("contact_id", "profile_id", "company_id", "send_id", "group_id", "survivor_id"):
        if command.get(name) is not None:
            return str(command[name])
    identity = command.get("identity")
    return f"{identity['channel']}:{identity['address']}" if identity else "settings"


def _without_missing(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value is not MISSING}


def at(minutes: float) -> datetime:
    """A moment, in minutes from noon of a day long past: what is decided by event time does not depend on today."""
    return datetime(2025, 3, 10, 12, tzinfo=UTC) + timedelta(minutes=minutes)


def identity(address: str, channel: str = "whatsapp", **fields: str) -> Json:
    """An identity as commands name it."""
    return {"channel": channel, "address": address, **fields}
