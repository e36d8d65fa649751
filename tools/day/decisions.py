"""What people decide about held sends: one by one in the early afternoon, whole groups and second thoughts later."""

from tools.day.campaigns import BLOSSOM, BULK, CHECKUP, SPRING, Campaign
from tools.day.deliveries import deliver
from tools.day.settings import LATE_COMPANY
from tools.day.stage import AGENT, DECIDED, HELD, OWNER, RELEASED, SECOND_AGENT, UNBLOCKED, Sent, Stage
from tools.day.tape import HOUR, MINUTE, SECOND, Json


def decide(stage: Stage, campaigns: dict[str, Campaign]) -> list[Sent]:
    """Confirms, rejects and cancels. Returns the sends that a block cancelled."""
    cancelled = _one_by_one(stage, campaigns[SPRING])
    _second_reason(stage, campaigns[SPRING].sends["late company"])
    _group(stage, campaigns[BLOSSOM], "confirm_send", SECOND_AGENT, DECIDED)
    for sent in campaigns[BLOSSOM].sends["vip"]:
        deliver(stage, sent, UNBLOCKED + stage.dice.below(30 * MINUTE))
    stage.tape.seen("confirmation by the requester where two persons are needed")
    _group(stage, campaigns[CHECKUP], "confirm_send", AGENT, HELD)
    _group(stage, campaigns[CHECKUP], "confirm_send", SECOND_AGENT, DECIDED)
    for sent in campaigns[CHECKUP].sends["vip"]:
        deliver(stage, sent, UNBLOCKED + stage.dice.below(30 * MINUTE))
    _group(stage, campaigns[BULK], "reject_send", AGENT, HELD)
    return cancelled


def confirm(stage: Stage, sent: Sent, at: int) -> Json:
    """One confirmation by somebody who did not ask for the send."""
    return _decide(stage, sent, "confirm_send", at)


def _one_by_one(stage: Stage, campaign: Campaign) -> list[Sent]:
    vip, company, both = (campaign.sends[role] for role in ("vip", "company", "both"))
    confirmed, rejected, cancelled = vip[:25] + company[:10] + both[:6], vip[25:35] + both[6:8], vip[35:40]
    for sent in confirmed:
        stage.tape.seen("hold confirmed")
        confirm(stage, sent, _early(stage))
        deliver(stage, sent, DECIDED + stage.dice.below(20 * MINUTE))
    for sent in rejected:
        stage.tape.seen("hold rejected")
        _decide(stage, sent, "reject_send", _early(stage))
    for sent in cancelled:
        stage.tape.seen("hold cancelled by a block")
        sent.person.role = "blocked with a hold"
        stage.on_person(_early(stage), sent.person, "block_contact", AGENT)
    _second_thoughts(stage, confirmed, rejected, cancelled)
    return cancelled


def _second_thoughts(stage: Stage, confirmed: list[Sent], rejected: list[Sent], cancelled: list[Sent]) -> None:
    for sent in confirmed[:5]:
        stage.tape.seen("second confirmation of a released send")
        confirm(stage, sent, _later(stage))
    for sent in confirmed[5:8]:
        stage.tape.seen("rejection of a released send")
        _decide(stage, sent, "reject_send", _later(stage))
    for sent in rejected[:4] + cancelled:
        stage.tape.seen("confirmation of a hold that is over")
        confirm(stage, sent, _later(stage))
    unknown = {"send_id": stage.dice.uuid()}
    stage.command(_later(stage), "nordwind", unknown["send_id"], "confirm_send", AGENT, unknown)


def _second_reason(stage: Stage, sents: list[Sent]) -> None:
    """Their company is protected between hold and confirmation: the first confirmation does not cover that."""
    stage.command(HELD + MINUTE, "nordwind", LATE_COMPANY, "protect_company", OWNER, {"company_id": LATE_COMPANY})
    for sent in sents:
        stage.tape.seen("second reason after the hold")
        confirm(stage, sent, _later(stage))
    for sent in sents[:4]:
        confirm(stage, sent, stage.moment(UNBLOCKED + MINUTE, RELEASED - MINUTE))
        deliver(stage, sent, RELEASED + stage.dice.below(HOUR))


def _group(stage: Stage, campaign: Campaign, command: str, actor: Json, phase: int) -> None:
    stage.tape.seen("whole group decided")
    at = phase + 20 * MINUTE + stage.dice.below(20 * MINUTE)
    given = stage.command(at, campaign.workspace_id, campaign.group_id, command, actor, {"group_id": campaign.group_id})
    if stage.dice.chance(0.5):
        stage.again(at + 2 * SECOND, given, campaign.group_id)


def _decide(stage: Stage, sent: Sent, command: str, at: int) -> Json:
    fields = {"send_id": sent.send_id}
    return stage.command(at, sent.person.workspace.id, sent.send_id, command, SECOND_AGENT, fields)


def _early(stage: Stage) -> int:
    return stage.moment(HELD + MINUTE, DECIDED - MINUTE)


def _later(stage: Stage) -> int:
    return stage.moment(DECIDED + MINUTE, UNBLOCKED - MINUTE)
