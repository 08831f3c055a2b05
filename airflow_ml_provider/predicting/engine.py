"""Predict with many calls at once: bodies in, predictions out in the same order, as fast as the pace allows."""

from __future__ import annotations

import queue
import random
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from airflow_ml_provider import errors
from airflow_ml_provider.errors import DeadlinePassed, RefusedRecord
from airflow_ml_provider.transport import LEAST_SECONDS, time_limit

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import Prediction
    from airflow_ml_provider.predicting.pace import Pace, Slot

Token = TypeVar("Token")

MOST_IN_FLIGHT = 256  # calls, each in a thread of its own
SECONDS_AHEAD = 5  # at the full rate: how far calls go on while the oldest one is retried or the caller is busy
MOST_AHEAD = 1000  # calls
BATCHES_AHEAD = 50  # in which the answers of the calls ahead are waited for
FIRST_PAUSE = 0.1  # seconds before the first retry
LONGEST_PAUSE = 10.0
REFUSALS = frozenset({"InvalidInputException", "ValidationException", "RequestEntityTooLargeException"})


@dataclass(slots=True)
class _QueuedCall:
    """A body to predict for, and the future of its answer."""

    body: bytes
    answer: Future[Prediction] = field(default_factory=Future)


class Engine:
    """Predict for many records, with as many calls in flight as the rate and the latency demand.

    The threads take turns: one holds the turn, takes the next call and waits for its slot, then passes the turn on and
    makes the call. If no idle thread is left to take the turn, one more is started. Until the first answer the turn is
    held during the call too, so that calls go one by one: an endpoint that has just become READY may have no predictor
    mounted yet.

    :param predict: makes one attempt for one body.
    :param pace: gives each call its slot.
    :param patience: seconds during which transient errors are retried for one record.
    :param check_endpoint: called when the predictor is not mounted, with the record's deadline by the pace's clock;
        raises if the endpoint no longer exists.
    """

    def __init__(
        self,
        predict: Callable[[bytes], Prediction],
        pace: Pace,
        *,
        patience: float = 300.0,
        check_endpoint: Callable[[float], None] = lambda deadline: None,
    ) -> None:
        self._pace = pace
        self._predict = predict
        self._patience = patience
        self._check_endpoint = check_endpoint
        self._queue: queue.SimpleQueue[_QueuedCall | None] = queue.SimpleQueue()
        self._turn = threading.Lock()
        self._idle = threading.Semaphore(0)  # counts the threads that have made their call and wait for the turn
        self._threads: list[threading.Thread] = []
        self._most_threads = MOST_IN_FLIGHT
        self._answered = self._closing = False
        self._fatal: BaseException | None = None

    def run(
        self, bodies: Iterable[tuple[Token, bytes | RefusedRecord]]
    ) -> Generator[tuple[Token, Prediction | RefusedRecord], None, None]:
        """Yield each token with the prediction for its body, or with the reason for none, in the order of the input.

        A token is what the caller wants back with the answer, and stays as it is.

        The input is read in the caller's thread. Calls must not wait for the caller or for the oldest answer, so the
        input is read ahead of the answers: by ``SECONDS_AHEAD`` of the rate, so that memory does not grow with it.

        :raises DeadlinePassed: when transient errors have lasted for ``patience`` with one record.
        :raises ClientError: when the service refuses in a way that no retry changes.
        """
        ahead = min(self._pace.limit * SECONDS_AHEAD, MOST_AHEAD)
        batch = 1 + ahead // BATCHES_AHEAD  # answers to wait for at once: a wake-up for each would cost more
        pending: deque[tuple[Token, Future[Prediction]]] = deque()
        try:
            for token, body in bodies:
                pending.append((token, self._submit(body)))
                if len(pending) > ahead:
                    wait([answer for _, answer in islice(pending, batch)], return_when=FIRST_EXCEPTION)
                    yield _take_first(pending)
                while pending and pending[0][1].done():
                    yield _take_first(pending)
            while pending:
                yield _take_first(pending)
        finally:
            self._close(all_answered=not pending)

    def _submit(self, body: bytes | RefusedRecord) -> Future[Prediction]:
        """Queue a call and return its future; a refused record gets a future that has failed already.

        So a refused record keeps its place in the order of the answers, and costs no slot.
        """
        if isinstance(body, RefusedRecord):
            refused: Future[Prediction] = Future()
            refused.set_exception(body)
            return refused
        if not self._threads:
            self._start_thread()
        call = _QueuedCall(body)
        self._queue.put(call)
        return call.answer

    def _start_thread(self) -> None:
        """Start one more thread, unless there are enough, or as many as the machine allows."""
        if len(self._threads) >= self._most_threads:
            return
        thread = threading.Thread(target=self._work, name=f"predict-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine allows no more
            if not self._threads:
                raise
            self._most_threads = len(self._threads)
        else:
            self._threads.append(thread)

    def _close(self, all_answered: bool) -> None:
        """End the threads, and join them unless calls are still in flight, whose answers nobody needs any more."""
        self._closing = True
        self._queue.put(None)
        if all_answered:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        """Make calls until the engine closes, each after its slot; the class says when the turn passes on."""
        while True:
            with self._turn:
                call = self._queue.get()
                if call is None or self._closing:
                    self._queue.put(None)  # for the thread that has the turn next
                    return
                slot = self._pace.wait()
                if not self._answered:
                    self._make_call(call, slot)
                    continue
                if not self._idle.acquire(blocking=False):
                    self._start_thread()
            self._make_call(call, slot)
            self._idle.release()

    def _make_call(self, call: _QueuedCall, slot: Slot) -> None:
        """Make a call and set its future; any error but a refused record ends all other calls too."""
        try:
            call.answer.set_result(self._predict_with_retries(call.body, slot))
        except RefusedRecord as refused:
            call.answer.set_exception(refused)
        except BaseException as error:
            self._fatal, self._closing = error, True
            call.answer.set_exception(error)

    def _predict_with_retries(self, body: bytes, slot: Slot) -> Prediction:
        """Return the prediction for a body; a retry waits for its back-off, and then for a slot of its own."""
        deadline = self._pace.clock.now() + self._patience
        seconds = FIRST_PAUSE
        while True:
            try:
                with time_limit(max(deadline - self._pace.clock.now(), LEAST_SECONDS)):
                    answer = self._predict(body)
            except Exception as error:
                self._handle_failure(error, deadline)
                self._back_off(error, seconds)
            else:
                self._pace.record_answer(slot)
                self._answered = True
                return answer
            seconds = min(2 * seconds, LONGEST_PAUSE)
            slot = self._pace.wait()

    def _back_off(self, error: Exception, seconds: float) -> None:
        """Pause after a failed attempt; raise its error if the engine closes meanwhile, so that none follows."""
        self._pace.clock.sleep(random.uniform(seconds / 2, seconds))
        if self._closing:
            raise self._fatal or error

    def _handle_failure(self, error: Exception, deadline: float) -> None:
        """Raise the error of an attempt, unless it is transient and time is left; slow down after throttling.

        When the engine closes, the error that closed it is raised instead.

        :raises RefusedRecord: when the error is about this record alone.
        """
        code = errors.code(error)
        if code in REFUSALS:
            self._answered = True
            raise RefusedRecord(f"refused with {code}", str(error)) from None  # the error's text may quote the record
        if self._closing or not errors.is_transient_at_predict(error):
            raise self._fatal or error
        if code in errors.THROTTLING:
            self._pace.lower_rate()
        if code == "PredictorNotMountedException":
            self._check_endpoint(deadline)
        if self._pace.clock.now() > deadline:
            raise DeadlinePassed(f"no prediction within {self._patience:.0f} s; the last error was {code}: {error}")


def _take_first(pending: deque[tuple[Token, Future[Prediction]]]) -> tuple[Token, Prediction | RefusedRecord]:
    """Wait for the first answer and take it; if a time-out interrupts the wait, the answer is still pending."""
    token, answer = pending[0]
    outcome: Prediction | RefusedRecord
    try:
        outcome = answer.result()
    except RefusedRecord as refused:
        outcome = refused
    pending.popleft()
    return token, outcome
