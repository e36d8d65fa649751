"""What is wrong with a row, found before anything is given: by the same rules as the worker has."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from schemas.actors import Identity
from schemas.changes import CUSTOM
from workers.cli.bulk.rows import Row, Sheet, Step, Wrong
from workers.cli.giving import Asked, Giver, Unfit, asked
from workers.commands.targets import NO_ADDRESS, understand
from workers.rules import custom_fields, details, tags
from workers.rules.custom_fields import FieldDefinition, FieldKey
from workers.rules.last_write_wins import LastWrite
from workers.rules.results import Refused
from workers.store.contact_lists import Row as Stored
from workers.store.workspaces import Workspace

_FIELD: Final = re.compile(r"`(?:set\.|fields\.|identity\.)?(?P<name>[^`]+)`: (?P<what>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Checker:
    """Makes the commands of rows, and checks what can be known before: `definitions` are the custom fields."""

    giver: Giver
    sheet: Sheet
    tenant: Workspace
    definitions: Mapping[FieldKey, FieldDefinition]
    issued_at: datetime

    def commands(self, row: Row) -> list[Asked]:
        """The commands of a row.

        Raises:
            Wrong: Sluice would refuse them, or cannot read the row.
        """
        steps = self.sheet.steps(row)
        refused = self._refusal(steps[0])
        if refused is not None:
            raise _wrong(refused.detail)
        return [self._asked(step, row.line) for step in steps]

    def _asked(self, step: Step, line: int) -> Asked:
        try:
            return asked(self.giver, step.command, step.id, self.issued_at, step.fields, f"line {line}")
        except Unfit as error:
            raise _wrong(str(error)) from None

    def _refusal(self, step: Step) -> Refused | None:
        workspace_id = self.giver.workspace_id
        if step.command == "create_profile":
            fits = [
                custom_fields.fit(self.definitions, (workspace_id, "profile", name), value, f"fields.{CUSTOM}{name}")
                for name, value in step.fields.get("fields", {}).items()
            ]
            return next((fit for fit in fits if isinstance(fit, Refused)), None)
        found: list[Any] = [self._identity(step.fields["identity"])]
        region = self.tenant.policies.default_region
        try:
            found.append(details.fitted(workspace_id, step.fields.get("set", {}), self.definitions, region))
        except KeyError:
            return None  # the structs say which name is wrong
        found += [tags.named(tag) for tag in step.fields.get("tags", ())]
        return next((one for one in found if isinstance(one, Refused)), None)

    def _identity(self, given: Mapping[str, str]) -> Refused | None:
        try:
            understood = understand(msgspec.convert(given, Identity), self.tenant)
        except msgspec.ValidationError:
            return None  # the structs say what is wrong
        if isinstance(understood, Refused):
            return understood
        return None if understood.understood else NO_ADDRESS


def definitions_of(
    workspace_id: str, scope: str, rows: Sequence[Stored]
) -> tuple[dict[FieldKey, FieldDefinition], Mapping[str, tuple[str, Sequence[str]]]]:
    """Custom fields as the rules know them, and the type and options of each by its name."""
    known: dict[FieldKey, FieldDefinition] = {}
    types: dict[str, tuple[str, Sequence[str]]] = {}
    for row in rows:
        options = tuple(row["options"] or ())
        known[workspace_id, scope, row["name"]] = FieldDefinition(row["type"], LastWrite(options))
        types[row["name"]] = row["type"], options
    return known, types


def _wrong(detail: str) -> Wrong:
    named = _FIELD.fullmatch(detail)
    return Wrong(named["name"], named["what"]) if named else Wrong("", detail)
