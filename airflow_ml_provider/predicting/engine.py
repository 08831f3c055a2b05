"""Records in, predictions out, in the same order and at the pace that the endpoint allows."""

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

MOST_IN_FLIGHT = 256
SECONDS_AHEAD = 5  # of the limit: so far calls run on while the oldest is retried or the caller is busy
MOST_AHEAD = 1000
PILES = 50
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
REFUSALS = frozenset({"InvalidInputException", "ValidationException", "RequestEntityTooLargeException"})


@dataclass(slots=True)
class _Call:
    body: bytes
    answer: Future[Prediction] = field(default_factory=Future)


class Engine:
    """Predict for many records at once.

    Threads take turns to wait for the next slot, and one more is started whenever a slot comes and nobody is there to
    wait for the one after it: so there are as many calls in flight as the latency demands. Until the first answer
    calls go one by one, since an endpoint that has just become READY may have no predictor mounted yet.

    :param predict: makes one attempt for one body.
    :param pace: when calls may go.
    :param patience: seconds to go on for with one record while errors that pass come back.
    :param still_there: called when the predictor is not mounted; raises when the endpoint is gone.
    """

    def __init__(
        self,
        predict: Callable[[bytes], Prediction],
        pace: Pace,
        *,
        patience: float = 300.0,
        still_there: Callable[[], None] = lambda: None,
    ) -> None:
        self._pace = pace
        self._predict = predict
        self._patience = patience
        self._still_there = still_there
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._turn = threading.Lock()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self._most_threads = MOST_IN_FLIGHT
        self._answered = self._closing = False
        self._fatal: BaseException | None = None

    def run(
        self, bodies: Iterable[tuple[Token, bytes | RefusedRecord]]
    ) -> Generator[tuple[Token, Prediction | RefusedRecord], None, None]:
        """Yield each token with the prediction for its body, or with why there is none, in the order of the input.

        The input is read by whoever asks for the next prediction, some seconds ahead of the answers.

        :raises DeadlinePassed: when errors that pass did not pass in time for one record.
        :raises ClientError: what the service said, when asking again is of no use.
        """
        ahead = min(self._pace.limit * SECONDS_AHEAD, MOST_AHEAD)
        pile = 1 + ahead // PILES  # so many answers are waited for at once: waking up for each costs more
        pending: deque[tuple[Token, Future[Prediction]]] = deque()
        try:
            for token, body in bodies:
                pending.append((token, self._submit(body)))
                if len(pending) > ahead:
                    wait([answer for _, answer in islice(pending, pile)], return_when=FIRST_EXCEPTION)
                    yield _outcome(*pending.popleft())
                while pending and pending[0][1].done():
                    yield _outcome(*pending.popleft())
            while pending:
                yield _outcome(*pending.popleft())
        finally:
            self._close(all_answered=not pending)

    def _submit(self, body: bytes | RefusedRecord) -> Future[Prediction]:
        if isinstance(body, RefusedRecord):
            refused: Future[Prediction] = Future()
            refused.set_exception(body)
            return refused
        if not self._threads:
            self._start_thread()
        call = _Call(body)
        self._calls.put(call)
        return call.answer

    def _start_thread(self) -> None:
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
        """End the threads; one that waits for an answer that nobody wants any more ends by itself."""
        self._closing = True
        self._calls.put(None)
        for thread in self._threads if all_answered else ():
            thread.join()

    def _work(self) -> None:
        while True:
            with self._turn:
                call = self._calls.get()
                if call is None or self._closing:
                    self._calls.put(None)
                    return
                slot = self._pace.wait()
                if not self._answered:
                    self._answer(call, slot)
                    continue
                if not self._idle.acquire(blocking=False):
                    self._start_thread()
            self._answer(call, slot)
            self._idle.release()

    def _answer(self, call: _Call, slot: Slot) -> None:
        try:
            call.answer.set_result(self._predict_with_retries(call.body, slot))
        except RefusedRecord as refused:
            call.answer.set_exception(refused)
        except BaseException as error:
            self._fatal, self._closing = error, True
            call.answer.set_exception(error)

    def _predict_with_retries(self, body: bytes, slot: Slot) -> Prediction:
        until = self._pace.clock.now() + self._patience
        seconds = FIRST_PAUSE
        while True:
            try:
                with time_limit(max(until - self._pace.clock.now(), LEAST_SECONDS)):
                    answer = self._predict(body)
            except Exception as error:
                self._judge(error, slot, until)
            else:
                self._pace.answered(slot)
                self._answered = True
                return answer
            self._pace.clock.sleep(random.uniform(seconds / 2, seconds))
            seconds = min(2 * seconds, LONGEST_PAUSE)
            slot = self._pace.wait()

    def _judge(self, error: Exception, slot: Slot, until: float) -> None:
        """Return when the call is to be made again, else raise."""
        code = errors.code(error)
        if code in REFUSALS:
            self._answered = True
            raise RefusedRecord(f"refused with {code}", str(error)) from None  # its text may quote the record
        if self._closing or not errors.is_passing_at_predict(error):
            raise self._fatal or error
        if code in errors.THROTTLING:
            self._pace.throttled()
        if code == "PredictorNotMountedException":
            self._still_there()
        if self._pace.clock.now() > until:
            raise DeadlinePassed(f"no prediction within {self._patience:.0f} s; the last error was {code}: {error}")


def _outcome(token: Token, answer: Future[Prediction]) -> tuple[Token, Prediction | RefusedRecord]:
    try:
        return token, answer.result()
    except RefusedRecord as refused:
        return token, refused
