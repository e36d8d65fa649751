"""What the trials of a sender show: each promise is judged by facts alone."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from connectors.verifier.promises import (
    CLAIMS,
    EARLIER,
    NAMES,
    ORDER,
    PROVIDER_ID,
    REFUSED,
    REPEATED,
    REPORTS,
    SeenAttempt,
    SeenReceipt,
    TrialFacts,
    judged,
)
from schemas.receipts import DeliveryReceipt

NOW: Final = datetime(2026, 12, 1, 10, tzinfo=UTC)
ONE, TWO, LAST, CLAIMED, UNKNOWN = (UUID(int=number) for number in range(1, 6))


def receipt(
    send_id: UUID,
    status: Any = "sent",
    attempt: int | None = 1,
    id_: str | None = "p",
    *,
    reported: bool = False,
) -> SeenReceipt:
    """`reported`: by the provider."""
    named = f"{id_}-{send_id}" if id_ is not None and (status == "sent" or reported) else None
    told = DeliveryReceipt(
        workspace_id="w",
        channel_id="c",
        send_id=send_id,
        attempt=attempt,
        provider_message_id=named,
        status=status,
        at=NOW,
    )
    return SeenReceipt(send_id, told)


def facts(*more: SeenReceipt, **changed: Any) -> TrialFacts:
    """Those of a sender that keeps everything, and more receipts after the repeats."""
    sends = [ONE, TWO, LAST]
    whole: dict[str, Any] = {
        "sends": sends,
        "attempts": [SeenAttempt(send_id, 1, NOW + timedelta(seconds=n)) for n, send_id in enumerate(sends)],
        "receipts": [receipt(ONE), receipt(TWO), receipt(LAST), *more, receipt(CLAIMED, "ambiguous")],
        "repeated": [TWO, ONE],
        "repeated_after": 2,
        "refused": [(ONE, 1_000_000), (UNKNOWN, 1)],
        "not_read": None,
        "earlier": CLAIMED,
    }
    return TrialFacts(**whole | changed)


def verdicts(given: TrialFacts) -> dict[str, str]:
    return {one.promise: one.verdict for one in judged(given) if one.verdict != "kept"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (facts(), {}),
        (facts(receipt(ONE, "ambiguous"), receipt(TWO, "delivered"), receipt(TWO, "read")), {}),
        (facts(receipt(ONE)), {REPEATED: "broken"}),
        (facts(receipt(ONE), not_read="the last one was not reported"), {REPEATED: "broken", REFUSED: "not seen"}),
        (facts(not_read="no right"), {REPEATED: "not seen", REFUSED: "not seen"}),
        (facts(receipt(TWO, "failed")), {REPEATED: "broken"}),
        (facts(receipt(TWO, "failed", attempt=2)), {}),
        (facts(receipt(TWO, id_="q")), {REPEATED: "broken", REPORTS: "broken"}),
        (facts(receipt(ONE, "ambiguous", attempt=1_000_000)), {REFUSED: "broken"}),
        (facts(receipt(UNKNOWN, "failed")), {REFUSED: "broken"}),
        (facts(receipt(TWO, "failed", reported=True)), {}),
        (facts(receipt(LAST, "delivered", attempt=None)), {}),
        (facts(receipt(LAST, "ambiguous", attempt=None)), {NAMES: "broken"}),
        (facts(SeenReceipt(ONE, None, "JSON is malformed")), {NAMES: "broken"}),
        (facts(receipt(LAST, id_=None)), {PROVIDER_ID: "broken"}),
        (facts(receipt(CLAIMED)), {EARLIER: "broken"}),
        (facts(earlier=None, not_earlier="no right"), {EARLIER: "not seen"}),
        (facts(earlier=UUID(int=9)), {EARLIER: "not seen"}),
        (facts(attempts=[SeenAttempt(ONE, 1, None), SeenAttempt(TWO, 1, NOW)]), {CLAIMS: "broken", ORDER: "not seen"}),
        (facts(sends=[TWO, ONE]), {ORDER: "broken"}),
        (
            facts(attempts=[*facts().attempts, SeenAttempt(TWO, 2, NOW)]),
            {REPORTS: "broken"},
        ),
        (
            TrialFacts(),
            dict.fromkeys((CLAIMS, REPORTS, NAMES, PROVIDER_ID, ORDER, REPEATED, REFUSED, EARLIER), "not seen"),
        ),
    ],
)
def test_a_promise_is_judged_by_what_was_seen(given: TrialFacts, expected: dict[str, str]) -> None:
    assert verdicts(given) == expected


def test_many_faults_are_told_in_short() -> None:
    many = [receipt(UUID(int=100 + number), attempt=None) for number in range(10)]
    [names] = [one for one in judged(facts(*many)) if one.promise == NAMES]
    assert names.detail.endswith("does not name the attempt; and 7 more")
