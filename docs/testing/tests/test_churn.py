"""The Dag, when all goes well and when it does not."""

import pytest

from airflow_ml_provider.compat import AirflowException


def endpoint_status(service):
    """Return the status of the model's endpoint."""
    return service.client().get_ml_model(MLModelId="ml-churn")["EndpointInfo"]["EndpointStatus"]


def test_create_waits_until_ready(dag, service):
    """The task ends when the endpoint is READY: minutes of the service's clock, no time of yours."""
    service.service.durations.set(realtime_endpoint=300)
    assert dag.get_task("create").execute({})["EndpointStatus"] == "READY"
    assert service.requests.count("CreateRealtimeEndpoint") == 1


def test_a_failed_endpoint_fails_the_task_and_is_deleted(dag, service):
    """FAILED is final: the task says why, and what it made does not go on costing money."""
    service.service.fail("RealtimeEndpoint", "ml-churn", message="No capacity left")
    with pytest.raises(AirflowException, match="status FAILED"):
        dag.get_task("create").execute({})
    assert endpoint_status(service) == "NONE"


def test_throttling_is_waited_out(dag, service):
    """Three refused calls cost a longer pause, and nothing else."""
    service.faults.add("throttling", operation="GetMLModel", count=3)
    assert dag.get_task("create").execute({})["EndpointStatus"] == "READY"
    refused = [request for request in service.requests if request.error_code == "ThrottlingException"]
    assert len(refused) == 3


def test_the_whole_dag(dag, service, database):
    """A run from create to delete: the prediction is right, and no endpoint stays."""
    run = dag.test()
    assert run.state == "success"
    predict = run.get_task_instance("predict")
    assert predict.xcom_pull(task_ids="predict")["predictedLabel"] == "1"
    assert endpoint_status(service) == "NONE"
