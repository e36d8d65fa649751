"""Senders that are no ordinary people: short codes, sender ids, extensions, aliases, channels nobody configured."""

from dataclasses import replace

from tools.day.cast import WORKSPACES, Channel, Person, on
from tools.day.stage import CONFIGURED, END, KNOWN, Stage
from tools.day.tape import HOUR, MINUTE
from tools.day.voices import VOICES

# Kept as they are, never taken for another number or address.
_SENDERS = (
    ("nordwind", "sms-de", "22112"), ("nordwind", "sms-de", "DHL-Info"), ("nordwind", "sms-de", "PayPal"),
    ("nordwind", "sms-de", "+49 30 901820 ext. 12"), ("nordwind", "sms-de", "1-800-FLOWERS"),
    ("nordwind", "mail-hallo", "undisclosed-recipients:;"), ("nordwind", "mail-hallo", "Jürgen@Müllerei.example"),
    ("nordwind", "wa-main", "whatsapp:+14155238886"), ("nordwind", "wa-main", "+49 12"),
    ("lumen-br", "sms-lumen", "27182"), ("lumen-br", "sms-lumen", "MEUBANCO"),
    ("lumen-br", "wa-lumen", "5215541637145"), ("lumen-br", "wa-lumen", "525541637145"),
    ("lumen-br", "wa-lumen", "551187654321"), ("lumen-br", "wa-lumen", "5511987654321"),
    ("sakura-travel", "sms-sakura", "JR-EAST"), ("masala-care", "sms-care", "VM-HDFCBK"),
)  # fmt: skip


def oddities(stage: Stage) -> None:
    for workspace_id, channel_id, address in _SENDERS:
        workspace = next(workspace for workspace in WORKSPACES if workspace.id == workspace_id)
        voice = VOICES[workspace.languages[0]]
        sender = Person(workspace, workspace.channel(channel_id), address, (address,), voice, None, "odd sender")
        for _ in range(4):
            stage.tape.seen("short code, sender id or alias")
            text = f"Code: {stage.dice.digits(6)}"
            at = stage.moment(CONFIGURED + MINUTE, END - HOUR)
            stage.letters.post(sender, at, {"type": "text", "text": text})
    _same_person_elsewhere(stage)
    _unconfigured(stage)


def _same_person_elsewhere(stage: Stage) -> None:
    """One number on two accounts of one kind is one contact."""
    service = WORKSPACES[0].channel("wa-service")
    main = stage.cast.take("nordwind", "two accounts", 12, KNOWN, on("whatsapp"))
    for person in main:
        stage.tape.seen("one number on two accounts")
        other = replace(person, channel=service, forms=(person.address, person.address[1:]))
        stage.letters.post(other, stage.moment(KNOWN, END - HOUR), stage.pen.content(other))


def _unconfigured(stage: Stage) -> None:
    """A channel exists from its first record on, and so does a workspace."""
    channel = Channel("ig-unangemeldet", "instagram", "", 0)
    for workspace in (WORKSPACES[0], replace(WORKSPACES[0], id="nobody-configured-me")):
        person = stage.cast.invent(workspace, channel)
        person.role = "odd sender"
        for _ in range(5):
            stage.tape.seen("channel that nobody configured")
            stage.letters.post(person, stage.moment(KNOWN, END - HOUR), stage.pen.content(person))
