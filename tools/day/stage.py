"""What every scene works with: the tape, the cast, and the way commands, sends, receipts and workflow events look."""

from dataclasses import dataclass, field

from tools.day.addresses import AddressBook
from tools.day.cast import Cast, Person
from tools.day.dice import Dice
from tools.day.letters import Letterbox, Pen
from tools.day.tape import COMMANDS, EVENTS, HOUR, MINUTE, OUTBOUND, RECEIPTS, Json, Tape, stamp

# Barriers, in order; between two of them the topics run side by side.
CONFIGURED = 1 * MINUTE  # settings, channels, fields, statuses and companies are in force
KNOWN = 6 * HOUR  # the contacts and profiles that commands, sends and runs will name exist
ATTACHED = 9 * HOUR  # contacts hang on their profiles, first opt-outs and blocks hold, first runs are under way
HELD = 12 * HOUR  # campaigns and single sends were judged
DECIDED = 14 * HOUR  # single holds were confirmed, rejected or cancelled by a block
UNBLOCKED = 17 * HOUR  # groups were decided, mistaken blocks lifted
RELEASED = 18 * HOUR  # dropped messages were released
END = 24 * HOUR

BARRIERS = (
    (CONFIGURED, "configured"), (KNOWN, "known"), (ATTACHED, "attached"), (HELD, "held"), (DECIDED, "decided"),
    (UNBLOCKED, "unblocked"), (RELEASED, "released"),
)  # fmt: skip

OWNER: Json = {"id": "olga.owner", "role": "owner", "module": "settings"}
MANAGER: Json = {"id": "mert.manager", "role": "manager", "module": "contacts"}
AGENT: Json = {"id": "ana.agent", "role": "agent", "module": "inbox"}
SECOND_AGENT: Json = {"id": "šárka.agent", "role": "agent", "module": "inbox"}
API: Json = {"id": "crm-sync", "role": "system", "module": "api"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A send on the tape. `provider_id` is what its provider will call it."""

    send_id: str
    person: Person
    value: Json
    arrival: int
    provider_id: str


@dataclass(frozen=True, slots=True)
class NamedContact:
    """How a command names a contact: `id` stands for the contact's own, `address` tells whose (see `Tape.record`)."""

    id: str
    address: dict[str, Json]


@dataclass(slots=True)
class Stage:
    tape: Tape
    dice: Dice
    cast: Cast
    letters: Letterbox
    pen: Pen
    sends: int = 0
    repeated_sends: int = 0
    commands: int = 0
    repeated_commands: int = 0
    echoes_of_sends: int = 0
    groups: dict[str, list[Sent]] = field(default_factory=dict)

    def command(
        self,
        arrival: int,
        workspace_id: str,
        key: str,
        command: str,
        actor: Json,
        fields: Json,
        issued_at: int | None = None,
        contacts: dict[str, Json] | None = None,
    ) -> Json:
        """Writes one command; `key` is its target without the workspace. `contacts`: see `Tape.record`."""
        issued = arrival - self.dice.between(20, 1500) if issued_at is None else issued_at
        value = {
            "command_id": self.dice.uuid(),
            "workspace_id": workspace_id,
            "command": command,
            "actor": actor,
            "issued_at": stamp(issued),
            **fields,
        }
        self.commands += 1
        self.tape.seen(f"command {command}")
        self.tape.record(
            arrival, COMMANDS, f"{workspace_id}:{key}", value, headers=self.letters.trace(), contacts=contacts
        )
        return value

    def on_person(
        self,
        arrival: int,
        person: Person,
        command: str,
        actor: Json,
        fields: Json | None = None,
        issued_at: int | None = None,
    ) -> Json:
        """A command whose target is a person's identity."""
        key = f"{person.channel.kind}:{person.address}"
        body = {"identity": person.identity, **(fields or {})}
        return self.command(arrival, person.workspace.id, key, command, actor, body, issued_at)

    def again(self, arrival: int, command: Json, key: str, contacts: dict[str, Json] | None = None) -> None:
        """The same command a second time, as a client repeats it that saw no answer."""
        self.repeated_commands += 1
        self.tape.seen("repeated command")
        self.tape.record(arrival, COMMANDS, f"{command['workspace_id']}:{key}", command, contacts=contacts)

    def named(self, person: Person) -> NamedContact:
        """A person for a command that names contacts by id."""
        id_ = self.dice.uuid()
        address = {"workspace_id": person.workspace.id, "channel": person.channel.kind, "address": person.address}
        return NamedContact(id_, {id_: address})

    def send(
        self,
        arrival: int,
        person: Person,
        content: Json,
        source: str,
        requester: Json,
        fields: Json | None = None,
        address: str | None = None,
    ) -> Sent:
        """Writes one SendRequest to the person's address, or to the way somebody typed it (`address`)."""
        to = person.address if address is None else address
        value = {
            "send_id": self.dice.uuid(),
            "workspace_id": person.workspace.id,
            "channel_id": person.channel.id,
            "channel": person.channel.kind,
            "to": {"address": to},
            "content": content,
            "requested_at": stamp(arrival - self.dice.between(20, 900)),
            "requested_by": {"id": requester["id"], "role": requester["role"]},
            "source": source,
            **(fields or {}),
        }
        sent = Sent(str(value["send_id"]), person, value, arrival, self.letters.new_id(person))
        self.sends += 1
        self.tape.seen(f"send {source}")
        self._write_send(sent, arrival)
        return sent

    def resend(self, sent: Sent, arrival: int) -> None:
        """The requester repeats itself with the same `send_id`."""
        self.repeated_sends += 1
        self.tape.seen("repeated send request")
        self._write_send(sent, arrival)

    def receipt(self, arrival: int, sent: Sent, status: str, at: int, fields: Json | None = None) -> None:
        """A receipt that names both ids."""
        self._write_receipt(arrival, sent, {"send_id": sent.send_id, "provider_message_id": sent.provider_id}, status,
                            at, fields)  # fmt: skip

    def receipt_by_provider(self, arrival: int, sent: Sent, status: str, at: int) -> None:
        """A receipt from a webhook that knows the provider's id only."""
        self.tape.seen("receipt by provider id")
        self._write_receipt(arrival, sent, {"provider_message_id": sent.provider_id}, status, at, None)

    def event(self, arrival: int, workspace_id: str, run_id: str, event: str, at: int, fields: Json) -> None:
        self.tape.seen(f"event {event}")
        value = {"workspace_id": workspace_id, "at": stamp(at), "event": event, "run_id": run_id, **fields}
        self.tape.record(arrival, EVENTS, f"{workspace_id}:{run_id}", value)

    def moment(self, low: int, high: int) -> int:
        """A moment of the day in [low, high)."""
        return low + self.dice.below(high - low)

    def _write_send(self, sent: Sent, arrival: int) -> None:
        value = sent.value
        key = f"{value['workspace_id']}:{value['channel']}:{value['to']['address']}"
        self.tape.record(arrival, OUTBOUND, key, value, headers=self.letters.trace())

    def _write_receipt(self, arrival: int, sent: Sent, ids: Json, status: str, at: int, fields: Json | None) -> None:
        head = {"workspace_id": sent.value["workspace_id"], "channel_id": sent.value["channel_id"]}
        value = {**head, **ids, "status": status, "at": stamp(at), **(fields or {})}
        self.tape.seen(f"receipt {status}")
        key = f"{head['workspace_id']}:{ids.get('send_id', sent.provider_id)}"
        self.tape.record(arrival, RECEIPTS, key, value)


def make_stage(seed: str) -> Stage:
    """An empty stage: nobody invented, nothing written."""
    tape, dice = Tape(), Dice(seed)
    cast = Cast(dice, AddressBook(dice))
    return Stage(tape, dice, cast, Letterbox(tape, dice), Pen(tape, dice))
