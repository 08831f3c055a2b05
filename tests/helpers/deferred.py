"""Run what a task defers as the triggerer does, by the service's clock: no triggerer, no database, nobody sleeps."""

from __future__ import annotations

import asyncio
import pkgutil
import selectors
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from airflow_ml_provider.compat import TaskDeferred

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger, TriggerEvent

    from airflow_ml_provider.compat import Context
    from amazon_ml_local.clock import Clock


class _Selector(selectors.DefaultSelector):
    """A selector that advances the service's time in place of ours, but only while no thread is at work."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.at_work = clock, 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout and timeout > 0:
            if not self.at_work:
                self.clock.sleep(timeout)
                timeout = 0
            else:
                timeout = None if self.clock.frozen else timeout / self.clock.speed
        return super().select(timeout)


class ServiceLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the service's."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.selector = clock, _Selector(clock)
        super().__init__(self.selector)
        self._clock_resolution = 0.001  # epoch seconds are no finer than a microsecond

    def time(self) -> float:
        return self.clock.now()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        self.selector.at_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._done)
        return future

    async def shutdown_default_executor(self, *timeout: float | None) -> None:
        """Join the threads of the executor, for which asyncio sets a timeout of its own from Python 3.12 on."""
        self.selector.at_work += 1
        try:
            await super().shutdown_default_executor(*timeout)
        finally:
            self.selector.at_work -= 1

    def _done(self, _: object) -> None:
        self.selector.at_work -= 1


def run_in_loop(clock: Clock, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine to its end, by the service's clock."""
    with asyncio.Runner(loop_factory=lambda: ServiceLoop(clock)) as runner:
        return runner.run(main())


def reloaded(trigger: BaseTrigger) -> BaseTrigger:
    """Make the trigger anew out of what Airflow keeps of it."""
    name, arguments = trigger.serialize()
    again: BaseTrigger = pkgutil.resolve_name(name)(**arguments)
    return again


async def first_event(trigger: BaseTrigger) -> TriggerEvent:
    """Run the trigger until it fires."""
    async for event in reloaded(trigger).run():
        return event
    raise AssertionError("the trigger ended without an event")


def finish(task: Any, clock: Clock, context: Context | None = None) -> Any:
    """Execute a task; as often as it defers, run the trigger and resume it with the event."""
    context = {} if context is None else context
    try:
        return task.execute(context)
    except TaskDeferred as deferred:
        return resume(task, clock, context, deferred)


def resume(task: Any, clock: Clock, context: Context, deferred: TaskDeferred) -> Any:
    """Run the trigger of a deferred task, and go on with the task as Airflow does."""
    trigger = deferred.trigger
    event = run_in_loop(clock, lambda: first_event(trigger))
    kwargs = {**(deferred.kwargs or {}), "event": event.payload}
    try:
        return task.resume_execution(deferred.method_name, kwargs, context)
    except TaskDeferred as again:
        return resume(task, clock, context, again)
