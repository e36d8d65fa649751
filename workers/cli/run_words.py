"""Why a workflow run was halted or refused, in words. Pure."""

from collections.abc import Mapping
from typing import Any

from workers.rules.wording import reason, time_text


def why(run: Mapping[str, Any], parent: Mapping[str, Any] | None) -> str | None:
    """Why the run was halted or refused; None: it was not. `parent`: the run above it, if it is known."""
    if run["reason"] is None:
        return None
    match run["reason"]:
        case "contact_blocked" if run["blocked_at"] is not None and run["blocked_at"] == run["ended_at"]:
            told = f"the contact was blocked {time_text(run['blocked_at'])} by {run['blocked_by']}{_until(run)}"
        case "contact_blocked" if run["blocked_at"] is not None:
            told = f"the contact was blocked when it started: {_block(run)}"
        case "blocked_contact_step" if run["step_id"] is not None and run["blocked_at"] is not None:
            told = f"step {run['step_id']} would have reached the contact, which was blocked: {_block(run)}"
        case "blocked_contact_step" if run["step_id"] is not None:
            told = f"step {run['step_id']} would have reached the contact, which was blocked"
        case "contact_merged" | "contact_deleted" if run["cut_at"] is not None:
            told = f"{reason(run['reason'])}: {time_text(run['cut_at'])}"
        case "unknown_contact":
            told = "the contact was not known when it started"
        case code if parent is not None and parent["state"] in ("halted", "refused"):
            told = f"the run above it, {parent['run_id']}, was {parent['state']}: {parent['reason'] or code}"
        case "contact_blocked" | "blocked_contact_step":
            told = "the contact was blocked"
        case code:
            told = reason(code)
    return told


def _block(run: Mapping[str, Any]) -> str:
    return f"since {time_text(run['blocked_at'])}{_until(run)}, by {run['blocked_by']}"


def _until(run: Mapping[str, Any]) -> str:
    return "" if run["unblocked_at"] is None else f" until {time_text(run['unblocked_at'])}"
