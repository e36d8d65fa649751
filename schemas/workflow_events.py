"""The topic `workflows.events`: what a workflow engine did or wants to do for a contact."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from schemas.actors import Identity
from schemas.fields import Id, Label, Moment, WorkspaceId, require_one, settle_moments

Trigger = Literal["automatic", "shortcut"]
Action = Literal[
    "send_message",
    "ask_question",
    "open_conversation",
    "close_conversation",
    "snooze_conversation",
    "assign",
    "add_tag",
    "comment",
    "http_request",
    "branch",
    "wait",
    "other",
]


class _Event(Struct, frozen=True, kw_only=True, gc=False, tag_field="event"):
    workspace_id: WorkspaceId
    at: Moment
    run_id: Id

    def __post_init__(self) -> None:
        settle_moments(self, "at")


class RunStarted(_Event, frozen=True, kw_only=True, gc=False, tag="run_started"):
    """A run began for exactly one of `contact_id` and `identity`."""

    workflow_id: Id
    contact_id: UUID | None = None
    identity: Identity | None = None
    trigger: Trigger
    parent_run_id: Id | None = None

    def __post_init__(self) -> None:
        settle_moments(self, "at")
        require_one(self, "contact_id", "identity")


class StepRequested(_Event, frozen=True, kw_only=True, gc=False, tag="step_requested"):
    """A run asks whether it may take a step."""

    step_id: Id
    action: Action


class RunFinished(_Event, frozen=True, kw_only=True, gc=False, tag="run_finished"):
    """A run ended by itself; `outcome` is chosen by the engine."""

    outcome: Label


WorkflowEvent = RunStarted | StepRequested | RunFinished
