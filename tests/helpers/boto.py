"""What boto3 finds out anew for each session and client, shared by all of them: tests create thousands."""

from __future__ import annotations

from functools import cache, partial
from inspect import CO_VARKEYWORDS
from typing import TYPE_CHECKING, Any

from botocore import hooks, regions, session
from botocore.client import ClientCreator

if TYPE_CHECKING:
    import pytest


def share(patch: pytest.MonkeyPatch) -> None:
    """Share the services' models, the methods of clients, the rules of endpoints and the names of events."""
    aliaser = hooks.EventAliaser(hooks.HierarchicalEmitter())
    alias = partial(vars(hooks.EventAliaser)["_alias_event_name"], aliaser)  # it remembers what it has found
    patch.setattr(hooks.EventAliaser, "_alias_event_name", lambda _, event_name: alias(event_name))
    patch.setattr(session, "create_loader", cache(session.create_loader))
    for owner, name, once in (
        (ClientCreator, "_load_service_model", _once_a_service),
        (ClientCreator, "_create_methods", _once_a_model),
        (regions, "EndpointProvider", _once_a_ruleset),
        (hooks, "accepts_kwargs", _by_flags),
    ):
        patch.setattr(owner, name, once(getattr(owner, name)))


def _once_a_service(load: Any) -> Any:
    known: dict[object, object] = {}

    def model(creator: Any, service_name: str, api_version: str | None = None) -> object:
        key = (creator._loader, service_name, api_version)
        if key not in known:
            known[key] = load(creator, service_name, api_version)
        return known[key]

    return model


def _once_a_model(create: Any) -> Any:
    known: dict[object, dict[str, object]] = {}

    def methods(creator: Any, service_model: object) -> dict[str, object]:
        key = (type(creator), service_model)
        if key not in known:
            known[key] = create(creator, service_model)
        return dict(known[key])  # its caller adds to it

    return methods


def _once_a_ruleset(provider: Any) -> Any:
    known: dict[object, tuple[object, ...]] = {}

    def found(ruleset_data: Any, partition_data: Any, **more: Any) -> object:
        key = (id(ruleset_data), id(partition_data))
        if key not in known:  # whose data are kept too, so that nothing else gets their ids
            known[key] = provider(ruleset_data, partition_data, **more), ruleset_data, partition_data
        return known[key][0]

    return found


def _by_flags(accepts_kwargs: Any) -> Any:
    """Ask the code of a handler whether it takes any keyword; its whole signature is computed for each session."""

    def accepts(handler: Any) -> bool:
        code = getattr(getattr(handler, "__func__", handler), "__code__", None)
        return bool(code.co_flags & CO_VARKEYWORDS) if code else accepts_kwargs(handler)

    return accepts
