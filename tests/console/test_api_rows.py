"""Rows of answers have the columns of the views, word for word."""

from collections.abc import Mapping
from typing import Final

import pytest
from pydantic import BaseModel

from console.api import CALLS, openapi, rows
from tests.acceptance.test_views import COLUMNS

VIEWS: Final[Mapping[type[BaseModel], str]] = {
    rows.Contact: "contact_list",
    rows.Message: "conversation_messages",
    rows.Channel: "contact_channels",
    rows.Profile: "profile_overview",
    rows.Moment: "profile_moments",
    rows.Hold: "held_sends",
    rows.SendStatus: "sends",
    rows.GroupStatus: "send_groups",
    rows.Run: "workflow_runs",
    rows.Drop: "drop_ledger",
    rows.MergeSuggestion: "merge_suggestions",
    rows.Merge: "merge_history",
    rows.Deletion: "deletions",
    rows.Audited: "audit_list",
    rows.Count: "mac_counts",
    rows.Counted: "mac_contacts",
    rows.Adjustment: "mac_adjustments",
}
OF_FUNCTIONS_AND_OTHERS: Final[Mapping[type[BaseModel], str]] = {
    rows.SendStatus: "reasons",
    rows.Run: "started_at",
    rows.Count: "at_least at_most as_of",
}


@pytest.mark.parametrize("model", VIEWS)
def test_rows_have_the_columns_of_their_view(model: type[BaseModel]) -> None:
    promised = f"{COLUMNS[VIEWS[model]]} {OF_FUNCTIONS_AND_OTHERS.get(model, '')}".split()
    assert list(model.model_fields) == promised


def test_every_schema_that_is_named_is_there() -> None:
    document = openapi.document(CALLS)
    text = openapi.encoded(CALLS).decode()
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= document["components"]["schemas"].keys()
