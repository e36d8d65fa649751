"""The topic messages.receipts: receipts of providers advance attempts, in any order of arrival (contract 4.6)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from schemas.receipts import ReceiptError
from workers.errors import RetryBatch
from workers.process.tasks import paced
from workers.records import Output
from workers.rules.attempts import ACCEPTED, later
from workers.sends import acceptance, accounts, context, transitions
from workers.sends.accepted_messages import Acceptance
from workers.sends.accounts import AttemptChange, SendAccount
from workers.sends.arrivals import AttemptKey, ReceiptArrival, locate
from workers.sends.context import Locked
from workers.sends.events import Origin, SendCause
from workers.sends.provider_ids import ProviderIds, is_unnamed, unnamed_among
from workers.sends.transitions import SendTransitions
from workers.store import messages, send_attempts, sends, workspaces
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey
from workers.store.send_attempts import Attempt, ProviderKey
from workers.store.sends import Addressed, SendKey


@dataclass(slots=True)
class Received:
    """The result of some receipts: events, receipts whose attempt does not exist yet, and ids that are known now."""

    outputs: list[Output] = field(default_factory=list)
    early: list[ReceiptArrival] = field(default_factory=list)
    learned: dict[ProviderKey, Origin] = field(default_factory=dict)


def cause_of(origin: Origin) -> SendCause:
    return SendCause("receipt", origin)


async def receive(tx: Connection, arrivals: Sequence[ReceiptArrival], now: datetime) -> Received:
    """Applies receipts to their attempts.

    Raises:
        RetryBatch: a send moved to another contact while this transaction waited for it.
    """
    places, holders = await locate(tx, arrivals)
    seen = await sends.addressed(tx, {place[0] for place in places if place is not None})
    used = {(s.workspace_id, s.channel_id, s.channel) for s in seen.values()}
    tenants = await workspaces.share(tx, used | {(a.receipt.workspace_id, "", "") for a in arrivals})
    ids = ProviderIds(holders)
    changed = await _look_up(tx, arrivals, places, seen, ids)
    people, opened = await open_accounts(tx, seen, changed)
    await _look_up_again(tx, opened, ids)
    made = SendTransitions(now)
    received = Received()
    async for arrival, place in paced(zip(arrivals, places, strict=True)):
        number = _attempt(opened, place)
        if place is None or number is None:
            received.early.append(arrival)
        else:
            account = opened[place[0]]
            key = arrival.key_on(account.send.channel_id)
            has_id = key is not None and ids.give(key, place[0])
            if key is not None and has_id:
                received.learned[key] = arrival.cause.origin
            _apply(account, number, arrival if has_id else arrival.without_provider_id(), made, ids)
    found = [a.acceptance for _, a in sorted(opened.items()) if a.acceptance is not None]
    received.outputs = await transitions.save(tx, made)
    await acceptance.accept(tx, found, people, tenants, ids, now)
    return received


async def _look_up(
    tx: Connection,
    arrivals: Sequence[ReceiptArrival],
    places: Sequence[AttemptKey | None],
    seen: Mapping[SendKey, Addressed],
    ids: ProviderIds,
) -> set[IdentityKey]:
    """Finds who has the ids that the receipts name, and what is stored under them. Returns the addresses with a message
    that is stored already and may change: its owner has to be locked for update from the start.
    """
    found = [
        (arrival, send, arrival.key_on(send.channel_id))
        for arrival, place in zip(arrivals, places, strict=True)
        if place is not None and (send := seen.get(place[0])) is not None
    ]
    said = {key for _, _, key in found if key is not None}
    if elsewhere := said - {arrival.provider_key for arrival in arrivals}:
        known = await send_attempts.by_provider_id(tx, elsewhere)
        ids.holders |= {key: (key[0], send_id) for key, (send_id, _) in known.items()}
    ids.unnamed = unnamed_among(seen.values())
    if ids.unnamed:
        await ids.look_up(tx, {key for _, send, key in found if key is not None and send.key in ids.unnamed})
    return {
        who
        for arrival, send, key in found
        if (who := send.identity_key) is not None and _changes(arrival, send, key, ids)
    }


def _changes(arrival: ReceiptArrival, send: Addressed, key: ProviderKey | None, ids: ProviderIds) -> bool:
    """Whether a receipt changes a message that is stored already: an echo, or the message of the send."""
    if send.accepted_at is None:
        return key is not None and ids.names.get(key) in ids.echoes
    return key in ids.names or (arrival.receipt.status in ACCEPTED and arrival.at < send.accepted_at)


async def _look_up_again(tx: Connection, opened: Mapping[SendKey, SendAccount], ids: ProviderIds) -> None:
    """Looks up ids that earlier receipts named, and whose the messages of the sends are."""
    unnamed = [opened[key] for key in sorted(ids.unnamed & opened.keys()) if is_unnamed(opened[key].send)]
    known = {
        (attempt.workspace_id, attempt.channel_id, attempt.provider_message_id)
        for account in unnamed
        for attempt in account.attempts.values()
        if attempt.provider_message_id is not None
    }
    if more := known - ids.names.keys():
        await ids.look_up(tx, more)
    if ids.echoes:
        await _whose(tx, unnamed)


async def _whose(tx: Connection, sent: Sequence[SendAccount]) -> None:
    """A message that is stored already may lie with a former owner of the address; an echo must lie there as well."""
    stored = {id_: a for a in sent if a.send.accepted_at is not None and (id_ := a.send.message_id) is not None}
    if stored:
        for id_, owner in (await messages.owners(tx, stored.keys())).items():
            stored[id_].identity_id = owner.identity_id


async def open_accounts(
    tx: Connection, seen: Mapping[SendKey, Addressed], changed: Collection[IdentityKey] = frozenset()
) -> tuple[Locked, dict[SendKey, SendAccount]]:
    """Locks sends that were read, and their people before them: the owners of `changed` addresses for update.

    Raises:
        RetryBatch: a send or its address moved to another contact while this transaction waited for it.
    """
    people = await context.lock_people(
        tx,
        {(s.workspace_id, s.contact_id) for s in seen.values() if s.contact_id is not None},
        {key for s in seen.values() if (key := s.identity_key) is not None},
        changed=changed,
    )
    locked = await sends.lock(tx, seen.keys())
    if any(locked[key].contact_id != send.contact_id for key, send in seen.items()):
        raise RetryBatch("a send moved to another contact while it was being locked")
    return people, await accounts.of_locked(tx, locked, people.owners)


def _attempt(opened: Mapping[SendKey, SendAccount], place: AttemptKey | None) -> int | None:
    account = opened.get(place[0]) if place is not None else None
    if place is None or account is None:
        return None
    number = place[1] if place[1] is not None else account.send.attempt
    return number if number in account.attempts else None


def _apply(account: SendAccount, number: int, arrival: ReceiptArrival, made: SendTransitions, ids: ProviderIds) -> None:
    before, attempt = account.send, account.attempts[number]
    after = forward(attempt, arrival)
    if any(a.provider_message_id == after.provider_message_id for n, a in account.attempts.items() if n != number):
        after = replace(after, provider_message_id=attempt.provider_message_id)
    if before.forgotten:
        after = _without_person(attempt, after)
    accounts.put(account, after, made)
    _accept(account, number, arrival, ids, is_news=attempt.provider_message_id is None or before.accepted_at is None)
    accounts.show(account, AttemptChange(before, attempt, arrival.event, arrival.cause, arrival.at), made)


def forward(attempt: Attempt, arrival: ReceiptArrival) -> Attempt:
    """The attempt after a receipt."""
    receipt, known = arrival.receipt, attempt.status
    status = later(known, receipt.status, by_clock=attempt.by_clock)
    if attempt.by_clock and receipt.status != "ambiguous":
        known = "dispatched"  # as if its time had not run out
        attempt = replace(attempt, ran_out_at=None, permanent=False, error_code=None, error_message=None)
    error = receipt.error if receipt.status == "failed" else None
    final = receipt.status == "failed" and bool(receipt.contact_stopped or (error is not None and error.permanent))
    return replace(
        attempt,
        status=status,
        status_at=arrival.at if status != known else attempt.status_at,
        permanent=attempt.permanent or final,
        error_code=error.code if error is not None and isinstance(error.code, str) else attempt.error_code,
        error_message=_message_of(error) or attempt.error_message,
        not_before=_last_of(attempt.not_before, arrival.not_before),
        provider_message_id=attempt.provider_message_id or receipt.provider_message_id,
    )


def _last_of(known: datetime | None, said: datetime | None) -> datetime | None:
    """The later time, of those that are known."""
    return max((at for at in (known, said) if at is not None), default=None)


def _message_of(error: ReceiptError | None) -> str | None:
    return error.message[: send_attempts.LONGEST_MESSAGE] if error is not None and error.message is not None else None


def _without_person(attempt: Attempt, after: Attempt) -> Attempt:
    """What is kept of a receipt of a send whose contact was deleted."""
    named = after.provider_message_id
    if attempt.provider_message_id is None and named is not None:
        named = send_attempts.hidden(named)
    return replace(after, provider_message_id=named, error_message=None)


def _accept(account: SendAccount, number: int, arrival: ReceiptArrival, ids: ProviderIds, *, is_news: bool) -> None:
    """Notes a stop, an earlier acceptance, and the provider's id of a message that had none. `is_news`: the id was not
    known of this attempt, or the attempt was not accepted.
    """
    send, receipt = account.send, arrival.receipt
    acceptance = account.acceptance or Acceptance(
        send, send.accepted_at, send.message_id if send.accepted_at is not None else None
    )
    if receipt.contact_stopped:
        stopped_at = max(arrival.at, acceptance.stopped_at or arrival.at)
        acceptance = account.acceptance = acceptance.having(stopped_at=stopped_at)
    at = send.accepted_at
    if receipt.status in ACCEPTED:
        said = max(arrival.at, send.requested_at)
        at = said if at is None else min(at, said)
    if at is None:
        return
    stored_as, echo = send.message_id, acceptance.echo
    provider_id = _provider_id(account, number, arrival)
    if provider_id is not None and send.key in ids.unnamed and is_unnamed(send):
        stored_as, echo = ids.message_of(send, provider_id, account.identity_id, is_news=is_news)
    if (stored_as, at) != (send.message_id, send.accepted_at):
        account.send = replace(send, message_id=stored_as, accepted_at=at)
        account.acceptance = acceptance.having(
            send=account.send,
            shard="/".join(map(str, arrival.cause.origin.source)),
            accepted_at=at,
            echo=echo,
            recorded_at=arrival.recorded_at,
        )


def _provider_id(account: SendAccount, number: int, arrival: ReceiptArrival) -> str | None:
    """The provider's id of the attempt that was accepted. Where the contact was deleted only the receipt has
    it.

    An attempt that failed afterwards does not show that it was accepted; the only one of an accepted send was.
    """
    attempt, said = account.attempts[number], arrival.receipt
    if said.status not in ACCEPTED and attempt.status not in ACCEPTED and len(account.attempts) > 1:
        return None
    known = None if account.send.forgotten else attempt.provider_message_id
    return known or said.provider_message_id
