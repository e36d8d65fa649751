"""Calls that read lists and rows of a workspace."""

from collections.abc import Mapping
from typing import Any, Final

from console.api.calls import Asked, Call, Items, Paged, Typed
from console.api.documents import Configured
from console.api.rows import (
    Audited,
    Deletion,
    Drop,
    GroupStatus,
    Hold,
    Merge,
    MergeSuggestion,
    Moment,
    Profile,
    Run,
    Send,
    Workspace,
)
from console.reading import contacts, histories, profiles, sends, settings
from console.reading.paging import Rows

_IN: Final = "/workspaces/{workspace}"


class ProfilesQuery(Paged):
    """`q`: a part of the name."""

    q: Typed | None = None


class HoldsQuery(Paged):
    """`group`: only those of a group."""

    group: Typed | None = None


class AuditQuery(Paged):
    """Only commands of somebody, of one name, with one outcome."""

    actor: Typed | None = None
    command: Typed | None = None
    outcome: Typed | None = None


def _page(asked: Asked) -> tuple[int, str | None]:
    return asked.query.limit, asked.query.cursor


async def workspaces(asked: Asked, connection: Any) -> Rows:
    """`GET /workspaces`."""
    return await settings.workspaces(connection, asked.person, *_page(asked))


async def profiles_listed(asked: Asked, connection: Any) -> Rows:
    """`GET …/profiles`."""
    if asked.query.q is not None:
        return await profiles.found(connection, asked.workspace, asked.query.q, *_page(asked))
    return await profiles.by_name(connection, asked.workspace, *_page(asked))


async def profile(asked: Asked, connection: Any) -> Mapping[str, Any] | None:
    """`GET …/profiles/{id}`."""
    return await profiles.profile(connection, asked.workspace, asked.path["profile_id"])


async def moments(asked: Asked, connection: Any) -> Rows | None:
    """`GET …/profiles/{id}/moments`."""
    if await profile(asked, connection) is None:
        return None
    return await profiles.moments(connection, asked.workspace, asked.path["profile_id"], *_page(asked))


async def holds(asked: Asked, connection: Any) -> Rows:
    """`GET …/holds`."""
    return await sends.held(connection, asked.workspace, asked.query.group, *_page(asked))


async def send(asked: Asked, connection: Any) -> Mapping[str, Any] | None:
    """`GET …/sends/{id}`."""
    return await sends.sent(connection, asked.workspace, asked.path["send_id"])


async def group(asked: Asked, connection: Any) -> Rows | None:
    """`GET …/groups/{id}`."""
    rows = await sends.group(connection, asked.workspace, asked.path["group_id"])
    return Rows(rows, None) if rows else None


async def runs(asked: Asked, connection: Any) -> Rows:
    """`GET …/runs`."""
    return await histories.runs(connection, asked.workspace, *_page(asked))


async def drops(asked: Asked, connection: Any) -> Rows:
    """`GET …/drops`."""
    return await histories.drops(connection, asked.workspace, *_page(asked))


async def suggestions(asked: Asked, connection: Any) -> Rows:
    """`GET …/merge-suggestions`."""
    return await contacts.suggestions(connection, asked.workspace, *_page(asked))


async def merges(asked: Asked, connection: Any) -> Rows:
    """`GET …/merges`."""
    return await contacts.merges(connection, asked.workspace, *_page(asked))


async def deletions(asked: Asked, connection: Any) -> Rows:
    """`GET …/deletions`."""
    return await histories.deletions(connection, asked.workspace, *_page(asked))


async def audit(asked: Asked, connection: Any) -> Rows:
    """`GET …/audit`."""
    wanted = histories.AuditFilter(asked.query.actor, asked.query.command, asked.query.outcome)
    return await histories.audit(connection, asked.workspace, wanted, *_page(asked))


async def configured(asked: Asked, connection: Any) -> Mapping[str, Any]:
    """`GET …/settings`."""
    holding = await settings.workspace(connection, asked.workspace)
    return {"workspace": holding, **await settings.configured(connection, asked.workspace)}


CALLS: Final = (
    Call("GET", "/workspaces", "The workspaces that you see.", {200: Items(Workspace)}, read=workspaces, query=Paged),
    Call(
        "GET",
        f"{_IN}/profiles",
        "Profiles, by name; or those that are found.",
        {200: Items(Profile)},
        read=profiles_listed,
        query=ProfilesQuery,
    ),
    Call(
        "GET",
        f"{_IN}/profiles/{{profile_id}}/moments",
        "What the contacts of a profile wrote and were written, the newest first.",
        {200: Items(Moment)},
        read=moments,
        query=Paged,
    ),
    Call("GET", f"{_IN}/profiles/{{profile_id}}", "A profile.", {200: Profile}, read=profile),
    Call(
        "GET",
        f"{_IN}/holds",
        "Sends that wait for a person, the oldest first.",
        {200: Items(Hold)},
        read=holds,
        query=HoldsQuery,
    ),
    Call("GET", f"{_IN}/sends/{{send_id}}", "A send, its attempts and who confirmed it.", {200: Send}, read=send),
    Call(
        "GET",
        f"{_IN}/groups/{{group_id}}",
        "How many sends of a group have each status.",
        {200: Items(GroupStatus)},
        read=group,
    ),
    Call("GET", f"{_IN}/runs", "Runs, the last one first.", {200: Items(Run)}, read=runs, query=Paged),
    Call("GET", f"{_IN}/drops", "Dropped messages, the latest first.", {200: Items(Drop)}, read=drops, query=Paged),
    Call(
        "GET",
        f"{_IN}/merge-suggestions",
        "Numbers and e-mail addresses that several contacts share.",
        {200: Items(MergeSuggestion)},
        read=suggestions,
        query=Paged,
    ),
    Call("GET", f"{_IN}/merges", "Merges, the newest first.", {200: Items(Merge)}, read=merges, query=Paged),
    Call(
        "GET",
        f"{_IN}/deletions",
        "Deletions of contacts, the newest first.",
        {200: Items(Deletion)},
        read=deletions,
        query=Paged,
    ),
    Call(
        "GET",
        f"{_IN}/audit",
        "Who gave which command, the newest first.",
        {200: Items(Audited)},
        read=audit,
        query=AuditQuery,
    ),
    Call("GET", f"{_IN}/settings", "What is configured.", {200: Configured}, read=configured),
)
