"""What is wrong with a setting, in words."""

from typing import Any, Final

# What a value must be; never the value itself.
_REASONS: Final = {
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters",
    "string_pattern_mismatch": "may hold letters, digits and . _ - only",
}


def line(prefix: str, error: Any) -> str:
    """One error of a validation, naming the variable; never its value, because that may be a secret."""
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    return f"{prefix}{error['loc'][0]}".upper() + f": {_reason(error)}"


def _reason(error: Any) -> str:
    template = _REASONS.get(error["type"])
    return template.format(**error.get("ctx", {})) if template else str(error["msg"]).removeprefix("Value error, ")
