"""What befalls the runs of the endpoint matrix: by model, at the very request, in the process that sent it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from amazon_ml_local.errors import ServiceError
from amazon_ml_local.protocol import error_answer
from amazon_ml_local.serving import server

if TYPE_CHECKING:
    import pytest

    from amazon_ml_local.fixture import AmazonMLLocalFixture

SENDER = threading.local()  # the port from which the request that a thread answers has come


@dataclass
class Happening:
    """Something that happens once, or each time, when a model is asked for an operation."""

    operation: str
    when: str
    act: Callable[[], object]
    skip: int = 0
    for_ever: bool = False


@dataclass
class Stage:
    """The service, and what is to happen to which model."""

    fixture: AmazonMLLocalFixture
    scheduler: Callable[[], psutil.Process]
    keeps_workers: bool
    happenings: dict[str, list[Happening]] = field(default_factory=dict)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand between the service and its callers."""
        answer, handle = server.Handler._answer, self.fixture.service.handle

        def remember(handler: Any, request: Any) -> Any:
            SENDER.port = handler.client_address[1]
            return answer(handler, request)

        patch.setattr(server.Handler, "_answer", remember)
        patch.setattr(self.fixture.service, "handle", lambda request: self.handle(request, handle))

    def handle(self, request: Any, handle: Any) -> Any:
        """Answer a request, and let happen what is due before and after."""
        operation = request.header("x-amz-target").partition(".")[2]
        members = json.loads(request.body or b"{}")
        model = members.get("MLModelId") or members.get("ResourceId")
        refusal = self.due(model, operation, "before")
        response = refusal if refusal is not None else handle(request)
        self.due(model, operation, "after")
        return response

    def due(self, model: str, operation: str, when: Any) -> Any:
        """Run what is due; return the answer if that is one."""
        for happening in list(self.happenings.get(model, ())):
            if (happening.operation, happening.when) != (operation, when):
                continue
            if happening.skip:
                happening.skip -= 1
                continue
            result = happening.act()
            if result is not False and not happening.for_ever:
                self.happenings[model].remove(happening)
            return result if hasattr(result, "status") else None
        return None

    def refuse(self) -> Any:
        """Answer as the service does to bad input."""
        return error_answer(ServiceError("InvalidInputException", "as intended", 400))

    def kill_sender(self) -> bool:
        """Kill -9 the process that has sent the request that is being answered, and Airflow's own that runs it."""
        if not (sender := self.sender()):
            return False
        chain, scheduler = [sender], self.scheduler()
        while (parent := chain[-1].parent()) and parent.pid != scheduler.pid:
            chain.append(parent)
        if parent is None:  # it is the triggerer
            return False
        for process in chain[: -1 if self.keeps_workers and len(chain) > 1 else None]:
            process.kill()
        return True

    @staticmethod
    def sender() -> psutil.Process | None:
        """Return the process at the other end of the connection; /proc may show it a moment late."""
        for _ in range(20):
            for one in psutil.net_connections("tcp4"):
                if one.laddr and one.laddr.port == SENDER.port and one.pid:
                    return psutil.Process(one.pid)
            time.sleep(0.1)
        return None
