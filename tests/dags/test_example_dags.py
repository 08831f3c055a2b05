"""Each example Dag, run to success on real data."""

from __future__ import annotations

from pathlib import Path

DAGS = Path(__file__).parent.parent.parent / "dags"


def test_realtime_endpoint(run_dag, amazon_ml_local):
    """Train, evaluate, deploy, predict, take down: the endpoint's AUC is the evaluation's, and no endpoint stays."""
    run = run_dag(DAGS / "realtime_endpoint.py")
    assert run.state == "success", run.states()
    compared = run.xcom("compare")
    assert compared["rows"] == 171
    assert compared["evaluation_auc"] > 0.98
    models = amazon_ml_local.client().describe_ml_models()["Results"]
    assert [model["EndpointInfo"]["EndpointStatus"] for model in models] == ["NONE"]
