"""`python -m schemas [FOLDER]`: writes the published JSON Schemas, by default to `docs/schemas`."""

import sys
from pathlib import Path

from schemas.json_schemas import documents


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
