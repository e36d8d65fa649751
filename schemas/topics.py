"""The registry of topics: names, writers, retention, contents.

Names are without prefix. Topics are created and checked from this table, and the published schemas come from it.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from schemas import outputs
from schemas.commands import Command
from schemas.inbound import InboundMessage
from schemas.receipts import DeliveryReceipt
from schemas.sends import SendRequest
from schemas.workflow_events import WorkflowEvent

_KIB: Final = 1024
_DAY_MS: Final = 24 * 60 * 60 * 1000
CONTENT_RETENTION_MS: Final = 7 * _DAY_MS
DEFAULT_PARTITIONS: Final = 12


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic. Retention is in milliseconds, None if compaction keeps the last record of every key."""

    name: str
    direction: Literal["in", "out", "connectors"]
    key: str
    about: str
    values: tuple[type[Any], ...]
    cleanup_policy: Literal["delete", "compact"]
    retention_ms: int | None
    max_message_bytes: int
    partitions: int = DEFAULT_PARTITIONS

    def config(self) -> dict[str, str]:
        """The broker's settings for this topic, in Kafka's own names."""
        config = {
            "cleanup.policy": self.cleanup_policy,
            "max.message.bytes": str(self.max_message_bytes),
            # By the broker's clock: a record with the time of a wrong clock would be refused, or would expire at once.
            "message.timestamp.type": "LogAppendTime",
        }
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        else:
            # What a tombstone or a newer record replaces may be content of a contact that was deleted.
            config["max.compaction.lag.ms"] = str(_DAY_MS)
        return config


def _input(name: str, key: str, values: tuple[type[Any], ...], about: str) -> TopicSpec:
    return TopicSpec(
        name=name,
        direction="in",
        key=key,
        about=about,
        values=values,
        cleanup_policy="delete",
        retention_ms=CONTENT_RETENTION_MS,
        max_message_bytes=1024 * _KIB,
    )


def _output(
    name: str, key: str, values: tuple[type[Any], ...], about: str, max_message_bytes: int = 1024 * _KIB
) -> TopicSpec:
    return TopicSpec(
        name=name,
        direction="out",
        key=key,
        about=about,
        values=values,
        cleanup_policy="delete",
        retention_ms=CONTENT_RETENTION_MS,
        max_message_bytes=max_message_bytes,
    )


def _compacted(name: str, key: str, values: tuple[type[Any], ...], about: str) -> TopicSpec:
    return TopicSpec(
        name=name,
        direction="out",
        key=key,
        about=about,
        values=values,
        cleanup_policy="compact",
        retention_ms=None,
        max_message_bytes=1024 * _KIB,
    )


INPUTS: Final = (
    _input(
        "messages.inbound",
        "workspace_id:channel:address",
        (InboundMessage,),
        "Messages, reactions and echoes from connectors.",
    ),
    _input(
        "messages.outbound",
        "workspace_id:recipient (contact_id or channel:address)",
        (SendRequest,),
        "Requests to send, one recipient each.",
    ),
    _input(
        "messages.receipts",
        "workspace_id:send_id or workspace_id:provider_message_id",
        (DeliveryReceipt,),
        "Reports of providers about sends.",
    ),
    _input(
        "contacts.commands",
        "workspace_id:target (contact, profile, company, send, settings)",
        get_args(Command),
        "Commands of users and systems.",
    ),
    _input(
        "workflows.events",
        "workspace_id:run_id",
        get_args(WorkflowEvent),
        "What workflow engines did and want to do.",
    ),
)

OUTPUTS: Final = (
    _output("messages.accepted", "as input", (outputs.MessageAccepted,), "Messages that were accepted."),
    _output(
        "messages.dropped",
        "as input",
        (outputs.MessageDropped,),
        "Messages that were dropped, without content.",
    ),
    _output(
        "messages.revised",
        "as input",
        (outputs.MessageRevised, outputs.RevisedToAccepted),
        "Verdicts that a late block, a late unblock or a person changed.",
    ),
    _output(
        "sends.dispatch",
        "workspace_id:channel_id",
        (outputs.SendDispatch,),
        "Attempts for senders to claim and make.",
    ),
    _output("sends.status", "workspace_id:send_id", (outputs.SendStatus,), "The status of each send."),
    _output(
        "workflows.control",
        "workspace_id:run_id",
        (outputs.WorkflowControl,),
        "Steps granted and resolved, runs halted and refused.",
    ),
    _output(
        "commands.results",
        "workspace_id:command_id",
        (outputs.CommandResult,),
        "The answer to every command.",
    ),
    _compacted(
        "contacts.changes",
        "workspace_id:contact_id",
        (outputs.ContactChange,),
        "The present state of every contact; a tombstone on deletion.",
    ),
    _compacted(
        "billing.mac",
        "workspace_id:cycle_start",
        (outputs.MacCount,),
        "Every cycle's count of monthly active contacts.",
    ),
    _output("billing.alerts", "workspace_id", (outputs.BillingAlert,), "Counts that reached a share of the limit."),
    _output(
        "dead.letters",
        "as input",
        (outputs.DeadLetterReference,),
        "Records that could not be understood, byte for byte; above 512 KiB a reference.",
        2048 * _KIB,
    ),
)

TOPICS: Final[dict[str, TopicSpec]] = {topic.name: topic for topic in (*INPUTS, *OUTPUTS)}
"""What workers read and write."""

UNMAPPED: Final = TopicSpec(
    name="webhooks.unmapped",
    direction="connectors",
    key="workspace_id:channel_id",
    about="Verified webhooks that a receiver could not understand, byte for byte; above 5 MiB a reference.",
    values=(),
    cleanup_policy="delete",
    retention_ms=CONTENT_RETENTION_MS,
    max_message_bytes=6 * 1024 * _KIB,
)
"""Written and read by receivers alone."""

EVERY_TOPIC: Final[dict[str, TopicSpec]] = TOPICS | {UNMAPPED.name: UNMAPPED}
"""What `sluice topics` creates."""

SHARED_KEYS: Final = frozenset({"messages.revised", "sends.status", "workflows.control"})
"""Topics with keys for which several input partitions and jobs have events. Each partition's events are published in
order, but no partition waits for another: so an event about such a key is stored together with earlier unpublished
events about it.
"""
