"""Permissions, written a second time from the "who" column and compared for every possible actor."""

from itertools import combinations, product
from typing import get_args

import pytest

from schemas.actors import Actor, Module, Restriction
from schemas.decoding import COMMAND_NAMES
from schemas.fields import Role
from workers.rules.permissions import TABLE, forbids

MODULES: tuple[Module, ...] = get_args(Module)
RESTRICTIONS: tuple[Restriction, ...] = get_args(Restriction)
ROLES: tuple[Role, ...] = get_args(Role)

BLOCKING = {"block_contact", "unblock_contact"}
FROM_CONTACTS_OR_API = {"remove_channel", "delete_contacts"}
DEFINING = {"define_field", "define_status", "define_company", "configure_channel", "configure_workspace"}
NOT_FOR_AGENTS = {
    "release_dropped",
    "merge_contacts",
    "undo_merge",
    "delete_profile",
    "protect_company",
    "unprotect_company",
    "settle_send",
    "export_contacts",
    *DEFINING,
    *FROM_CONTACTS_OR_API,
}


def expected(command: str, actor: Actor) -> bool:
    if actor.role == "system":
        return True
    if actor.role == "agent" and (command in NOT_FOR_AGENTS or (command in BLOCKING and actor.module != "inbox")):
        return False
    if actor.role != "owner" and command in ("configure_workspace", "close_cycle"):
        return False
    if command in FROM_CONTACTS_OR_API and actor.module not in ("contacts", "api"):
        return False
    forbidden = actor.restrictions or ()
    restricted = (
        (command in DEFINING and "settings" in forbidden)
        or (command == "delete_contacts" and "contact_deletion" in forbidden)
        or (command == "export_contacts" and "data_export" in forbidden)
    )
    return not (actor.role == "manager" and restricted)


def every_actor() -> list[Actor]:
    restrictions = [None, *(chosen for n in range(4) for chosen in combinations(RESTRICTIONS, n))]
    return [
        Actor(id="somebody", role=role, module=module, restrictions=given)
        for role, module, given in product(ROLES, MODULES, restrictions)
    ]


@pytest.mark.parametrize("command", sorted(COMMAND_NAMES))
def test_every_actor_may_give_exactly_what_the_table_says(command: str) -> None:
    wrong = [actor for actor in every_actor() if (forbids(command, actor) is None) != expected(command, actor)]
    assert wrong == []


def test_every_command_has_one_line() -> None:
    assert TABLE.keys() == COMMAND_NAMES


@pytest.mark.parametrize("role", ["owner", "agent"])
def test_restrictions_bind_managers_only(role: Role) -> None:
    for command in COMMAND_NAMES:
        free = Actor(id="somebody", role=role, module="api")
        bound = Actor(id="somebody", role=role, module="api", restrictions=RESTRICTIONS)
        assert forbids(command, bound) == forbids(command, free)


@pytest.mark.parametrize("command", sorted(COMMAND_NAMES))
def test_who_may_not_is_told_what_stands_in_the_way(command: str) -> None:
    for actor in every_actor():
        said = forbids(command, actor)
        if said is not None:
            assert command in said
            assert "``" not in said
            assert actor.id not in said
            assert said.startswith("`actor."), said
            assert actor.role in said
