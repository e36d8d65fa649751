"""What the twins say about commands and their fields."""

from collections.abc import Mapping
from typing import Final, get_args

from schemas.actors import Module
from workers.rules.permissions import TABLE

SHORT: Final[Mapping[str, str]] = {
    "block_contact": "block",
    "unblock_contact": "unblock",
    "protect_company": "protect",
    "unprotect_company": "unprotect",
    "attach_contact": "attach",
    "detach_contact": "detach",
    "merge_contacts": "merge",
}
"""Commands with a short name beside their own."""

ABOUT: Final[Mapping[str, str]] = {
    "block_contact": "Block a contact: close the conversation, halt runs, cancel holds.",
    "unblock_contact": "End the block of a contact; the conversation stays closed until the next message.",
    "release_dropped": "Accept messages that a mistaken block dropped.",
    "create_contact": "Create a contact for an address; nothing happens if the address is known.",
    "export_contacts": "Audit that somebody exports contacts; `sluice contacts export` gives it itself.",
    "update_contact": "Change fields of a contact.",
    "define_field": "Define a custom field, or change its options.",
    "add_tag": "Give a tag to a contact.",
    "remove_tag": "Take a tag from a contact.",
    "remove_channel": "Take an address from its contact; the history stays.",
    "merge_contacts": "Merge two contacts: the loser becomes part of the survivor.",
    "undo_merge": "Undo a merge within its time.",
    "delete_contacts": "Delete contacts and their history for good.",
    "open_conversation": "Open the conversation of a contact.",
    "close_conversation": "Close the conversation of a contact.",
    "assign_conversation": "Assign the conversation of a contact to somebody, or to nobody.",
    "snooze_conversation": "Snooze an open conversation until a time or the next message.",
    "comment": "Write a comment into a conversation; it is never sent.",
    "create_profile": "Create a profile; it always makes a new one.",
    "update_profile": "Change the name or custom fields of a profile.",
    "delete_profile": "Delete a profile; its contacts are detached and stay.",
    "attach_contact": "Attach a contact to a profile, by id or by name.",
    "detach_contact": "Detach a contact from its profile.",
    "add_note": "Add a note to a profile.",
    "edit_note": "Change the text of a note.",
    "delete_note": "Delete a note.",
    "define_status": "Define a status of profiles, protected or not.",
    "define_company": "Define a company, or rename it.",
    "protect_company": "Protect a company: sends to its profiles wait for a person.",
    "unprotect_company": "End the protection of a company.",
    "set_profile_status": "Give a status to a profile, or take it away.",
    "set_profile_companies": "Say to which companies a profile belongs, all of them.",
    "confirm_send": "Confirm a held send, or a group: it goes out.",
    "reject_send": "Reject a held send, or a group: it never goes out.",
    "settle_send": "Settle a send of which nobody knows whether it went out.",
    "configure_workspace": "Set settings of a workspace.",
    "configure_channel": "Set settings of a channel.",
    "close_cycle": "Close a billing month that a standing partition holds open.",
}

HELP: Final[Mapping[str, str]] = {
    "all": "Every contact of the workspace.",
    "as": "What happened to it.",
    "assignee": "The id of the user.",
    "channel": "The kind of the channel.",
    "channel_id": "The id of the connected account.",
    "choices": "Whose value a field keeps: NAME=survivor or NAME=loser.",
    "clear": "Remove this value. Of a contact's own field the channel's value shows again. May be repeated.",
    "company_id": "The id of the company.",
    "company_ids": "The id of a company.",
    "contact_id": "The id of the contact.",
    "contact_ids": "The id of a contact.",
    "count": "Whether its messages count; not of a test channel.",
    "default_region": "The region of numbers without a country, such as GB.",
    "expected_count": "How many contacts this must be; it is refused if the number differs.",
    "fields": "A custom field by its name.",
    "filter": "What is exported, in words.",
    "from": "From this event time on.",
    "group_id": "The id of a group of sends.",
    "identity.address": "An address of the contact, such as +4915112345678; with --channel.",
    "identity.channel": "The kind of channel of --address.",
    "identity.channel_id": "The account of --address, for kinds whose addresses have a meaning only there.",
    "loser_id": "The contact that goes.",
    "merge_id": "The id of the merge: the command_id of its command.",
    "message_ids": "The id of a message.",
    "name": "The name.",
    "note": "Why.",
    "note_id": "The id of the note.",
    "options": "An option of a field of type list.",
    "profile_id": "The id of the profile.",
    "profile_name": "The name of the profile; it is created if there is none.",
    "protected": "Whether sends to profiles with it wait for a person.",
    "reason": "Why.",
    "scope": "What has the field.",
    "send_id": "The id of the send.",
    "set": "A value by its name; of a custom field custom.NAME.",
    "status": "The name of the status.",
    "survivor_id": "The contact that stays.",
    "tag": "The tag.",
    "tags": "A tag.",
    "text": "The text.",
    "to": "Before this event time.",
    "type": "The type of its values.",
    "until": "Until when.",
}
"""Help of options, by the name of the field."""


def who_may(command: str) -> str:
    """Who may give the command, in words."""
    permission = TABLE.get(command)
    if permission is None:
        return ""
    roles = [
        role if len(modules) == len(get_args(Module)) else f"{role} from {' or '.join(sorted(modules))}"
        for role, modules in zip(("agent", "manager", "owner"), permission[:3], strict=True)
        if modules
    ]
    forbidden = f"; the restriction {permission.restriction} forbids it to a manager" if permission.restriction else ""
    return f"Roles that may: {', '.join([*roles, 'system'])}{forbidden}."
