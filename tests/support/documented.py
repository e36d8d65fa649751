"""The SQL that the docs give to their readers."""

from pathlib import Path
from typing import Final

_DOCS: Final = Path(__file__).resolve().parents[2] / "docs"


def statements(page: str) -> dict[str, str]:
    """The SQL of a page: each statement by the first line of the comment before it."""
    found: dict[str, str] = {}
    for block in (_DOCS / page).read_text(encoding="utf-8").split("```sql\n")[1:]:
        for text in block.partition("```")[0].split(";\n"):
            lines = text.strip().splitlines()
            if lines:
                found[lines[0].removeprefix("-- ")] = "\n".join(line for line in lines if not line.startswith("-- "))
    return found


def statement(page: str, title: str) -> str:
    """The statement whose comment begins like this."""
    [sql] = [sql for name, sql in statements(page).items() if name.startswith(title)]
    return sql
