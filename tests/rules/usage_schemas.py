"""What billing services publish of the events they take: the parts of their schemas that concern ours.

Additional properties are refused here where a service refuses or ignores them.
"""

from typing import Any, Final

# POST /v1/billing/meter_events, docs.stripe.com/api/billing/meter-event/create, API version 2026-10-28.endive. The
# payload has the keys of a meter that was made with the defaults.
STRIPE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["event_name", "payload"],
    "additionalProperties": False,
    "properties": {
        "event_name": {"type": "string", "maxLength": 100},
        "identifier": {"type": "string", "maxLength": 100},
        "timestamp": {"type": "integer"},
        "payload": {
            "type": "object",
            "required": ["stripe_customer_id", "value"],
            "additionalProperties": {"type": "string"},
            "properties": {"value": {"type": "string", "pattern": "^-?[0-9]+$"}},
        },
    },
}

# EventInput and EventInputObject of github.com/getlago/lago-openapi (commit 1c8adf4e). external_subscription_id is
# mandatory where no customer is named, and naming one is deprecated.
LAGO: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["event"],
    "additionalProperties": False,
    "properties": {
        "event": {
            "type": "object",
            "required": ["transaction_id", "code", "external_subscription_id"],
            "additionalProperties": False,
            "properties": {
                "transaction_id": {"type": "string"},
                "external_subscription_id": {"type": "string"},
                "code": {"type": "string"},
                "timestamp": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
                "properties": {"type": "object", "additionalProperties": {"type": ["string", "integer", "number"]}},
            },
        }
    },
}

# Event of api/openapi.yaml of github.com/openmeterio/openmeter (commit 7e57a394).
OPENMETER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "source", "specversion", "type", "subject"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
        "specversion": {"type": "string", "const": "1.0"},
        "type": {"type": "string", "minLength": 1},
        "datacontenttype": {"enum": ["application/json", None]},
        "dataschema": {"type": ["string", "null"], "format": "uri", "minLength": 1},
        "subject": {"type": "string", "minLength": 1},
        "time": {"type": ["string", "null"], "format": "date-time"},
        "data": {"type": ["object", "null"]},
    },
}
