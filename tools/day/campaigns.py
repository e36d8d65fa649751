"""Three campaigns that meet protected customers, blocked and opted-out people and bad addresses."""

from dataclasses import dataclass, field

from tools.day.cast import WORKSPACES, Person, on
from tools.day.deliveries import ambiguous, deliver
from tools.day.stage import AGENT, ATTACHED, HELD, KNOWN, MANAGER, Sent, Stage
from tools.day.tape import MINUTE, Json

SPRING, BLOSSOM, CHECKUP, BULK = "frühling-2026", "花見-2026", "checkup-march", "bulk-0007"

_BAD_NUMBERS = ("0800-FLOWERS", "+49 12", "+999 123 456 789", "unbekannt")
_TEXTS: Json = {
    SPRING: {"type": "text", "text": "🌷 Frühlingsfest bei Nordwind: 15 % auf alles. Abmelden mit STOP."},
    BLOSSOM: {"type": "text", "text": "🌸お花見ツアー、受付を開始しました。"},
    CHECKUP: {"type": "text", "text": "नमस्ते! मार्च में निःशुल्क जाँच। Reply STOP to opt out."},
    BULK: {"type": "text", "text": "Your file was updated."},
}
_TEMPLATE: Json = {
    "type": "text",
    "template": {"name": "fruehling_2026", "language": "de", "parameters": ["15 %", "21.03."]},
}


@dataclass(slots=True)
class Campaign:
    """A group's sends by the role of their recipients."""

    workspace_id: str
    group_id: str
    sends: dict[str, list[Sent]] = field(default_factory=dict)


def campaigns(
    stage: Stage, circles: dict[tuple[str, str], list[Person]], blocked: list[Person], opted_out: list[Person]
) -> dict[str, Campaign]:
    reachable = on("whatsapp", "sms", "email")
    spring = _campaign(
        stage,
        "nordwind",
        SPRING,
        {
            "recipient": stage.cast.take("nordwind", "recipient", 150, KNOWN, reachable),
            "imported": _imported(stage, "nordwind", 150),
            "blocked": _in("nordwind", [person for person in blocked if reachable(person)]),
            "opted out": _in("nordwind", opted_out),
            **{role: circles["nordwind", role] for role in ("vip", "company", "both", "late company", "plain")},
        },
    )
    _bad_addresses(stage, spring)
    blossom = _campaign(
        stage,
        "sakura-travel",
        BLOSSOM,
        {
            "recipient": stage.cast.take("sakura-travel", "recipient", 150, KNOWN, on("line", "email", "whatsapp")),
            "blocked": _in("sakura-travel", blocked),
            **{role: circles["sakura-travel", role] for role in ("vip", "plain")},
        },
    )
    checkup = _campaign(
        stage,
        "masala-care",
        CHECKUP,
        {
            "recipient": stage.cast.take("masala-care", "recipient", 90, KNOWN, on("whatsapp", "sms")),
            "opted out": _in("masala-care", opted_out),
            **{role: circles["masala-care", role] for role in ("vip", "plain")},
        },
    )
    bulk = _campaign(stage, "masala-care", BULK, {"bulk": circles["masala-care", "bulk"]})
    return {campaign.group_id: campaign for campaign in (spring, blossom, checkup, bulk)}


def answer(stage: Stage, campaign: Campaign) -> None:
    """Receipts for the recipients that nothing holds back."""
    free = [sent for role in ("recipient", "imported", "plain") for sent in campaign.sends.get(role, [])]
    unclear, clear = free[:6], free[6:]
    ambiguous(stage, unclear)
    for sent in clear:
        deliver(stage, sent, sent.arrival)


def _campaign(stage: Stage, workspace_id: str, group_id: str, recipients: dict[str, list[Person]]) -> Campaign:
    campaign = Campaign(workspace_id, group_id)
    everyone = [(role, person) for role, people in recipients.items() for person in people]
    start = stage.moment(ATTACHED + 10 * MINUTE, HELD - 60 * MINUTE)
    for number, (role, person) in enumerate(stage.dice.shuffled(everyone)):
        at = start + number * 45 + stage.dice.below(40)
        sent = stage.send(
            at, person, _content(group_id, person), "broadcast", MANAGER_OR_AGENT[workspace_id], {"group_id": group_id}
        )
        campaign.sends.setdefault(role, []).append(sent)
        if stage.dice.chance(0.02):
            stage.resend(sent, at + MINUTE)
    return campaign


# In masala-care a second person has to confirm, so it matters who asked.
MANAGER_OR_AGENT = {"nordwind": MANAGER, "sakura-travel": MANAGER, "masala-care": AGENT}


def _content(group_id: str, person: Person) -> Json:
    if group_id == SPRING and person.channel.kind == "whatsapp":
        return _TEMPLATE
    content: Json = dict(_TEXTS[group_id])
    if person.channel.kind == "email":
        content["subject"] = content["text"][:30]
        content["html"] = f"<p>{content['text']}</p>"
    return content


def _imported(stage: Stage, workspace_id: str, count: int) -> list[Person]:
    """People of a bought list who never wrote: their contacts come into being with the send."""
    workspace = next(workspace for workspace in WORKSPACES if workspace.id == workspace_id)
    channels = [channel for channel in workspace.channels if channel.kind in {"whatsapp", "sms", "email"}]
    return [stage.cast.invent(workspace, stage.dice.pick(channels)) for _ in range(count)]


def _bad_addresses(stage: Stage, campaign: Campaign) -> None:
    for person, address in zip(_imported(stage, campaign.workspace_id, len(_BAD_NUMBERS)), _BAD_NUMBERS, strict=True):
        phone = next(channel for channel in person.workspace.channels if channel.kind == "whatsapp")
        person.channel = phone
        stage.tape.seen("send to a bad address")
        stage.send(
            stage.moment(ATTACHED + MINUTE, HELD - MINUTE),
            person,
            _TEMPLATE,
            "broadcast",
            MANAGER,
            {"group_id": campaign.group_id},
            address,
        )


def _in(workspace_id: str, people: list[Person]) -> list[Person]:
    return [person for person in people if person.workspace.id == workspace_id]
