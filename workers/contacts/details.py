"""Writes fields and tags into contacts: loads what the commands are about, decides in their order, saves it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.contact_commands import AddTag, CreateContact, RemoveTag
from workers.commands.command_record import CommandRecord
from workers.commands.targets import Targets
from workers.contacts.fitting import Fitted, Writing
from workers.process.tasks import paced
from workers.rules import details, tags
from workers.rules.contact import ContactKey
from workers.rules.details import Details
from workers.rules.last_write_wins import LastWrite
from workers.rules.results import Done, Refused, Result, nobody
from workers.store import contacts
from workers.store import details as stored_details
from workers.store import tags as stored_tags
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.tags import TagKey


@dataclass(slots=True)
class _Book:
    """What is loaded of the contacts, and after deciding what to save. `changed`: those that show something else."""

    details: dict[ContactKey, Details] = field(default_factory=dict)
    tags: dict[TagKey, LastWrite[bool]] = field(default_factory=dict)
    numbers: Counter[ContactKey] = field(default_factory=Counter)
    changed: set[ContactKey] = field(default_factory=set)

    def write(self, contact: ContactKey, a: CommandRecord[Any], writing: Writing) -> Result:
        if writing.values:
            before = self.details[contact]
            result, self.details[contact] = details.write(before, writing.values, a.stamp)
            if not details.same_values(before, self.details[contact]):
                self.changed.add(contact)
            if isinstance(result, Refused) or not writing.tags:
                return result
        results = [self._put(contact, a, tag) for tag in writing.tags]
        return results[0] if results else Done()

    def _put(self, contact: ContactKey, a: CommandRecord[Any], tag: str) -> Result:
        key = (*contact, tag)
        before = self.tags.get(key, tags.ABSENT)
        on = not isinstance(a.command, RemoveTag)
        result, after = tags.put(before, tag, a.stamp, on=on, has=self.numbers[contact])
        if after != before:
            self.tags[key] = after
        if after.value != before.value:
            self.numbers[contact] += 1 if after.value else -1
            self.changed.add(contact)
        return result


async def carry_out(
    tx: Connection, asked: Sequence[CommandRecord[Any]], targets: Targets, fitted: Fitted
) -> dict[CommandKey, Result]:
    """The results of the commands, whose contacts are locked for update."""
    results: dict[CommandKey, Result] = {}
    aimed: list[tuple[ContactKey, CommandRecord[Any]]] = []
    for a in asked:
        contact = targets.of(a)
        if contact is None:
            results[a.key] = nobody(a.command)
        elif isinstance(a.command, CreateContact) and a.key not in targets.made:
            results[a.key] = Done({"contact_id": contact[1], "created": False})
        else:
            aimed.append((contact, a))
    if not aimed:
        return results
    book = await _load(tx, aimed, fitted)
    known = dict(book.tags)
    async for contact, a in paced(aimed):
        results[a.key] = book.write(contact, a, fitted.writings[a.key])
        if isinstance(a.command, CreateContact):
            results[a.key] = Done({"contact_id": contact[1], "created": True})
    await _save(tx, book, {key: tag for key, tag in book.tags.items() if known.get(key) != tag}, fitted)
    return results


async def _load(tx: Connection, aimed: Sequence[tuple[ContactKey, CommandRecord[Any]]], fitted: Fitted) -> _Book:
    writings = [(contact, a, fitted.writings[a.key]) for contact, a in aimed]
    tagged = {(*contact, tag) for contact, _, writing in writings for tag in writing.tags}
    adding = {contact for contact, a, _ in writings if isinstance(a.command, AddTag)}
    return _Book(
        details=await stored_details.load(tx, {contact for contact, _, writing in writings if writing.values}),
        tags=await stored_tags.load(tx, tagged),
        numbers=await stored_tags.count(tx, adding),
    )


async def _save(tx: Connection, book: _Book, written: dict[TagKey, LastWrite[bool]], fitted: Fitted) -> None:
    await stored_details.save(tx, book.details, book.changed)
    present = {(workspace_id, tag) for (workspace_id, _, tag), state in written.items() if state.value}
    await stored_tags.add_names(tx, fitted.new_tags & present)
    await stored_tags.save(tx, written)
    await contacts.raise_revisions(tx, book.changed - book.details.keys())
    await contacts.mark_unpublished(tx, book.changed)
