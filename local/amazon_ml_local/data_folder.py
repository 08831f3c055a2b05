"""The folder in which the service stores everything: one SQLite file, and files for what is too large for it.

One process at a time can use it. A request is answered after the commit. A file counts once a row refers to it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 2
TABLES = """
create table clock (id integer primary key check (id = 1), snapshot text not null);
create table entity (sequence integer primary key, record text not null, result text, error text);
create table bucket (name text primary key, region text not null, created text not null);
create table object (
    bucket text not null, key text not null, etag text not null, modified text not null, metadata text not null,
    primary key (bucket, key)
);
create table piece (
    bucket text not null, key text not null, number integer not null, body blob not null,
    primary key (bucket, key, number)
);
"""

# Format of a folder → the SQL that converts it to the next format.
CHANGES = {
    # An evaluation's result was its metrics alone. The kind is found as text, since records contain Infinity, which
    # SQLite's JSON functions refuse.
    1: """
    update entity set result = json_object('result', json_object('tuple', 'Evaluated', 'values',
        json_array(json_extract(result, '$.result'), null)))
    where instr(record, '"kind": "Evaluation"') and result is not null;
    """,
}


class DataFolderError(OSError):
    """Raised when the folder cannot be used, read or written; the message says why, and what to do."""


class DataFolder:
    """A folder of stored data, locked until ``close()``. Safe to use from any thread.

    :raises DataFolderError: when it cannot be created or written, another process uses it, or a newer version wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.columns = path, path / "columns"
        self._using = threading.RLock()
        try:
            self.columns.mkdir(parents=True, exist_ok=True)
            self._lock = _lock_folder(path)
        except BlockingIOError:
            raise DataFolderError(f"{path} is in use by another process: end it, or take another folder") from None
        except OSError as error:
            raise DataFolderError(f"the data folder {path} cannot be written: {error.strerror}") from error
        try:
            self._database = self._open_database()
        except BaseException:
            self._lock.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit all changes of the block, or none if it raises.

        :raises DataFolderError: when the folder cannot be written, for example on a full disk.
        """
        with self._using:
            try:
                with self._database:
                    yield self._database
            except sqlite3.Error as error:
                raise self._unusable(error) from error

    def columns_of(self, sequence: int) -> Path:
        """Return the path of a data source's columns, by its place in the order of creation."""
        return self.columns / f"{sequence}.arrow"

    def close(self) -> None:
        """Release the folder."""
        with self._using:
            self._database.close()
            self._lock.close()

    def _open_database(self) -> sqlite3.Connection:
        """Return the open database, with its tables brought to the present format."""
        try:
            database = sqlite3.connect(self.path / "amazon-ml-local.sqlite", check_same_thread=False)
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = full")
            (present,) = database.execute("pragma user_version").fetchone()  # 0 in a new file
            if present > FORMAT:
                raise DataFolderError(
                    f"{self.path} has the format {present}, and this version knows up to {FORMAT}: use the newer "
                    "version that wrote it, or another folder"
                )
            changes = "".join(CHANGES[each] for each in range(present, FORMAT)) if present else TABLES
            database.executescript(f"begin; {changes} pragma user_version = {FORMAT}; commit;")
            return database
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> DataFolderError:
        advice = "Make room there." if "full" in str(error) else "Look after the disk and the rights of the folder."
        return DataFolderError(f"the data folder {self.path} cannot be used: {error}. {advice}")


def _lock_folder(path: Path) -> IO[str]:
    """Lock a folder and return the open lock file; the kernel releases the lock however the process ends."""
    lock = (path / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        lock.close()
        raise
    return lock


@contextmanager
def replace_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file in the block; it appears under its name when it is complete, or not at all.

    :raises DataFolderError: when it cannot be written.
    """
    unfinished = path.with_suffix(".unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise DataFolderError(f"{path} cannot be written: {error.strerror or error}. Make room there.") from error
