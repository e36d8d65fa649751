"""`python -m schemas`: writes the published JSON Schemas to `docs/schemas`, and `docs/asyncapi.json`.

`python -m schemas FOLDER` writes the JSON Schemas alone, to the folder: a release keeps its own so.
"""

import sys
import tomllib
from pathlib import Path

from schemas import asyncapi
from schemas.json_schemas import documents


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")
    if len(sys.argv) == 1:
        version = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        Path("docs/asyncapi.json").write_text(asyncapi.document(version), encoding="utf-8")


if __name__ == "__main__":
    main()
