"""Each example Dag, run to success on real data; approve_and_deploy, which asks a person, by make test-system."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AIRFLOW_3
from tests.dags.runs import DAGS

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.dags.runs import Run

WHOLE_DAG = re.compile(r"```python\n(from airflow\.sdk import DAG\n.*?)```\n", re.DOTALL)


def endpoints(service: AmazonMLLocalFixture) -> dict[str, Any]:
    """Return the status of each model's endpoint."""
    models = service.client().describe_ml_models()["Results"]
    return {model["MLModelId"]: model["EndpointInfo"]["EndpointStatus"] for model in models}


def point_to(dag: Any, ml_model: Any) -> None:
    """Point every task to a model of the test's, which knows x alone."""
    for task in dag.tasks:
        task.ml_model_id = ml_model
    dag.get_task("predict").record = {"x": 35}


@pytest.mark.core
def test_realtime_endpoint(run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Train, evaluate, deploy, predict, delete: the endpoint's AUC is the evaluation's, and no endpoint stays."""
    run = run_dag(DAGS / "realtime_endpoint.py")
    assert run.state == "success", run.states()
    compared = run.xcom("compare")
    assert compared["rows"] == 171
    assert compared["evaluation_auc"] > 0.98
    assert len(run.xcom("predict")) == 10
    assert list(endpoints(amazon_ml_local).values()) == ["NONE"]


def test_batch_prediction(run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Train, evaluate, pass the gate, predict for all unseen rows, read the results back, and tag them.

    The error of the predictions that are read back is the evaluation's.
    """
    run = run_dag(DAGS / "batch_prediction.py")
    assert run.state == "success", run.states()
    assert run.xcom("good_enough", "Metric") == "RegressionRMSE"
    assert run.xcom("predict", "TotalRecordCount") == 133
    assert run.xcom("root_mean_squared_error") == pytest.approx(run.xcom("good_enough", "Value"), rel=1e-4)
    tags = amazon_ml_local.client().describe_tags(ResourceId=run.xcom("predict"), ResourceType="BatchPrediction")[
        "Tags"
    ]
    assert tags == [{"Key": "records", "Value": "133"}]


def test_mapped_predictions(run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Each batch is predicted by a task of its own; nearly all wines are told apart, and no endpoint stays."""
    run = run_dag(DAGS / "mapped_predictions.py")
    assert run.state == "success", run.states()
    assert [len(run.xcom("predict", map_index=place)) for place in range(3)] == [20, 20, 14]
    assert run.xcom("accuracy") > 0.9
    assert list(endpoints(amazon_ml_local).values()) == ["NONE"]


def test_external_endpoint(run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, ml_model: str) -> None:
    """The sensors see what somebody else makes, and the prediction goes to that endpoint, which is left alone."""
    amazon_ml_local.service.ready_after_polls(2)
    amazon_ml_local.clock.resume()
    amazon_ml_local.client().create_realtime_endpoint(MLModelId=ml_model)

    def look_often(dag: Any) -> None:
        dag.get_task("ready").poke_interval = 0.1

    run = run_dag(DAGS / "external_endpoint.py", look_often, ml_model_id=ml_model, record={"x": 35})
    assert run.state == "success", run.states()
    assert run.xcom("ready", "EndpointStatus") == "READY"
    assert run.xcom("predict")["predictedLabel"] == "1"
    assert endpoints(amazon_ml_local) == {ml_model: "READY"}


@pytest.fixture
def run_short_dag(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, ml_model: str
) -> Callable[[Path, str], None]:
    """Run one of the plainest Dags, and look at how it went; ``waiting`` is the task that waits for the endpoint."""

    def run(path: Path, waiting: Any) -> None:
        amazon_ml_local.service.ready_after_polls(2)
        amazon_ml_local.clock.resume()

        def look_often(dag: Any) -> None:
            point_to(dag, ml_model)
            dag.get_task(waiting).poke_interval = dag.get_task(waiting).waiter_delay = 0.1

        run = run_dag(path, look_often)
        assert run.state == "success", run.states()
        assert run.xcom(waiting, "EndpointStatus") == "READY"
        assert run.xcom("predict")["predictedLabel"] == "1"
        assert endpoints(amazon_ml_local) == {ml_model: "NONE"}

    return run


@pytest.mark.parametrize(("name", "waiting"), [("deploy_and_predict", "ready"), ("deploy_and_predict_short", "create")])
def test_deploy_and_predict(run_short_dag: Callable[[Path, str], None], name: str, waiting: str) -> None:
    """The plainest Dags: the prediction comes after READY, and no endpoint stays."""
    run_short_dag(DAGS / f"{name}.py", waiting)


@pytest.mark.skipif(not AIRFLOW_3, reason="the pages import from airflow.sdk")
@pytest.mark.parametrize(
    ("page", "waiting"),
    [("README.md", "ready"), ("docs/tutorial.md", "ready"), ("docs/howto/realtime-endpoint.md", "create")],
)
def test_the_dags_on_pages(run_short_dag: Callable[[Path, str], None], tmp_path: Path, page: str, waiting: str) -> None:
    """A whole Dag on a page runs as it stands there."""
    (code,) = WHOLE_DAG.findall((DAGS.parent / page).read_text())
    path = tmp_path / "on_a_page.py"
    path.write_text(code)
    run_short_dag(path, waiting)


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 has no AssetWatcher")
def test_endpoint_events(run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, ml_model: str) -> None:
    """What the event trigger starts predicts at the endpoint that has become READY, and leaves it alone."""
    amazon_ml_local.service.durations.set(realtime_endpoint=0)
    amazon_ml_local.client().create_realtime_endpoint(MLModelId=ml_model)
    run = run_dag(DAGS / "endpoint_events.py", lambda dag: point_to(dag, ml_model))
    assert run.state == "success", run.states()
    assert run.xcom("predict")["predictedLabel"] == "1"
    assert endpoints(amazon_ml_local) == {ml_model: "READY"}


def test_retrain_and_replace(run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture) -> None:
    """The first model is deployed as there is none; a later one, trained on more rows, takes its place."""
    first = run_dag(DAGS / "retrain_and_replace.py", rows=80)
    assert first.state == "success", first.states()
    assert first.states()["retire"] == "skipped"
    second = run_dag(DAGS / "retrain_and_replace.py")
    assert second.state == "success", second.states()
    assert second.xcom("better", "Value") > second.xcom("better", "DeployedValue")
    assert endpoints(amazon_ml_local) == {first.xcom("train"): "NONE", second.xcom("train"): "READY"}


def test_a_dag_that_keeps_its_endpoint_cleans_up_after_a_failed_create(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """A create that was killed could not: ``undo`` runs if create has failed, and only then."""
    amazon_ml_local.faults.add("error", operation="CreateRealtimeEndpoint", code="InvalidInputException")
    failed = run_dag(DAGS / "retrain_and_replace.py", rows=80)
    assert (failed.states()["create_endpoint"], failed.states()["undo"]) == ("failed", "success")
    amazon_ml_local.faults.clear()
    assert run_dag(DAGS / "retrain_and_replace.py", rows=80).states()["undo"] == "skipped"


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_every_parameter_is_described(path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form behind the play button says what each parameter is."""
    monkeypatch.syspath_prepend(DAGS)
    dag: Any = runpy.run_path(str(path)).get("dag")
    parameters: Any = dag.params if dag else {}
    for name in parameters:
        assert parameters.get_param(name).description, name


def test_dag_files_cost_nothing_to_parse() -> None:
    """Parsing them loads no boto3, no hook, no service and no data set's library: tasks do, when they run."""
    heavy = {"boto3", "botocore", "sklearn", "numpy", "matplotlib", "airflow_ml_provider.hooks.machine_learning"}
    code = f"""
import runpy, sys
sys.path.insert(0, {str(DAGS)!r})
for path in {[str(path) for path in DAGS.glob("*.py")]!r}:
    runpy.run_path(path)
print(sorted({heavy!r} & set(sys.modules)))
"""
    parsed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert parsed.stdout.splitlines()[-1:] == ["[]"], parsed.stderr
