"""A look into a database of records from outside the program."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from vae_manager.records import DATABASE


def sql(data: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement on the database of a data folder, and commit it."""
    with closing(sqlite3.connect(data / DATABASE)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def paths(data: Path, table: str) -> list[str]:
    """The paths in a table, sorted."""
    return sorted(os.fsdecode(path) for (path,) in sql(data, f"SELECT path FROM {table}"))
