"""What Airflow's UI shows of our tasks, in a real browser: links, assets, the form of an approval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.polling import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.system.commands import Up

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

SECONDS = 240


def finished(up: Up, path: str) -> Any:
    """Wait for the end of a run, and return its state."""
    until(lambda: up.call("GET", path)["state"] in ("success", "failed"), SECONDS, lambda: up.failed(path))
    return up.call("GET", path)["state"]


def pages(up: Up, path: str) -> str:
    """Return the address of a run in the UI."""
    return f"{up.url}{path.removeprefix('/api/v2').replace('/dagRuns/', '/runs/')}"


def opened(page: Page, details: str, name: str) -> Page:
    """Click a link on the page of a task's details, and return the page that it opens."""
    page.goto(details)
    link = page.get_by_role("link", name=name)
    link.first.wait_for(timeout=60_000)
    with page.context.expect_page() as other:
        link.first.click()
    other.value.wait_for_load_state()
    return other.value


def test_a_link_leads_to_the_services_page(up: Up, page: Page) -> None:
    """From a task's page in Airflow to the page of its model in Amazon ML Local."""
    path = up.press("deploy_asset")
    assert finished(up, path) == "success", up.failed(path)
    shown = opened(page, f"{pages(up, path)}/tasks/ready/details", "Amazon Machine Learning")
    assert shown.url == f"http://127.0.0.1:{up.service_port}/_local/MLModel/their-model"
    assert "their-model" in shown.locator("body").inner_text()


def test_a_link_opens_the_evaluation_report(up: Up, page: Page) -> None:
    """From a task's page in Airflow to the report that it has written, with the threshold that it recommends."""
    path = up.press("choose_threshold")
    assert finished(up, path) == "success", up.failed(path)
    shown = opened(page, f"{pages(up, path)}/tasks/report/details", "Evaluation report")
    best = up.call("GET", f"{path}/taskInstances/report/xcomEntries/BestThreshold")["value"]
    assert f"Best threshold: {best}" in shown.locator("body").inner_text()
    assert shown.locator("svg").count() >= 4


def test_the_graph_of_assets_joins_producer_and_consumer(up: Up, page: Page) -> None:
    """The asset of the endpoint stands between the Dag that deploys and the Dag that predicts, which it starts."""
    up.call("PATCH", "/api/v2/dags/predict_on_asset", {"is_paused": False})
    path = up.press("deploy_asset")
    assert finished(up, path) == "success", up.failed(path)

    def consumers() -> list[Any]:
        runs = up.call("GET", "/api/v2/dags/predict_on_asset/dagRuns?limit=100")["dag_runs"]
        return [run["state"] for run in runs if run["run_type"].startswith("asset")]

    until(lambda: "success" in consumers(), SECONDS, consumers)
    (asset,) = up.call("GET", "/api/v2/assets?name_pattern=churn_endpoint")["assets"]
    page.goto(f"{up.url}/assets/{asset['id']}")
    for name in ("deploy_asset", "churn_endpoint", "predict_on_asset"):
        page.locator(".react-flow__node", has_text=name).first.wait_for(timeout=60_000)


def waiting_for_approval(up: Up) -> Any:
    """Start the Dag that asks a person, and return the path of its run when it waits for an answer."""
    path = up.press("approve_and_deploy")
    task = f"{path}/taskInstances/approve"
    until(lambda: up.call("GET", task)["state"] == "awaiting_input", SECONDS, lambda: up.failed(path))
    return path


def decided(up: Up, path: str, option: Any) -> Any:
    """Answer the form as often as it is shown, wait for the end of the run, and return its state."""

    def over() -> bool:
        up.answer(path, "approve", option)
        return up.call("GET", path)["state"] in ("success", "failed")

    until(over, SECONDS, lambda: up.failed(path))
    return up.call("GET", path)["state"]


def deploy_state(up: Up, path: str) -> Any:
    """Return the state of the task behind the form."""
    return up.call("GET", f"{path}/taskInstances/deploy")["state"]


def test_a_person_approves_in_the_form(up: Up, page: Page) -> None:
    """The form shows both metrics and their difference; approved, the new model is deployed."""
    path = waiting_for_approval(up)
    page.goto(f"{pages(up, path)}/tasks/approve/required_actions")
    page.get_by_text("their-model").first.wait_for(timeout=60_000)
    text = page.locator("body").inner_text()
    assert all(word in text for word in ("BinaryAUC", "deployed: their-model", "difference"))
    page.get_by_role("button", name="Approve", exact=True).click()
    assert finished(up, path) == "success", up.failed(path)
    assert deploy_state(up, path) == "success"


def test_a_person_rejects_through_the_api(up: Up) -> None:
    """Rejected, nothing is deployed, and the run succeeds; the form's text is the same there."""
    path = waiting_for_approval(up)
    (form,) = up.call("GET", f"{path}/hitlDetails")["hitl_details"]
    assert form["subject"].startswith("Deploy approve_and_deploy.train-")
    assert "| deployed: their-model |" in form["body"]
    assert decided(up, path, "Reject") == "success", up.failed(path)
    assert deploy_state(up, path) == "skipped"


def test_a_person_approves_through_the_api(up: Up) -> None:
    """Approved, the new model has an endpoint that is READY."""
    path = waiting_for_approval(up)
    assert decided(up, path, "Approve") == "success", up.failed(path)
    model = up.call("GET", f"{path}/taskInstances/train/xcomEntries/return_value")["value"].strip('"')
    assert up.service().get_ml_model(MLModelId=model)["EndpointInfo"]["EndpointStatus"] == "READY"
