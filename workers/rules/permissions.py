"""Which actor may give which command, and from which module (contract 2, column "who").

Rules for editing: one line a command, every command of `schemas.commands` has one, nothing else decides a permission. A
condition on data (whose hold, which policy) is no permission and belongs to the command's own rule.
"""

from typing import Final, NamedTuple, get_args

from schemas.actors import Actor, Module, Restriction

_Modules = frozenset[Module]

_ANYWHERE: Final[_Modules] = frozenset(get_args(Module))
_NOWHERE: Final[_Modules] = frozenset()
_INBOX: Final[_Modules] = frozenset({"inbox"})
_ADDRESS_BOOK: Final[_Modules] = frozenset({"contacts", "api"})


class Permission(NamedTuple):
    """The modules from which each role may give a command, and the restriction that forbids it to a manager."""

    agent: _Modules
    manager: _Modules
    owner: _Modules
    restriction: Restriction | None = None


_ANYONE: Final = Permission(_ANYWHERE, _ANYWHERE, _ANYWHERE)
_BLOCKING: Final = Permission(_INBOX, _ANYWHERE, _ANYWHERE)
_MANAGING: Final = Permission(_NOWHERE, _ANYWHERE, _ANYWHERE)
_DEFINING: Final = Permission(_NOWHERE, _ANYWHERE, _ANYWHERE, "settings")
_REMOVING: Final = Permission(_NOWHERE, _ADDRESS_BOOK, _ADDRESS_BOOK)

TABLE: Final[dict[str, Permission]] = {
    "block_contact": _BLOCKING,
    "unblock_contact": _BLOCKING,
    "release_dropped": _MANAGING,
    "create_contact": _ANYONE,
    "export_contacts": _MANAGING._replace(restriction="data_export"),
    "update_contact": _ANYONE,
    "define_field": _DEFINING,
    "add_tag": _ANYONE,
    "remove_tag": _ANYONE,
    "remove_channel": _REMOVING,
    "merge_contacts": _MANAGING,
    "undo_merge": _MANAGING,
    "delete_contacts": _REMOVING._replace(restriction="contact_deletion"),
    "open_conversation": _ANYONE,
    "close_conversation": _ANYONE,
    "assign_conversation": _ANYONE,
    "snooze_conversation": _ANYONE,
    "comment": _ANYONE,
    "create_profile": _ANYONE,
    "update_profile": _ANYONE,
    "delete_profile": _MANAGING,
    "attach_contact": _ANYONE,
    "detach_contact": _ANYONE,
    "add_note": _ANYONE,
    "edit_note": _ANYONE,
    "delete_note": _ANYONE,
    "define_status": _DEFINING,
    "define_company": _DEFINING,
    "protect_company": _MANAGING,
    "unprotect_company": _MANAGING,
    "set_profile_status": _ANYONE,
    "set_profile_companies": _ANYONE,
    "confirm_send": _ANYONE,
    "reject_send": _ANYONE,
    "settle_send": _MANAGING,
    "configure_workspace": Permission(_NOWHERE, _NOWHERE, _ANYWHERE, "settings"),
    "configure_channel": _DEFINING,
    "close_cycle": Permission(_NOWHERE, _NOWHERE, _ANYWHERE),
}


def forbids(command: str, actor: Actor) -> str | None:
    """Why this actor may not give this command, in words for people; None if it may. `system` may give any."""
    permission = TABLE[command]
    match actor.role:
        case "system":
            return None
        case "owner":
            allowed = permission.owner
        case "manager":
            allowed = permission.manager
            if permission.restriction is not None and permission.restriction in (actor.restrictions or ()):
                return f"`actor.restrictions`: `{permission.restriction}` forbids a manager `{command}`"
        case "agent":
            allowed = permission.agent
    if actor.module in allowed:
        return None
    if allowed:
        modules = ", ".join(f"`{module}`" for module in sorted(allowed))
        return f"`actor.module`: `{actor.role}` may give `{command}` from {modules}, not from `{actor.module}`"
    roles = [role for role, modules in zip(("manager", "owner"), permission[1:3], strict=True) if modules]
    return f"`actor.role`: `{actor.role}` may not give `{command}`; {' or '.join(f'`{role}`' for role in roles)} may"
