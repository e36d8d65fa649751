"""The OpenAPI document describes what the API does: generated requests get documented answers, and never a fault."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given
from schemathesis import checks
from schemathesis.core.transport import Response
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi import checks as of_openapi

from console.api import CALLS, openapi
from tests.acceptance.scenes import hold
from tests.console.running import Team

_EXAMPLES: Final = 8
# What fits only by chance: in every second request the rest is generated.
_QUERIES: Final[Mapping[str, Mapping[str, str]]] = {
    "/workspaces/{workspace}/may-send": {"address": "+4915112345678", "channel": "sms"},
    "/workspaces/{workspace}/impact": {"command": "delete_contacts", "all": "true"},
}
_BODIES: Final[Mapping[str, Any]] = {
    "/workspaces/{workspace}/commands": {"command": "create_profile", "name": "Ada"},
    "/workspaces/{workspace}/sends": {
        "channel_id": "sms-main",
        "channel": "sms",
        "to": {"address": "+4915112345678"},
        "content": {"type": "text", "text": "hello"},
    },
}
_CHECKS: Final = [
    checks.not_a_server_error,
    of_openapi.status_code_conformance,
    of_openapi.content_type_conformance,
    of_openapi.response_headers_conformance,
    of_openapi.response_schema_conformance,
]
_SETTINGS: Final = hypothesis.settings(
    max_examples=_EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class Known:
    """What there is to ask about. Generated requests name it in place of something that nobody knows."""

    url: str
    token: str
    names: Mapping[str, str]


def tried(known: Known) -> dict[str, set[int]]:
    """Sends generated requests to every call but the stream; the statuses that came, by call."""
    schema: Any = from_dict(dict(openapi.document(CALLS)))
    statuses: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith("/events"):
            continue
        came = statuses.setdefault(f"{operation.method.upper()} {operation.path}", set())
        _try(operation, known, came)
    return statuses


def _try(operation: Any, known: Known, came: set[int]) -> None:
    headers = {"authorization": f"Bearer {known.token}", "prefer": "wait=1"}

    @_SETTINGS
    @given(case=operation.as_strategy(), is_known=hypothesis.strategies.booleans())
    def one(case: Any, is_known: bool) -> None:  # noqa: FBT001 - Hypothesis gives it by name
        case.path_parameters.update(known.names if is_known else {"workspace": known.names["workspace"]})
        if is_known:
            case.query = _QUERIES.get(operation.path, case.query)
            case.body = _BODIES.get(operation.path, case.body)
        response: Response = case.call(base_url=f"{known.url}/api/v1", headers=headers, timeout=30)
        came.add(response.status_code)
        case.validate_response(response, checks=_CHECKS)

    one()


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")
async def test_generated_requests_get_documented_answers(team: Team) -> None:
    workspace = team.workspace
    send = await hold(workspace, group_id="g-1")
    [count] = await workspace.rows("mac_counts")
    defined = await team.owner.api.post(
        f"/workspaces/{workspace.id}/commands", json={"command": "define_company", "company_id": "c", "name": "c"}
    )
    names = {
        "workspace": workspace.id,
        "contact_id": str(await workspace.contact_id()),
        "send_id": send["send_id"],
        "group_id": "g-1",
        "profile_id": "p-vip",
        "command_id": defined.json()["command_id"],
        "cycle_start": count["cycle_start"].isoformat(),
    }
    known = Known(team.console.url, team.operator.token, names)

    came = await asyncio.to_thread(tried, known)

    assert {call for call, statuses in came.items() if not statuses & {200, 202, 308}} == {
        "POST /dead-letters/{letter}/replay",
        "POST /dead-letters/{letter}/dismiss",
    }
    await workspace.stage.applied()
