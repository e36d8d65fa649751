"""The rows of an exported count as Parquet.

A Parquet file can be read only once its end is written. So the rows go into whole files of one row group each, in a
folder beside the output; a killed export goes on behind the last of them. At the end they are copied into one file, row
group by row group.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from workers.cli.mac_rows import other_export, writing
from workers.errors import SettingsError
from workers.rules.mac_sheet import COLUMNS, CycleName, adjustment_row, contact_row

ROW_GROUP: Final = 100_000  # rows: about 20 MB in memory
_MISSING: Final = (
    "parquet needs the package pyarrow, which is not installed: pip install 'sluice[parquet]'; "
    "csv and jsonl need nothing"
)


class ParquetFile:
    """Rows in a folder of row groups, which becomes a file at its end."""

    def __init__(self, name: CycleName, output: Path, folder: Path) -> None:
        self.contacts = 0
        self.last: UUID | None = None
        self._name = name
        self._output = output
        self._folder = folder
        self._arrow, self._parquet = _library()
        arrow = self._arrow
        time, text, number = arrow.timestamp("us", tz="UTC"), arrow.string(), arrow.int64()
        kinds = (text, text, time, text, number, text, time, number, text, text, time)
        self._schema = arrow.schema(list(zip(COLUMNS, kinds, strict=True)))
        self._waiting: list[Any] = []
        self._groups = 0

    def begin(self) -> None:
        """Begins with no row."""
        for path in self._folder.iterdir():
            path.unlink()

    def go_on(self) -> None:
        """Goes on behind the last whole row group of contacts. Adjustments are written again.

        Raises:
            NotPossible: the folder has something else in it.
        """
        for path in [*self._folder.glob("adjustments-*"), *self._folder.glob("*.tmp")]:
            path.unlink()
        groups = self._paths("contacts")
        for path in groups:
            self.contacts += self._parquet.read_metadata(path).num_rows
        if groups:
            self._groups = len(groups)
            self.last = self._contact_of(groups[-1])

    def _contact_of(self, path: Path) -> UUID:
        table = self._parquet.read_table(path, columns=["kind", "workspace_id", "cycle_start", "contact_id"])
        [row] = table.slice(table.num_rows - 1).to_pylist()
        if (row["kind"], row["workspace_id"], row["cycle_start"]) != (
            *("contact", self._name.workspace_id),
            self._name.cycle_start,
        ):
            raise other_export(self._folder)
        return UUID(row["contact_id"])

    def add_contacts(self, page: Sequence[Mapping[str, Any]]) -> None:
        self._add("contacts", (contact_row(self._name, row) for row in page))
        self.contacts += len(page)
        self.last = page[-1]["contact_id"]

    def add_adjustments(self, page: Sequence[Mapping[str, Any]]) -> None:
        self._store("contacts")
        self._add("adjustments", (adjustment_row(self._name, row) for row in page))

    def finish(self) -> None:
        self._store("adjustments" if self._paths("adjustments") else "contacts")
        with writing(self._output):
            whole = self._folder / "whole.tmp"
            with self._parquet.ParquetWriter(whole, self._schema, compression="zstd") as file:
                for table in self._tables():
                    file.write_table(table)
            whole.replace(self._output)
            shutil.rmtree(self._folder)

    def _tables(self) -> Iterator[Any]:
        for path in [*self._paths("contacts"), *self._paths("adjustments")]:
            yield self._parquet.read_table(path, schema=self._schema)

    def _paths(self, kind: str) -> list[Path]:
        return sorted(self._folder.glob(f"{kind}-*.parquet"))

    def _add(self, kind: str, rows: Iterable[tuple[Any, ...]]) -> None:
        columns = zip(*(map(_value, row) for row in rows), strict=True)
        arrays = [self._arrow.array(list(c), field.type) for c, field in zip(columns, self._schema, strict=True)]
        self._waiting.append(self._arrow.record_batch(arrays, schema=self._schema))
        if sum(batch.num_rows for batch in self._waiting) >= ROW_GROUP:
            self._store(kind)

    def _store(self, kind: str) -> None:
        if not self._waiting:
            return
        path = self._folder / f"{kind}-{self._groups:06}.parquet"
        temporary = path.with_suffix(".tmp")
        with writing(self._output):
            table = self._arrow.Table.from_batches(self._waiting)
            self._parquet.write_table(table, temporary, compression="zstd", row_group_size=ROW_GROUP)
            temporary.replace(path)
        self._waiting = []
        self._groups += 1


def _value(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _library() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise SettingsError(_MISSING) from None
    return pyarrow, parquet
