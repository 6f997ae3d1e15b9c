"""References: the file that a person has, CSV or parquet, and the parquet file that a config names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from collector.commands.pieces import read_tables
from collector.commands.sources import open_source
from collector.errors import BadBody, CommandError
from collector.formats.spellings import typed_by_spelling
from collector.formats.typed_body import read_table

if TYPE_CHECKING:
    from typing import Self

    from collector.commands.sources import Source


@dataclass(frozen=True)
class Reference:
    """A reference dataset: its rows, the file they came from, and whether that is parquet already."""

    table: pa.Table
    path: Path
    is_parquet: bool

    @classmethod
    def read(cls, file: str) -> Self:
        """Read it whole; raise CommandError if it can't be read, or has no rows."""
        with open_source(file, None) as source:
            table = _read_csv(source) if source.format == "csv" else pa.concat_tables(read_tables(source))
            is_parquet = source.format == "parquet"
        if not table.num_rows:
            raise CommandError(f"{file} has no rows", "a reference has some, of the same columns as the events")
        return cls(table, Path(file), is_parquet)

    def target(self, directory: Path) -> Path:
        """Return the parquet file that a config in ``directory`` is to name."""
        return self.path if self.is_parquet else directory / f"{self.path.name.partition('.')[0]}.parquet"

    def path_in_config(self, directory: Path) -> str:
        """Write it as in a config: relative if it lies in the config's directory."""
        target = self.target(directory).resolve()
        base = directory.resolve()
        return str(target.relative_to(base) if target.is_relative_to(base) else target)

    def is_written(self, directory: Path) -> bool:
        """Tell whether the parquet file is there, with these rows."""
        if self.is_parquet:
            return True
        try:
            return bool(pq.read_table(self.target(directory)).equals(self.table))
        except (pa.ArrowException, FileNotFoundError):
            return False

    def write(self, directory: Path) -> None:
        """Write the parquet file, if it isn't there already."""
        if self.is_written(directory):
            return
        target = self.target(directory)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            pq.write_table(self.table, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _read_csv(source: Source) -> pa.Table:
    """Read CSV with the types that all its values spell, as for a batch without a reference."""
    with source.open() as file:
        body = file.read()
    try:
        return typed_by_spelling(read_table("csv", body))
    except BadBody as error:
        raise CommandError(f"{source.name}: {error}") from error
