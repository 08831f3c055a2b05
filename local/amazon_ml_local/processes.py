"""Run heavy work in processes of its own, so that it delays no request and its memory is freed with the process."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from amazon_ml_local.learning import LearningError
from amazon_ml_local.worker import Pickler, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MOST_PROCESSES = 2
# Of the memory that is free when a process starts; if that ran out, the kernel would kill any process.
MEMORY_SHARE = 0.9
# No threads of libraries, which cost memory and CPU time that the service needs; freed memory returns to the system at
# once.
THRIFT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
}


class Processes:
    """Run work in processes, at most two at a time.

    :ivar memory: how many bytes a process may use; None for 90 % of what is free when it starts.
    """

    def __init__(self) -> None:
        self.memory: int | None = None
        self._slots = BoundedSemaphore(MOST_PROCESSES)
        self._lock = Lock()
        self._running: dict[Hashable, subprocess.Popen[bytes]] = {}
        self._killed: WeakSet[Hashable] = WeakSet()
        self._closed = False

    def run(self, owner: Hashable, name: str, arguments: tuple[Any, ...], log: Callable[[str], None]) -> Any:
        """Run a function in a process, and return its result.

        :param owner: identifies the work for ``kill()``.
        :param name: the name of the function, as in ``worker.Work``.
        :raises LearningError: when the function raises it, memory runs out, or the process is killed.
        :raises RuntimeError: on a defect, with its traceback.
        """
        with self._slots:
            memory = self.memory or _memory_limit()
            body = BytesIO()
            pickler = Pickler(body)
            pickler.dump(Work(name, arguments, memory))
            with self._start(owner, pickler.descriptors) as process:
                try:
                    return _answer(process, body.getbuffer(), memory, log)
                finally:
                    process.kill()
                    with self._lock:
                        self._running.pop(owner, None)

    def kill(self, owner: Hashable) -> None:
        """End the work of an owner, and refuse any more for it."""
        with self._lock:
            self._killed.add(owner)
            if process := self._running.get(owner):
                process.kill()

    def check(self, owner: Hashable) -> None:
        """Raise LearningError if the work of an owner is to end."""
        if self._closed:
            raise LearningError("The service has ended")
        if owner in self._killed:
            raise LearningError("It was deleted")

    def close(self) -> None:
        """End all work, and refuse any more."""
        with self._lock:
            self._closed = True
            for process in self._running.values():
                process.kill()

    def _start(self, owner: Hashable, descriptors: list[int]) -> subprocess.Popen[bytes]:
        with self._lock:
            self.check(owner)
            # It shall find the modules that this process does, and none in the current folder.
            path = os.pathsep.join(filter(None, sys.path))
            self._running[owner] = subprocess.Popen(
                [sys.executable, "-P", "-m", "amazon_ml_local.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **THRIFT, "PYTHONPATH": path},
                pass_fds=descriptors,
                start_new_session=True,  # so that Ctrl-C reaches the service alone
            )
            return self._running[owner]


def _answer(process: subprocess.Popen[bytes], body: memoryview, memory: int | None, log: Callable[[str], None]) -> Any:
    """Send a process its work, log the lines that it answers, and return or raise its result."""
    assert process.stdin
    assert process.stdout
    with suppress(BrokenPipeError):
        process.stdin.write(body)
        process.stdin.flush()
    while True:
        try:
            kind, value = pickle.load(process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise LearningError(_death_message(process.wait())) from None
        match kind:
            case "log":
                log(value)
            case "result":
                return value
            case "error" if isinstance(value, MemoryError):
                raise LearningError(lack_of_memory(memory))
            case "error":
                raise value


def lack_of_memory(memory: int | None = None) -> str:
    """Return the message for work that ran out of memory."""
    had = f" of the {memory / 2**20:,.0f} MB that were free" if memory else ""
    return (
        f"The data do not fit into the memory{had}. Take a part of them (DataRearrangement), a recipe with fewer "
        "patterns, or a machine with more memory."
    )


def _death_message(code: int) -> str:
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
    return (
        f"The process that did this work ended with {how} before it was done; if that was for lack of memory, take a "
        "part of the data (DataRearrangement) or a machine with more. The log of the service has what it printed."
    )


def _memory_limit() -> int | None:
    """Return 90 % of the free memory of the machine or the container; None if the system does not say."""
    free = [memory for memory in (_available("/proc/meminfo"), _cgroup_room(Path("/sys/fs/cgroup"))) if memory]
    return int(min(free) * MEMORY_SHARE) if free else None


def _available(path: str) -> int | None:
    with suppress(OSError, ValueError):
        fields = dict(line.split(":") for line in Path(path).read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    return None


def _cgroup_room(folder: Path) -> int | None:
    with suppress(OSError, ValueError):  # without a limit memory.max is "max"
        return int((folder / "memory.max").read_text()) - int((folder / "memory.current").read_text())
    return None
