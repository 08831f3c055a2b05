"""Events of assets: what they carry of the thing that a task has made, and that a failed task leaves none."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AIRFLOW_3, VERSION
from tests.dags.runs import DAGS, FEATURES, VALUES, expected, predicted, put_rows

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.dags.runs import Run

pytestmark = pytest.mark.core


@pytest.fixture
def events(airflow_database: None) -> Callable[[], dict[str, list[dict[str, Any]]]]:
    """Return the extras of the events of each asset, by its name; those of earlier tests are deleted."""
    from airflow.utils.session import create_session

    place = "airflow.models.asset:AssetEvent" if AIRFLOW_3 else "airflow.models.dataset:DatasetEvent"
    Event = pkgutil.resolve_name(place)

    with create_session() as session:
        session.query(Event).delete()

    def read() -> Any:
        found: dict[str, list[dict[str, Any]]] = {}
        with create_session() as session:
            for event in session.query(Event).order_by(Event.id):
                name = event.asset.name if AIRFLOW_3 else event.dataset.uri
                found.setdefault(name, []).append(event.extra)
        return found

    return read


@pytest.fixture
def s3(amazon_ml_local: AmazonMLLocalFixture, bucket: str, ml_model: str) -> S3Client:
    """A client of the bucket, with a file of records; an endpoint is READY when it has been looked at twice."""
    client = amazon_ml_local.client("s3")
    put_rows(client, "records.csv")
    amazon_ml_local.service.ready_after_polls(2)
    amazon_ml_local.clock.resume()
    return client


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


def test_events_carry_the_description(
    run_dag: Callable[..., Run],
    amazon_ml_local: AmazonMLLocalFixture,
    s3: S3Client,
    events: Callable[[], dict[str, list[dict[str, Any]]]],
) -> None:
    """Each event says what the service said last; tasks that fail or are skipped leave none."""
    run = run_dag(FEATURES / "outlets.py", registered)
    assert {name: state for name, state in run.states().items() if state != "success"} == {
        "failed": "failed",
        "mapped": "failed",
        "skipped": "skipped",
    }
    found = events()
    endpoint = {"MLModelId": "trained", "EndpointUrl": amazon_ml_local.url}
    assert found.keys() == {
        "train", "not_waited", "ready", "deferred", "predict", "delete_endpoint", "delete", "mapped"
    }  # fmt: skip
    assert all(len(extras) == 1 for extras in found.values())
    (train,), (not_waited,), (ready,) = found["train"], found["not_waited"], found["ready"]
    assert train.items() >= {"MLModelId": "trained", "Status": "COMPLETED", "MLModelType": "BINARY"}.items()
    assert "LogUri" not in train, "as it is a presigned URL"
    assert not_waited.items() >= {**endpoint, "EndpointStatus": "UPDATING"}.items()
    assert ready.items() >= {**endpoint, "EndpointStatus": "READY"}.items()
    for name in ("deferred", "mapped"):
        assert found[name][0].items() >= {**endpoint, "MLModelId": "ml-1", "EndpointStatus": "READY"}.items(), name
    assert (
        found["predict"][0].items()
        >= {
            "MLModelId": "trained",
            "output_uri": "s3://amazon-ml-demo/out.csv",
            "rows": len(VALUES),
            "errors": 0,
        }.items()
    )
    assert found["delete_endpoint"][0].items() >= {"MLModelId": "trained", "EndpointStatus": "NONE"}.items()
    assert found["delete"] == [{"MLModelId": "trained", "Status": "DELETED"}]


def test_the_consumer_has_what_the_producer_announced(
    run_dag: Callable[..., Run],
    amazon_ml_local: AmazonMLLocalFixture,
    s3: S3Client,
    events: Callable[[], dict[str, list[dict[str, Any]]]],
) -> None:
    """The example Dags: the consumer predicts at the announced endpoint, and announces how many rows."""
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
    assert predicted(s3, "announced.csv") == expected()
    (announced,) = events()["churn_predictions"]
    assert (announced["output_uri"], announced["rows"]) == ("s3://amazon-ml-demo/announced.csv", len(VALUES))
