"""Who takes part: four workspaces, their channels and the people who write to them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tools.day.addresses import AddressBook, country_of, email_forms, sms_forms, whatsapp_forms
from tools.day.dice import Dice
from tools.day.tape import Json
from tools.day.voices import VOICES, Voice

# On the other kinds an address means something only together with its channel.
_SHARED = ("whatsapp", "sms", "email", "telegram")


@dataclass(frozen=True, slots=True)
class Channel:
    id: str
    kind: str
    name: str
    weight: int


@dataclass(frozen=True, slots=True)
class Workspace:
    """`utc_offset` in minutes on the recorded day; `people` write of their own accord, spammers come on top."""

    id: str
    region: str
    utc_offset: int
    people: int
    languages: tuple[str, ...]
    settings: Json
    channels: tuple[Channel, ...]
    test_channel: Channel | None = None

    def channel(self, channel_id: str) -> Channel:
        return next(channel for channel in self.channels if channel.id == channel_id)


# In a month that is closed every fact is an adjustment; ten years of grace keep the figures plain.
_OPEN = {"close_grace_hours": 87_600}

WORKSPACES = (
    Workspace(
        "nordwind", "DE", 60, 960, ("de", "de", "de", "en", "fr", "pl", "tr", "el", "ru"),
        _OPEN | {"time_zone": "Europe/Berlin", "anchor_day": 1, "mac_block_effect": "next_cycle", "mac_limit": 1000},
        (
            Channel("wa-main", "whatsapp", "Nordwind Bestellungen", 8), Channel("wa-service", "whatsapp", "Service", 1),
            Channel("sms-de", "sms", "Kurznachrichten", 3), Channel("mail-hallo", "email", "hallo@nordwind.example", 4),
            Channel("fb-nordwind", "messenger", "Nordwind auf Facebook", 3),
            Channel("ig-nordwind", "instagram", "nordwind.laden", 2),
            Channel("web-laden", "webchat", "Ladenfenster", 2),
        ),
        Channel("web-probe", "webchat", "Testfenster", 0),
    ),
    Workspace(
        "lumen-br", "BR", -180, 580, ("pt", "pt", "pt", "pt", "es", "en"),
        _OPEN | {"time_zone": "America/Sao_Paulo", "anchor_day": 10, "mac_block_effect": "immediate",
                 "quarantine_days": 0},
        (
            Channel("wa-lumen", "whatsapp", "Lúmen Loja", 9), Channel("sms-lumen", "sms", "Avisos", 2),
            Channel("ig-lumen", "instagram", "lumen.loja", 4), Channel("tg-lumen", "telegram", "LumenBot", 3),
            Channel("mail-lumen", "email", "oi@lumen.example", 2),
        ),
    ),
    Workspace(
        "sakura-travel", "JP", 540, 620, ("ja", "ja", "ja", "ko", "zh", "th", "en"),
        _OPEN | {"time_zone": "Asia/Tokyo", "anchor_day": 11, "mac_block_effect": "next_cycle", "mac_limit": 400},
        (
            Channel("line-sakura", "line", "さくら旅行", 8), Channel("wa-sakura", "whatsapp", "Sakura Travel", 4),
            Channel("mail-sakura", "email", "予約係", 3), Channel("sms-sakura", "sms", "お知らせ", 2),
            Channel("web-sakura", "webchat", "サイト", 2), Channel("viber-sakura", "viber", "Sakura on Viber", 1),
        ),
    ),
    Workspace(
        "masala-care", "IN", 330, 520, ("hi", "hi", "hi", "ar", "he", "en"),
        {"time_zone": "Asia/Kolkata", "anchor_day": 31, "mac_block_effect": "immediate", "count_reactions": False,
         "count_broadcasts": False, "two_person_confirm": True, "hold_ttl_hours": 96},
        (
            Channel("wa-care", "whatsapp", "मसाला केयर", 8), Channel("sms-care", "sms", "Appointments", 3),
            Channel("tg-care", "telegram", "CareBot", 3), Channel("viber-care", "viber", "Care on Viber", 2),
            Channel("app-care", "custom", "Patient app", 3),
        ),
    ),
)  # fmt: skip


@dataclass(eq=False, slots=True)
class Person:
    """One identity and how its owner writes. `address` is its plain form, `forms` are what providers deliver.

    `known_at` is the arrival of the first message; `role` keeps the scenes from using one person for two stories.
    """

    workspace: Workspace
    channel: Channel
    address: str
    forms: tuple[str, ...]
    voice: Voice
    name: str | None
    role: str = ""
    known_at: int | None = None
    written: int = 0
    last_id: str | None = None
    keyless: bool = False

    @property
    def identity(self) -> Json:
        """The target of a command."""
        target: Json = {"channel": self.channel.kind, "address": self.address}
        return target if self.channel.kind in _SHARED else target | {"channel_id": self.channel.id}

    @property
    def target_key(self) -> str:
        return f"{self.workspace.id}:{self.channel.kind}:{self.address}"


@dataclass(slots=True)
class Cast:
    """Everybody of the day by workspace, in the order in which they were invented."""

    dice: Dice
    book: AddressBook
    people: dict[str, list[Person]] = field(default_factory=dict)

    def invent(self, workspace: Workspace, channel: Channel) -> Person:
        """Somebody new who writes on `channel`; not yet one of the people of the day."""
        voice = VOICES[self.dice.pick(workspace.languages)]
        given, family = self.dice.pick(voice.given), self.dice.pick(voice.family)
        address, forms = self._address(workspace, channel, voice, given, family)
        return Person(workspace, channel, address, forms, voice, self._name(voice, given, family))

    def add(self, person: Person) -> Person:
        self.people.setdefault(person.workspace.id, []).append(person)
        return person

    def populate(self, workspace: Workspace) -> None:
        urn = [channel for channel in workspace.channels for _ in range(channel.weight)]
        for _ in range(workspace.people):
            self.add(self.invent(workspace, self.dice.pick(urn)))

    def take(
        self, workspace_id: str, role: str, count: int, known_by: int, fit: Callable[[Person], bool] = lambda _: True
    ) -> list[Person]:
        """`count` people without a role who had written before `known_by`; they get `role`.

        Raises:
            LookupError: there are not that many left.
        """
        free = (
            person
            for person in self.people[workspace_id]
            if not person.role and person.known_at is not None and person.known_at < known_by and fit(person)
        )
        taken = [person for person, _ in zip(free, range(count), strict=False)]
        if len(taken) < count:
            raise LookupError(f"{workspace_id}: {len(taken)} of {count} people for {role}")
        for person in taken:
            person.role = role
        return taken

    def _address(
        self, workspace: Workspace, channel: Channel, voice: Voice, given: str, family: str
    ) -> tuple[str, tuple[str, ...]]:
        match channel.kind:
            case "whatsapp":
                phone = self.book.phone(country_of(voice, workspace.region, self.dice))
                return phone.e164, whatsapp_forms(phone, self.dice)
            case "sms":
                phone = self.book.phone(country_of(voice, workspace.region, self.dice))
                return phone.e164, sms_forms(phone, workspace.region, self.dice)
            case "email":
                address = self.book.email(given, family)
                return address, email_forms(address, self.dice)
            case kind:
                address = self.book.opaque(kind)
                return address, (address,)

    def _name(self, voice: Voice, given: str, family: str) -> str | None:
        if self.dice.chance(0.08):
            return None
        if self.dice.chance(0.08):
            return f"{given} 🌻"
        if voice.code in {"ja", "ko", "zh"}:
            return family + given
        return f"{given} {family}"


def on(*kinds: str) -> Callable[[Person], bool]:
    """People who write on one of these kinds of channel."""
    return lambda person: person.channel.kind in kinds
