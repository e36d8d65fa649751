"""Customers: profiles are made in the night, contacts are attached to them before the sends begin."""

from dataclasses import dataclass

from tools.day.cast import Person, on
from tools.day.settings import LATE_COMPANY, PLAIN_STATUS, PROTECTED_STATUS, protected_company
from tools.day.stage import AGENT, API, ATTACHED, CONFIGURED, KNOWN, MANAGER, Stage
from tools.day.tape import HOUR, MINUTE, SECOND, Json

_REACHABLE = on("whatsapp", "sms", "email")


@dataclass(frozen=True, slots=True)
class Circle:
    """People who share a story: `count` contacts, two to a profile, with this status and these companies."""

    workspace_id: str
    role: str
    count: int
    status: str | None = None
    companies: tuple[str, ...] = ()


CIRCLES = (
    Circle("nordwind", "vip", 50, PROTECTED_STATUS),
    Circle("nordwind", "company", 40, PLAIN_STATUS, (protected_company("nordwind"), "zweite-wahl")),
    Circle("nordwind", "both", 12, PROTECTED_STATUS, (protected_company("nordwind"),)),
    Circle("nordwind", "late company", 6, PROTECTED_STATUS, (LATE_COMPANY,)),
    Circle("nordwind", "confirmed inline", 12, PROTECTED_STATUS),
    Circle("nordwind", "held step", 6, PROTECTED_STATUS),
    Circle("nordwind", "plain", 40, PLAIN_STATUS, ("zweite-wahl",)),
    Circle("lumen-br", "company", 20, None, (protected_company("lumen-br"),)),
    Circle("lumen-br", "plain", 20, PLAIN_STATUS),
    Circle("sakura-travel", "vip", 36, PROTECTED_STATUS),
    Circle("sakura-travel", "plain", 20),
    Circle("masala-care", "vip", 24, PROTECTED_STATUS),
    Circle("masala-care", "bulk", 6, None, (protected_company("masala-care"),)),
    Circle("masala-care", "confirmed inline", 8, PROTECTED_STATUS),
    Circle("masala-care", "plain", 15, PLAIN_STATUS),
)

# One profile, however its name is typed.
_SPELLINGS = ("Straßenbau Müller", " STRASSENBAU MÜLLER ", "straßenbau mu\u0308ller")


def profiles(stage: Stage) -> dict[tuple[str, str], list[Person]]:
    """Everybody who has a profile, by workspace and role."""
    circles = {
        (circle.workspace_id, circle.role): _circle(stage, index, circle) for index, circle in enumerate(CIRCLES)
    }
    _attached_by_name(stage)
    return circles


def _circle(stage: Stage, index: int, circle: Circle) -> list[Person]:
    fit = _REACHABLE if circle.workspace_id != "sakura-travel" else on("line", "email", "whatsapp")
    people = stage.cast.take(circle.workspace_id, circle.role, circle.count, KNOWN, fit)
    for number in range(0, len(people), 2):
        _profile(stage, circle, f"kd-{index + 1}{number:03}", people[number : number + 2])
    return people


def _profile(stage: Stage, circle: Circle, profile_id: str, people: list[Person]) -> None:
    workspace_id, at = circle.workspace_id, stage.moment(CONFIGURED + MINUTE, KNOWN - MINUTE)
    name = people[0].name or f"Kunde {profile_id}"
    made: Json = {"profile_id": profile_id, "name": name, "fields": {"Branche": circle.role}}
    stage.command(at, workspace_id, profile_id, "create_profile", API, made)
    if circle.status is not None:
        status = {"profile_id": profile_id, "status": circle.status}
        stage.command(at + SECOND, workspace_id, profile_id, "set_profile_status", AGENT, status)
    if circle.companies:
        companies = {"profile_id": profile_id, "company_ids": list(circle.companies)}
        stage.command(at + 2 * SECOND, workspace_id, profile_id, "set_profile_companies", AGENT, companies)
    for person in people:
        attached = stage.moment(KNOWN + MINUTE, ATTACHED - MINUTE)
        stage.on_person(attached, person, "attach_contact", AGENT, {"profile_id": profile_id})
    if stage.dice.chance(0.3):
        _notes(stage, workspace_id, profile_id)


def _notes(stage: Stage, workspace_id: str, profile_id: str) -> None:
    at, note_id = stage.moment(ATTACHED, ATTACHED + 9 * HOUR), f"note-{profile_id}"
    note = {"profile_id": profile_id, "note_id": note_id, "text": "Ruft nur nachmittags an ☎️"}
    stage.command(at, workspace_id, profile_id, "add_note", AGENT, note)
    if stage.dice.chance(0.4):
        edited = note | {"text": "Ruft nur nachmittags an, дозвониться трудно"}
        stage.command(at + MINUTE, workspace_id, profile_id, "edit_note", AGENT, edited)
    if stage.dice.chance(0.2):
        gone = {"profile_id": profile_id, "note_id": note_id}
        stage.command(at + 2 * MINUTE, workspace_id, profile_id, "delete_note", MANAGER, gone)


def _attached_by_name(stage: Stage) -> None:
    for person in stage.cast.take("nordwind", "named", 12, KNOWN, _REACHABLE):
        at, name = stage.moment(KNOWN + MINUTE, ATTACHED - MINUTE), stage.dice.pick(_SPELLINGS)
        stage.tape.seen("attached by a name in another spelling")
        stage.on_person(at, person, "attach_contact", AGENT, {"profile_name": name})
