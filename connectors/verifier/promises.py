"""What a sender promises, and how far the trials show that it keeps its promises. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final, Literal, NamedTuple
from uuid import UUID

from schemas.receipts import DeliveryReceipt

Verdict = Literal["kept", "broken", "not seen"]

CLAIMS: Final = "claims each attempt before it calls the provider"
REPORTS: Final = "reports each attempt it has claimed, with one result"
NAMES: Final = "writes receipts that can be read and name send_id and attempt"
PROVIDER_ID: Final = "gives provider_message_id with sent"
ORDER: Final = "sends to one recipient in the order of the dispatches"
REPEATED: Final = "sends nothing for a repeated dispatch, in whatever order it comes"
REFUSED: Final = "neither sends nor reports where the claim is refused"
EARLIER: Final = "reports ambiguous, and sends nothing, where an earlier life has claimed"

_FEW: Final = 3
_RESULTS: Final = frozenset({"sent", "failed", "ambiguous"})


class SeenAttempt(NamedTuple):
    """An attempt as the view `send_attempts` has it."""

    send_id: UUID
    attempt: int
    claimed_at: datetime | None


class SeenReceipt(NamedTuple):
    """A record of `messages.receipts` about a send. `error`: why it cannot be read; `receipt` is None then."""

    send_id: UUID
    receipt: DeliveryReceipt | None
    error: str | None = None


class Promise(NamedTuple):
    """A promise, and what the trials show of it."""

    promise: str
    verdict: Verdict
    detail: str


@dataclass(slots=True)
class TrialFacts:
    """What the trials saw. `receipts` are in the order of their arrival.

    - `sends`: those that the sender had to send, in the order of their dispatches. `arrived`: the texts of those that
      it reported as sent.
    - `repeated`: those of which the dispatch came again, after the first `repeated_after` receipts.
    - `refused`: attempts that no claim is granted for, and that a dispatch named all the same.
    - `not_read`: why nobody knows whether the sender has read those dispatches; None if it has.
    - `earlier`: the send that was claimed ahead of the sender; None if there is none, then `not_earlier` says why.
    """

    sends: list[UUID] = field(default_factory=list)
    arrived: list[str] = field(default_factory=list)
    attempts: Sequence[SeenAttempt] = ()
    receipts: list[SeenReceipt] = field(default_factory=list)
    repeated: list[UUID] = field(default_factory=list)
    repeated_after: int = 0
    refused: list[tuple[UUID, int]] = field(default_factory=list)
    not_read: str | None = "there was no such trial"
    earlier: UUID | None = None
    not_earlier: str = "there was no such trial"

    def results(self, send_id: UUID, attempt: int) -> list[DeliveryReceipt]:
        """The results that were reported of an attempt; a receipt that does not name one is about the first."""
        return [
            seen.receipt
            for seen in self.receipts
            if seen.receipt is not None
            and (seen.send_id, seen.receipt.attempt or 1) == (send_id, attempt)
            and seen.receipt.status in _RESULTS
        ]


def judged(facts: TrialFacts) -> list[Promise]:
    """Every promise, in their order."""
    return [
        _claims(facts),
        _reports(facts),
        _names(facts),
        _provider_id(facts),
        _order(facts),
        _repeated(facts),
        _refused(facts),
        _earlier(facts),
    ]


def _own(facts: TrialFacts) -> list[SeenAttempt]:
    """The attempts that the sender itself had to make."""
    return [one for one in facts.attempts if one.send_id in facts.sends]


def _claims(facts: TrialFacts) -> Promise:
    reported = [one for one in _own(facts) if facts.results(one.send_id, one.attempt)]
    if not reported:
        return Promise(CLAIMS, "not seen", "no attempt was reported")
    wrong = [f"{_named(one)} has a receipt and was never claimed" for one in reported if one.claimed_at is None]
    return _verdict(CLAIMS, wrong, f"{len(reported)} claimed and reported")


def _reports(facts: TrialFacts) -> Promise:
    claimed = [one for one in _own(facts) if one.claimed_at is not None or facts.results(one.send_id, one.attempt)]
    if not claimed:
        return Promise(REPORTS, "not seen", "no attempt was claimed")
    wrong = []
    for one in claimed:
        results = facts.results(one.send_id, one.attempt)
        ids = {result.provider_message_id for result in results if result.provider_message_id is not None}
        if not results:
            wrong.append(f"{_named(one)} is claimed and has no receipt")
        elif len(ids) > 1:
            wrong.append(f"{_named(one)} has {len(ids)} ids of the provider: it was sent more than once")
    return _verdict(REPORTS, wrong, f"{len(claimed)} reported")


def _names(facts: TrialFacts) -> Promise:
    if not facts.receipts:
        return Promise(NAMES, "not seen", "there is no receipt")
    wrong = [f"a receipt of send {seen.send_id} cannot be read: {seen.error}" for seen in facts.receipts if seen.error]
    wrong += [
        f"a receipt of send {seen.send_id} does not name the attempt"
        for seen in facts.receipts
        if seen.receipt is not None and seen.receipt.attempt is None and seen.receipt.status in _RESULTS
    ]
    return _verdict(NAMES, wrong, f"{len(facts.receipts)} receipts")


def _provider_id(facts: TrialFacts) -> Promise:
    sent = [seen for seen in facts.receipts if seen.receipt is not None and seen.receipt.status == "sent"]
    if not sent:
        return Promise(PROVIDER_ID, "not seen", "no attempt was sent")
    wrong = [
        f"the receipt of send {seen.send_id} has none"
        for seen in sent
        if seen.receipt is not None and seen.receipt.provider_message_id is None
    ]
    return _verdict(PROVIDER_ID, wrong, f"{len(sent)} with it")


def _order(facts: TrialFacts) -> Promise:
    first = {one.send_id: one.claimed_at for one in _own(facts) if one.attempt == 1}
    times = [(send_id, at) for send_id in facts.sends if (at := first.get(send_id)) is not None]
    if len(times) < 2:
        return Promise(ORDER, "not seen", "fewer than two attempts were claimed")
    wrong = [
        f"send {later} was claimed before send {earlier}, which was dispatched first"
        for (earlier, at), (later, next_at) in pairwise(times)
        if next_at < at
    ]
    return _verdict(ORDER, wrong, f"{len(times)} in order")


def _repeated(facts: TrialFacts) -> Promise:
    wrong = [
        f"send {seen.send_id} was reported {seen.receipt.status} once more"
        for seen in facts.receipts[facts.repeated_after :]
        if seen.receipt is not None
        and seen.send_id in facts.repeated
        and seen.receipt.attempt in (None, 1)
        and _tells_of_a_call(seen.receipt)
    ]
    return _verdict(REPEATED, wrong, f"{len(facts.repeated)} repeated", facts.not_read)


def _tells_of_a_call(receipt: DeliveryReceipt) -> bool:
    """Whether a sender called to have this receipt. A provider may report later that a message failed: by its id."""
    return receipt.status == "sent" or (receipt.status == "failed" and receipt.provider_message_id is None)


def _refused(facts: TrialFacts) -> Promise:
    reported = {(seen.send_id, seen.receipt.attempt or 1) for seen in facts.receipts if seen.receipt is not None}
    wrong = [
        f"there is a receipt of attempt {attempt} of send {send_id}, for which no claim is granted"
        for send_id, attempt in facts.refused
        if (send_id, attempt) in reported
    ]
    return _verdict(REFUSED, wrong, f"{len(facts.refused)} refused", facts.not_read)


def _earlier(facts: TrialFacts) -> Promise:
    if facts.earlier is None:
        return Promise(EARLIER, "not seen", facts.not_earlier)
    statuses = [result.status for result in facts.results(facts.earlier, 1)]
    wrong = [f"send {facts.earlier} was reported {status}" for status in statuses if status != "ambiguous"]
    if not statuses:
        return Promise(EARLIER, "not seen", "no receipt came in time; perhaps with a longer --timeout")
    return _verdict(EARLIER, wrong, "ambiguous")


def _verdict(promise: str, wrong: Sequence[str], kept: str, not_seen: str | None = None) -> Promise:
    """`not_seen`: why what is not broken was not seen to be kept."""
    if wrong:
        more = [f"and {len(wrong) - _FEW} more"] if len(wrong) > _FEW else []
        return Promise(promise, "broken", "; ".join([*wrong[:_FEW], *more]))
    return Promise(promise, "kept", kept) if not_seen is None else Promise(promise, "not seen", not_seen)


def _named(one: SeenAttempt) -> str:
    return f"attempt {one.attempt} of send {one.send_id}"
