"""InboundMessages as adapters write them: provider ids, content of every type, webhook retries, wrong clocks."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from tools.day.cast import Person
from tools.day.dice import Dice
from tools.day.tape import COMPACT, ESCAPED, INBOUND, MINUTE, SECOND, SPACED, Json, Tape, stamp, stamp_local
from tools.day.tape import stamp_seconds as to_seconds
from tools.day.voices import EMOJI

_SHAPES = {"messenger": ESCAPED, "instagram": ESCAPED, "custom": SPACED}
_FILES = (
    ("image", "image/jpeg", "IMG-20260310-WA{n}.jpg"), ("audio", "audio/ogg; codecs=opus", None),
    ("file", "application/pdf", "Rechnung №{n} – Kopie.pdf"), ("video", "video/mp4", "VID_{n}.mp4"),
    ("file", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "予約 {n}.xlsx"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that is on the tape: enough to repeat it, contradict it or answer it."""

    person: Person
    form: str
    value: Json
    arrival: int

    @property
    def provider_id(self) -> str:
        return str(self.value["provider_message_id"])


class Letterbox:
    """Writes messages onto the tape and counts them by what they are."""

    def __init__(self, tape: Tape, dice: Dice) -> None:
        self._tape = tape
        self._dice = dice
        self._serial = count(1)
        self.identities: set[tuple[str, str, str, str]] = set()
        self.contradicted: set[tuple[str, str, str, str]] = set()
        self.repeats = 0
        self.conflicts = 0

    def post(
        self,
        person: Person,
        arrival: int,
        content: Json,
        sent_at: int | None = None,
        *,
        kind: str = "message",
        provider_id: str | None = None,
        received_at: int | None = None,
        left_out: str | None = None,
    ) -> Posted:
        """One new message. `sent_at` defaults to moments before the arrival; the field `left_out` is not written."""
        received = arrival - self._dice.between(4, 900) if received_at is None else received_at
        sent = received - self._dice.between(300, 4000) if sent_at is None else sent_at
        form = person.forms[0] if self._dice.chance(0.7) else self._dice.pick(person.forms)
        value: Json = {
            "workspace_id": person.workspace.id,
            "channel_id": person.channel.id,
            "channel": person.channel.kind,
            "provider_message_id": provider_id or self.new_id(person),
            "sender": self._sender(person, form),
            "sent_at": self._sent(person, sent),
            "received_at": stamp(received),
            "kind": kind,
            "content": content,
        }
        if left_out is not None:
            del value[left_out]
        return self._publish(Posted(person, form, self._decorated(value), arrival))

    def repeat(self, posted: Posted, arrival: int) -> None:
        """The provider calls the webhook again; some adapters take the time anew."""
        value = dict(posted.value)
        if self._dice.chance(0.6):
            value["received_at"] = stamp(arrival - self._dice.between(4, 900))
            self._tape.seen("webhook retry received later")
        self.repeats += 1
        self._tape.seen("webhook retry")
        self._write(posted, arrival, value)

    def contradict(self, posted: Posted, arrival: int, text: str) -> None:
        """The same provider id with another text."""
        self.conflicts += 1
        self.contradicted.add(_identity(posted.value))
        self._tape.seen("conflicting repeat")
        self._write(posted, arrival, posted.value | {"content": {"type": "text", "text": text}})

    def new_id(self, person: Person) -> str:
        """An id as this kind of provider makes them."""
        person.written += 1
        dice, number, kind = self._dice, next(self._serial), person.channel.kind
        makers: dict[str, Callable[[], str]] = {
            "whatsapp": lambda: f"wamid.HBgM{_base64(person.address[1:])}FQIAEhgU{dice.token(6)}A=",
            "sms": lambda: f"SM{number:020x}{dice.hexadecimal(12)}",
            "email": lambda: f"<CAF{number:05}{dice.token(6)}@mail.example.com>",
            "messenger": lambda: f"m_{number:09}{dice.token(6)}",
            "instagram": lambda: f"aWdfZAG1faXRlbToxOkl{number:05}{dice.token(6)}ZD",
            "telegram": lambda: f"{person.address}:{person.written}",
            "line": lambda: f"5{number:09}{dice.digits(8)}",
            "viber": lambda: f"5{number:09}{dice.digits(9)}",
            "webchat": lambda: f"wc-{number:06}-{dice.hexadecimal(8)}",
            "custom": lambda: f"evt/{number}",
        }
        return makers[kind]()

    def _sender(self, person: Person, form: str) -> Json:
        sender: Json = {"address": form}
        if person.name is not None and person.channel.kind != "sms":
            sender["name"] = person.name
        if person.channel.kind in {"telegram", "webchat", "line"}:
            sender["language"] = person.voice.code
        if person.channel.kind in {"messenger", "instagram"}:
            sender["avatar_url"] = f"https://cdn.example/{person.address[-4:]}.jpg"
        return sender

    def _sent(self, person: Person, sent: int) -> str:
        match person.channel.kind:
            case "whatsapp" | "telegram":
                return to_seconds(sent)
            case "email":
                return stamp_local(sent, person.workspace.utc_offset)
            case _:
                return stamp(sent)

    def _decorated(self, value: Json) -> Json:
        if value["channel"] == "whatsapp" and self._dice.chance(0.2):
            value["extra"] = {"phone_number_id": "1065", "pricing": {"category": "service"}}
        if self._dice.chance(0.01):
            self._tape.seen("field of a newer producer")
            value["adapter_build"] = "2026.3.1"
        return value

    def _publish(self, posted: Posted) -> Posted:
        identity = _identity(posted.value)
        if identity in self.identities:
            raise ValueError(f"an id was made twice: {identity}")
        self.identities.add(identity)
        person = posted.person
        person.last_id = posted.provider_id
        person.known_at = posted.arrival if person.known_at is None else min(person.known_at, posted.arrival)
        self._tape.seen(f"{person.channel.kind} {posted.value['kind']}")
        self._write(posted, posted.arrival, posted.value)
        return posted

    def _write(self, posted: Posted, arrival: int, value: Json) -> None:
        person = posted.person
        key = None if person.keyless else f"{person.workspace.id}:{person.channel.kind}:{posted.form}"
        shape = _SHAPES.get(person.channel.kind, COMPACT)
        self._tape.record(arrival, INBOUND, key, value, shape, self.trace())

    def trace(self) -> dict[str, str] | None:
        """Headers of the few producers that trace."""
        if not self._dice.chance(0.01):
            return None
        self._tape.seen("traceparent")
        return {"traceparent": f"00-{self._dice.hexadecimal(32)}-{self._dice.hexadecimal(16)}-01"}


def _identity(value: Json) -> tuple[str, str, str, str]:
    direction = "out" if value["kind"] == "echo" else "in"
    return value["workspace_id"], value["channel_id"], direction, value["provider_message_id"]


class Pen:
    """Invents content."""

    def __init__(self, tape: Tape, dice: Dice) -> None:
        self._tape = tape
        self._dice = dice

    def content(self, person: Person) -> Json:
        """Mostly text; files, stickers, places and formatted mail where the kind of channel has them."""
        if person.channel.kind == "email":
            return self._mail(person)
        lot = self._dice.below(100)
        if lot < 84:
            return self._answer(person, {"type": "text", "text": self.text(person)})
        if lot < 95:
            return self._files(person)
        if lot < 97:
            self._tape.seen("location")
            return {"type": "location", "text": f"{self._dice.between(-60, 60)}.{self._dice.digits(4)},13.4050"}
        return self._sticker(person)

    def text(self, person: Person) -> str:
        line = self._dice.pick(person.voice.lines).replace("{n}", str(self._dice.between(1000, 9999)))
        if self._dice.chance(0.1):
            return f"{line} {self._dice.pick(EMOJI)}"
        return line

    def _answer(self, person: Person, content: Json) -> Json:
        if person.last_id is not None and self._dice.chance(0.06):
            self._tape.seen("reply to an earlier message")
            content["reply_to"] = person.last_id
        return content

    def _files(self, person: Person) -> Json:
        kind, mime, name = self._dice.pick(_FILES)
        self._tape.seen(f"attachment {kind}")
        number = self._dice.digits(4)
        attachment: Json = {
            "kind": kind,
            "url": f"https://media.example/{person.channel.kind}/{self._dice.token(6)}",
            "mime_type": mime,
            "size": self._dice.between(900, 4_000_000),
        }
        if name is not None:
            attachment["name"] = name.replace("{n}", number)
        content: Json = {"type": kind, "attachments": [attachment]}
        if self._dice.chance(0.3):
            content["text"] = self.text(person)
        return content

    def _sticker(self, person: Person) -> Json:
        if person.channel.kind == "telegram":
            self._tape.seen("sticker as other")
            return {"type": "other", "text": self._dice.pick(EMOJI)}
        self._tape.seen("unknown content type")
        return {"type": self._dice.pick(("sticker", "poll", "order")), "text": self._dice.pick(EMOJI)}

    def _mail(self, person: Person) -> Json:
        text = self.text(person)
        content: Json = {"type": "text", "subject": f"{self._dice.pick(('Re: ', 'AW: ', 'Fwd: ', ''))}{text[:40]}"}
        content["text"] = f"{text}\r\n\r\n-- \r\n{person.name or person.address}"
        if self._dice.chance(0.5):
            self._tape.seen("html mail")
            content["html"] = f'<html><body><p dir="auto">{text}</p><br>&mdash; {person.name or ""}</body></html>'
        return content


def _base64(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def soon(dice: Dice) -> int:
    """How long after a webhook its retry comes, in milliseconds."""
    return dice.pick((SECOND, 5 * SECOND, 30 * SECOND, 10 * MINUTE, 90 * MINUTE)) + dice.below(900)
