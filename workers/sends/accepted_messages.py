"""An accepted send as a message: what is stored and counted of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from schemas.ids import content_digest, is_repeat, whom
from schemas.inbound import Content
from workers.rules.cycles import Calendar
from workers.rules.inbound import MessageVerdict
from workers.rules.mac import Evidence
from workers.store.mac import Active, Change, LateFact, Proof
from workers.store.messages import Echo, MessageKey, MessageRow
from workers.store.sends import AddressOwner, MovedSend, Send
from workers.store.workspaces import Workspace


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What receipts of one transaction change of a send besides its status.

    `accepted_before` and `stored_as`: of the message that is stored already. `accepted_at` None: neither the time of
    the first acceptance nor the message's id changed. `echo`: is this message, and came first. `stopped_at`: the
    contact opted out.
    """

    send: Send
    accepted_before: datetime | None = None
    stored_as: UUID | None = None
    accepted_at: datetime | None = None
    echo: Echo | None = None
    stopped_at: datetime | None = None
    shard: str = ""
    recorded_at: datetime | None = None

    def having(self, **changed: Any) -> "Acceptance":
        return replace(self, **changed)


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """An accepted send as a message of the owner of its address."""

    acceptance: Acceptance
    send: Send
    message_id: UUID
    at: datetime
    kind: str
    owner: AddressOwner
    verdict: MessageVerdict

    @property
    def key(self) -> MessageKey:
        return self.send.workspace_id, self.message_id

    @property
    def before(self) -> list[tuple[datetime, UUID]]:
        """Time and id of what is stored of it already: of the send, and of its echo."""
        a, found = self.acceptance, []
        if a.accepted_before is not None and a.stored_as is not None:
            found.append((a.accepted_before, a.stored_as))
        return found if a.echo is None else [*found, (a.echo.event_time, self.message_id)]

    @property
    def is_stored(self) -> bool:
        """Whether there is a message with its id: the send's own, or its echo."""
        return self.acceptance.echo is not None or self.acceptance.stored_as == self.message_id

    @property
    def content(self) -> Content:
        """Of a send whose content is kept."""
        return msgspec.json.decode(self.send.content, type=Content)

    @property
    def digest(self) -> int:
        """The digest of the same message as an echo: an echo with the same content is a repeat and no conflict. 0: the
        content is not kept.
        """
        if self.send.erased:
            return 0
        known = self.send.identity_key
        return content_digest("echo", self.content, whom(known) if known is not None else b"")


def says_else(message: AcceptedMessage) -> bool:
    """Whether its echo has another content."""
    echo = message.acceptance.echo
    if echo is None or message.send.erased:
        return False
    return not is_repeat(echo.content_digest, message.digest, "echo", message.content)


def message_row(message: AcceptedMessage, generation: int) -> MessageRow:
    send = message.send
    return MessageRow(
        generation=generation,
        workspace_id=send.workspace_id,
        message_id=message.message_id,
        identity_id=message.owner.identity_id,
        channel_id=send.channel_id,
        channel=send.channel,
        kind=message.kind,
        event_time=message.at,
        drop_reason=None,
        mac_rule=None,
        block_start=message.verdict.block_start,
        counted=message.verdict.counted,
        content_digest=message.digest,
        body=None if send.erased else msgspec.json.encode({"source": send.source, "content": send.content}).decode(),
        send_id=send.send_id,
        recorded_at=message.acceptance.recorded_at,
    )


def proof(message: AcceptedMessage, calendar: Calendar) -> Proof:
    acceptance, cycle = message.acceptance, message.verdict.cycle
    return Proof(
        message.send.workspace_id,
        cycle,
        message.owner.contact_id,
        message.at,
        message.message_id,
        acceptance.shard,
        "late_receipt",
        calendar.is_late(cycle, acceptance.recorded_at),
    )


def moved(message: AcceptedMessage) -> MovedSend:
    send, verdict = message.send, message.verdict
    return MovedSend(
        send.workspace_id,
        message.message_id,
        send.send_id,
        message.kind,
        message.at,
        verdict.counted,
        verdict.block_start,
        message.acceptance.recorded_at,
        *verdict.cycle,
    )


def changes_of(
    known: Sequence[AcceptedMessage], tenants: Mapping[str, Workspace]
) -> tuple[dict[Active, Change], list[LateFact]]:
    """What ceased to count at one time, or by one id, and counts at another, if at all. Apart: what is late."""
    changes: dict[Active, Change] = {}
    late: list[LateFact] = []
    for m in known:
        calendar = tenants[m.send.workspace_id].calendar
        for at in {m.at, *(at for at, _ in m.before)}:
            active = Active(m.send.workspace_id, calendar.at(at)[0], m.owner.contact_id)
            if calendar.is_late(active.cycle, m.acceptance.recorded_at):
                late.append(LateFact(*active, "late_receipt", str(m.message_id)))
                continue
            none = Change(m.acceptance.shard, None, set(), "late_receipt", str(m.message_id))
            change = changes.get(active, none)
            change.ceased.update(id_ for _, id_ in m.before)
            if at == m.at and m.verdict.counted:
                found = Evidence(m.at, m.message_id)
                change = change._replace(began=found if change.began is None else min(change.began, found))
            changes[active] = change
    return changes, late
