"""Events of assets: what they carry of the resource that a task has made, and that a failed task leaves none."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from airflow_ml_provider.compat import AIRFLOW_3, VERSION
from tests.dags.runs import (
    DAGS,
    FEATURES,
    VALUES,
    expected,
    predicted,
    put_rows,
    run_to_its_end,
    shared_service,
)
from tests.helpers import training

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.dags.runs import Run

pytestmark = pytest.mark.core


def event_class() -> Any:
    """Return Airflow's model of the events of assets."""
    place = "airflow.models.asset:AssetEvent" if AIRFLOW_3 else "airflow.models.dataset:DatasetEvent"
    return pkgutil.resolve_name(place)


def forget_events() -> None:
    """Delete the events of earlier tests."""
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(event_class()).delete()


def events() -> dict[str, list[dict[str, Any]]]:
    """Return the extras of the events of each asset, by its name."""
    from airflow.utils.session import create_session

    found: dict[str, list[dict[str, Any]]] = {}
    with create_session() as session:
        for event in session.query(event_class()).order_by(event_class().id):
            name = event.asset.name if AIRFLOW_3 else event.dataset.uri
            found.setdefault(name, []).append(event.extra)
    return found


def registered(dag: Any) -> None:
    """Make the assets of a Dag known and active, which ``dag.test`` of Airflow 2 and 3.0 leaves to the scheduler."""
    if not AIRFLOW_3:
        dag.sync_to_db()
    elif VERSION < (3, 1):
        activate({asset.name: asset for task in dag.tasks for asset in [*task.inlets, *task.outlets]})


def activate(assets: Any) -> None:
    """Make Airflow 3.0 take assets for those of a Dag that it has read."""
    from airflow.models.asset import AssetActive, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        for name, asset in assets.items():
            if not session.query(AssetModel).filter_by(name=name).count():
                session.add(model := AssetModel.from_public(asset))
                session.flush()
                session.add(AssetActive.for_asset(model))


def prepare(service: AmazonMLLocalFixture) -> None:
    """Put a file of records into the bucket; an endpoint is READY when it has been looked at twice."""
    put_rows(service.client("s3"), "records.csv")
    service.service.ready_after_polls(2)
    service.clock.resume()


class Played(NamedTuple):
    """A run of ``features/outlets.py``, and the events that it has left."""

    states: dict[str, str]
    events: dict[str, list[dict[str, Any]]]
    url: str


@pytest.fixture(scope="module")
def played(airflow_database: None) -> Iterator[Played]:
    """One run for all tests of events: it costs more than all of them."""
    with shared_service() as service:
        training.create_model(service)
        prepare(service)
        forget_events()
        run = run_to_its_end(FEATURES / "outlets.py", registered)
        yield Played(run.states(), events(), service.url)


def test_tasks_that_fail_or_are_skipped_leave_no_event(played: Played) -> None:
    """Every other task leaves one; of a mapped one, each instance that succeeds."""
    unsuccessful = {name: state for name, state in played.states.items() if state != "success"}
    assert unsuccessful == {"failed": "failed", "mapped": "failed", "skipped": "skipped"}
    assert played.events.keys() == played.states.keys() - {"failed", "skipped"}
    assert {len(extras) for extras in played.events.values()} == {1}


EXTRAS: dict[str, dict[str, Any]] = {
    "train": {"MLModelId": "trained", "Status": "COMPLETED", "MLModelType": "BINARY"},
    "not_waited": {"MLModelId": "trained", "EndpointUrl": "the service", "EndpointStatus": "UPDATING"},
    "ready": {"MLModelId": "trained", "EndpointUrl": "the service", "EndpointStatus": "READY"},
    "deferred": {"MLModelId": "ml-1", "EndpointUrl": "the service", "EndpointStatus": "READY"},
    "mapped": {"MLModelId": "ml-1", "EndpointUrl": "the service", "EndpointStatus": "READY"},
    "predict": {
        "MLModelId": "trained", "output_uri": "s3://amazon-ml-demo/out.csv", "rows": len(VALUES), "errors": 0,
    },
    "delete_endpoint": {"MLModelId": "trained", "EndpointStatus": "NONE"},
    "delete": {"MLModelId": "trained", "Status": "DELETED"},
}  # fmt: skip


@pytest.mark.parametrize("asset", EXTRAS)
def test_an_event_says_what_the_service_said_last(played: Played, asset: str) -> None:
    """Also of a task that deferred, and of one that pushes no XCom."""
    expected_extra = {name: played.url if value == "the service" else value for name, value in EXTRAS[asset].items()}
    assert played.events[asset][0].items() >= expected_extra.items()


def test_an_event_has_no_presigned_url(played: Played) -> None:
    """The LogUri of a model lets whoever has it read the log."""
    assert "LogUri" not in played.events["train"][0]


def test_the_consumer_has_what_the_producer_announced(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, ml_model: str
) -> None:
    """The example Dags: the consumer predicts at the announced endpoint, and announces how many rows."""
    prepare(amazon_ml_local)
    forget_events()
    early = run_dag(DAGS / "predict_on_asset.py", registered)
    assert (early.state, early.states()) == ("success", {"announced": "skipped", "predict": "skipped"})

    def look_often(dag: Any) -> None:
        registered(dag)
        dag.get_task("ready").poke_interval = 0.1

    produced = run_dag(DAGS / "deploy_asset.py", look_often, ml_model_id="ml-1")
    assert produced.state == "success", produced.states()
    consumed = run_dag(DAGS / "predict_on_asset.py", registered)
    assert consumed.state == "success", consumed.states()
    assert consumed.xcom("announced", "EndpointUrl") == amazon_ml_local.url
    assert predicted(amazon_ml_local.client("s3"), "announced.csv") == expected()
    (announced,) = events()["churn_predictions"]
    assert (announced["output_uri"], announced["rows"]) == ("s3://amazon-ml-demo/announced.csv", len(VALUES))
