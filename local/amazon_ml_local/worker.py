"""The process for heavy work: reads one piece of work from standard input, and writes answers to standard output.

It ends when its standard input ends, which the kernel closes when the service ends, however that happens.
"""

from __future__ import annotations

import io
import os
import pickle
import resource
import sys
import threading
import traceback
from importlib.abc import MetaPathFinder
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from amazon_ml_local import learning
from amazon_ml_local.learning import LearningError

if TYPE_CHECKING:
    from collections.abc import Callable

    from amazon_ml_local.learning import Counts, DataSource, Table
    from amazon_ml_local.learning.log import Log

NICENESS = 10


class Work(NamedTuple):
    """A function of this module or of ``learning``, and its arguments, which may include open files.

    :ivar memory: how many bytes the process may use; None for no limit.
    """

    name: str
    arguments: tuple[Any, ...]
    memory: int | None = None


class Pickler(pickle.Pickler):
    """Pickle open files as their descriptors, and collect these, so that the process can inherit them."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.descriptors: list[int] = []

    def persistent_id(self, value: object) -> int | None:
        """Return the descriptor of an open file; None for anything else, which is pickled as usual."""
        if not isinstance(value, (io.IOBase, SpooledTemporaryFile)) or isinstance(value, io.BytesIO):
            return None
        value.flush()
        self.descriptors.append(value.fileno())
        return value.fileno()


class _Unpickler(pickle.Unpickler):
    """Open the inherited files whose descriptors ``Pickler`` has written."""

    def persistent_load(self, descriptor: int) -> BinaryIO:
        return os.fdopen(descriptor, "r+b", closefd=False)


class _WithoutPandas(MetaPathFinder):
    """Hide pandas, which scikit-learn and Arrow import if it is installed: 40 MB that nothing here needs."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def main() -> None:
    """Do one piece of work; answer ("log", line) any number of times, then ("result", …) or ("error", …)."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    os.nice(NICENESS)
    sys.meta_path.insert(0, _WithoutPandas())
    work: Work = _Unpickler(sys.stdin.buffer).load()
    threading.Thread(target=_end_with_the_service, daemon=True).start()
    if work.memory:
        resource.setrlimit(resource.RLIMIT_DATA, (work.memory, work.memory))

    def answer(kind: str, value: object) -> None:
        pickle.dump((kind, value), answers)
        answers.flush()

    try:
        function: Callable[..., object] = OWN.get(work.name) or getattr(learning, work.name)
        answer("result", function(*work.arguments, lambda line: answer("log", line)))
    except (LearningError, ModuleNotFoundError) as error:
        answer("error", error)
    except MemoryError:
        answer("error", MemoryError())
    except Exception:
        answer("error", RuntimeError(traceback.format_exc()))


def _end_with_the_service() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _read(files: dict[str, BinaryIO], source: DataSource, has_header: bool | None, out: BinaryIO, log: Log) -> Table:
    """Read CSV files; write the columns of the table to ``out``, and return the table without them."""
    table = learning.make_table(files, source, has_header, log)
    table.write_columns(out)
    return table.without_columns()


def _draw(counts: Counts, threshold: float, log: Log) -> bytes:
    """Return a chart as SVG."""
    from amazon_ml_local.charts import draw

    return draw(counts, threshold, log)


OWN: dict[str, Callable[..., object]] = {"read": _read, "draw": _draw}


if __name__ == "__main__":
    main()
