"""What providers answer: receipts in order and out of it, failures, and answers that nobody asked for."""

from dataclasses import replace

from tools.day.stage import KNOWN, RELEASED, Sent, Stage
from tools.day.tape import HOUR, MINUTE, SECOND, Json

_PERMANENT: Json = {"error": {"code": "131026", "message": "Message undeliverable", "permanent": True}}
_PASSING: Json = {"error": {"code": 500, "message": "temporarily unavailable", "permanent": False}}


def deliver(stage: Stage, sent: Sent, start: int) -> None:
    """The receipts of a send that the provider was given at `start` (milliseconds of the day)."""
    lot = stage.dice.below(1000)
    taken = start + stage.dice.between(200, 2500)
    if lot < 40:
        _fail(stage, sent, taken)
    elif lot < 50 and start == sent.arrival:
        _early(stage, sent, taken)
    elif lot < 60:
        _contradictory(stage, sent, taken)
    else:
        _deliver(stage, sent, taken)


def ambiguous(stage: Stage, sents: list[Sent]) -> None:
    """Nobody knows whether the provider took them: some a later receipt settles, the rest a person, some nobody."""
    for number, sent in enumerate(sents):
        at = sent.arrival + stage.dice.between(2 * SECOND, 20 * SECOND)
        stage.receipt(at + 300, sent, "ambiguous", at)
        if number % 4 == 0:
            stage.receipt(at + 10 * MINUTE, sent, "delivered", at + 5 * SECOND)
        elif number % 4 < 3:
            outcome = "sent" if number % 4 == 1 else "failed"
            settled = stage.moment(RELEASED + MINUTE, RELEASED + HOUR)
            owner = {"id": "olga.owner", "role": "owner", "module": "inbox"}
            stage.command(
                settled,
                sent.person.workspace.id,
                sent.send_id,
                "settle_send",
                owner,
                {"send_id": sent.send_id, "as": outcome},
            )


def stopped(stage: Stage, sents: list[Sent], start: int) -> None:
    """The contact blocked us: the provider says so in the receipt."""
    for sent in sents:
        at = start + stage.dice.below(20 * MINUTE)
        stage.tape.seen("contact stopped us")
        stage.receipt(at + 400, sent, "failed", at, _PERMANENT | {"contact_stopped": True})


def strays(stage: Stage, model: list[Sent]) -> None:
    """Receipts for sends that nobody ever asked for."""
    for number, sent in enumerate(model):
        at = stage.moment(KNOWN, RELEASED)
        stray = replace(sent, send_id=stage.dice.uuid(), provider_id=f"unknown-{number}")
        stage.tape.seen("receipt for an unknown send")
        if number % 2:
            stage.receipt(at + 300, stray, "delivered", at)
        else:
            stage.receipt_by_provider(at + 300, stray, "read", at)


def _deliver(stage: Stage, sent: Sent, taken: int) -> None:
    dice = stage.dice
    steps = [("sent", taken)]
    if dice.chance(0.92):
        steps.append(("delivered", taken + dice.between(SECOND, 30 * SECOND)))
        if dice.chance(0.55):
            steps.append(("read", steps[-1][1] + dice.between(4 * SECOND, 50 * MINUTE)))
    arrivals = [at + dice.between(50, 900) for _, at in steps]
    if len(steps) > 1 and dice.chance(0.1):
        stage.tape.seen("receipts in reverse order")
        arrivals.reverse()
    for (status, at), arrival in zip(steps, arrivals, strict=True):
        if status != "sent" and dice.chance(0.3):
            stage.receipt_by_provider(arrival, sent, status, at)
        else:
            stage.receipt(arrival, sent, status, at)
        if dice.chance(0.01):
            stage.tape.seen("repeated receipt")
            stage.receipt(arrival + 2 * SECOND, sent, status, at)


def _fail(stage: Stage, sent: Sent, taken: int) -> None:
    stage.receipt(taken + 100, sent, "failed", taken, _PERMANENT)


def _early(stage: Stage, sent: Sent, taken: int) -> None:
    # A receipt that overtakes its request waits for it.
    stage.tape.seen("receipt that overtakes its request")
    stage.receipt(sent.arrival - 40, sent, "sent", sent.arrival - 10)
    stage.receipt(taken + SECOND, sent, "delivered", taken)


def _contradictory(stage: Stage, sent: Sent, taken: int) -> None:
    stage.tape.seen("failed and delivered of one attempt")
    first, second = ("failed", "delivered") if stage.dice.chance(0.5) else ("delivered", "failed")
    for moment, status in ((taken, first), (taken + 5, second)):
        stage.receipt(moment + 100, sent, status, moment, _PASSING if status == "failed" else None)
