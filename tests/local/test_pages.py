"""Pages for a browser: what they show, that everything in them is escaped, and that they change nothing."""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import psutil
import pytest

from amazon_ml_local import AmazonMLLocal
from amazon_ml_local.learning import Confusion, Evaluated, Residuals, Scores
from amazon_ml_local.serving import serve
from tests.helpers.clients import client_at
from tests.helpers.three_targets import DATA, HOUR, TARGETS

HOSTILE = "<script>alert('1')</script>&\"'"


def titled(headers: Any) -> dict[str, str]:
    """Return headers by their names in title case."""
    return {name.title(): value for name, value in headers.items()}


@pytest.fixture
def url(service: AmazonMLLocal) -> Iterator[str]:
    """Where the service answers."""
    with serve(service) as server:
        yield server.url


@pytest.fixture
def browse(url: str) -> Callable[..., tuple[int, dict[str, str], str]]:
    """Open a page as a browser does: ``browse(path)`` returns status, headers and text."""

    def get(path: str, accept: str = "text/html,*/*;q=0.8") -> tuple[int, dict[str, str], str]:
        request = urllib.request.Request(url + path, headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, titled(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, titled(error.headers), error.read().decode()

    return get


@pytest.fixture
def evaluation(client: Any, service: AmazonMLLocal, model: Callable[..., str], data_source: Any) -> Callable[..., str]:
    """Create a COMPLETED evaluation of a model of that type on the rows that it learned from."""

    def create(model_type: str = "BINARY") -> str:
        model("ml-1", model_type)
        client.create_evaluation(EvaluationId="ev-1", MLModelId="ml-1", EvaluationDataSourceId="ds-of-ml-1")
        service.clock.advance(HOUR)
        assert client.get_evaluation(EvaluationId="ev-1")["Status"] == "COMPLETED"
        return "/_local/Evaluation/ev-1"

    return create


def words(page: str) -> str:
    """Return the text of a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_the_root_shows_what_there_is(browse: Any, service: AmazonMLLocal, client: Any, endpoint: Any) -> None:
    """Entities and endpoints with status and age, levers, faults, orders to fail, the latest requests."""
    endpoint("ml-1")
    client.update_ml_model(MLModelId="ml-1", MLModelName="my model")
    service.faults.add("throttling", operation="GetMLModel", count=3)
    service.fail("Evaluation", "ev-9", "No luck")
    status, _, page = browse("/")
    text = words(page)
    assert status == 200
    for wanted in (
        "ml-1 READY 1.0 h 200",
        "ml-1 my model COMPLETED 2.0 h us-east-1",
        "ds-of-ml-1 COMPLETED 2.0 h us-east-1",
        "Clock stands still",
        "throttling GetMLModel 3 before",
        "Evaluation ev-9 No luck",
        "UpdateMLModel ml-1 200",
    ):
        assert wanted in text


def test_the_urls_of_endpoints_lead_browsers_to_the_root_and_its_models(browse: Any, url: str, endpoint: Any) -> None:
    """EndpointUrl has no path, as AWS's has none: a browser gets the page there, with a link to the model's."""
    endpoint("ml-1")
    assert client_at(url).get_ml_model(MLModelId="ml-1")["EndpointInfo"]["EndpointUrl"] == url
    page = browse("/")[2]
    (path,) = set(re.findall(r'href="(/_local/MLModel/ml-1\?[^"]*)"', page))
    assert "MLModel ml-1" in words(browse(unescape(path))[2])


@pytest.mark.parametrize("signed", ["/?X-Amz-Signature=00", "/?Signature=00"])
def test_s3_clients_get_their_buckets_from_the_root(browse: Any, url: str, signed: str) -> None:
    """By the SDK, by a URL that was signed, or without a wish for HTML."""
    s3 = client_at(url, "s3")
    s3.create_bucket(Bucket="data")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["data"]
    assert "ListAllMyBucketsResult" in browse("/", accept="*/*")[2]
    assert "<html" not in browse(signed)[2]


def test_a_model_has_its_recipe_parameters_schema_endpoint_and_log(browse: Any, client: Any, endpoint: Any) -> None:
    endpoint("ml-1")
    client.add_tags(ResourceId="ml-1", ResourceType="MLModel", Tags=[{"Key": "who", "Value": "me"}])
    text = words(browse("/_local/MLModel/ml-1")[2])
    for wanted in ("COMPLETED", '"outputs":', "sgd.maxPasses 10", '"attributeName": "x"', "EndpointStatus READY",
                   "The model has", "who me"):  # fmt: skip
        assert wanted in text


@pytest.mark.parametrize("kind", ["DataSource", "BatchPrediction"])
def test_the_other_kinds_have_pages_too(
    browse: Any, service: AmazonMLLocal, client: Any, model: Any, kind: str
) -> None:
    model("ml-1")
    client.create_batch_prediction(
        BatchPredictionId="ds-of-ml-1", MLModelId="ml-1", BatchPredictionDataSourceId="ds-of-ml-1", OutputUri="s3://b/o"
    )
    service.clock.advance(HOUR)
    client.get_batch_prediction(BatchPredictionId="ds-of-ml-1")
    text = words(browse(f"/_local/{kind}/ds-of-ml-1")[2])
    assert f"{kind} ds-of-ml-1 COMPLETED" in text
    assert DATA in text


def test_a_binary_evaluation_shows_what_a_threshold_does(
    browse: Any, evaluation: Callable[..., str], service: Any
) -> None:
    """Every record is one of the four answers, and the measures follow from those."""
    page = evaluation("BINARY")
    found = service.state.region("us-east-1").get("Evaluation", "ev-1").job.result()
    for threshold in (0.0, 0.25, 0.5, 1.0):
        at = found.counts.at(threshold)
        assert sum(at) == 60
        text = words(browse(f"{page}?threshold={threshold}")[2])
        assert (
            f"true 1 {at.false_negatives} {at.true_positives} true 0 {at.true_negatives} {at.false_positives}" in text
        )
    assert "Recall 1.0000" in words(browse(f"{page}?threshold=0")[2])
    assert "Precision –" in words(browse(f"{page}?threshold=1")[2])
    assert 'id="threshold"' in browse(page)[2]


def test_a_threshold_counts_records_as_predict_answers_them(service: Any, client: Any, evaluation: Any) -> None:
    """Also at a score that is a whole thousandth."""
    evaluation("BINARY")
    scores = Scores([0] * 1001, [0] * 1001)
    scores.zeros[250], scores.ones[250], scores.ones[249] = 1, 2, 4
    assert scores.at(0.25) == (2, 1, 4, 0)
    assert scores.at(0.251) == (0, 0, 6, 1)


@pytest.mark.parametrize("wrong", ["-1", "1.5", "nan", "x"])
def test_a_threshold_that_is_none_is_refused(browse: Any, evaluation: Callable[..., str], wrong: str) -> None:
    status, _, page = browse(f"{evaluation('BINARY')}?threshold={wrong}")
    assert status == 400
    assert f"threshold must be a number in 0..1, not '{wrong}'" in words(page)


def test_a_multiclass_evaluation_shows_its_confusion_matrix(
    browse: Any, evaluation: Callable[..., str], service: Any
) -> None:
    page = evaluation("MULTICLASS")
    counts = service.state.region("us-east-1").get("Evaluation", "ev-1").job.result().counts
    assert isinstance(counts, Confusion)
    assert [sum(row) for row in counts.rows] == [20, 20, 20, 0]
    text = words(browse(page)[2])
    assert "true label answer low answer middle answer high F1" in text
    assert f"low {counts.rows[0][0]} {counts.rows[0][1]} {counts.rows[0][2]}" in text
    assert "any other label" not in text


def test_a_regression_evaluation_shows_its_residuals(browse: Any, evaluation: Callable[..., str], service: Any) -> None:
    page = evaluation("REGRESSION")
    counts = service.state.region("us-east-1").get("Evaluation", "ev-1").job.result().counts
    assert isinstance(counts, Residuals)
    assert sum(counts.counts) == 60
    assert f"True value above the predicted one {counts.above} records" in words(browse(page)[2])


@pytest.mark.parametrize("model_type", ["BINARY", "REGRESSION"])
def test_charts_are_drawn_as_svg_without_scripts(browse: Any, evaluation: Callable[..., str], model_type: str) -> None:
    page = browse(evaluation(model_type))[2]
    (source,) = re.findall(r'<img src="([^"]*)"', page)
    status, headers, svg = browse(unescape(source))
    assert (status, headers["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")
    assert "<script" not in svg
    assert svg.startswith("<svg")
    assert "prefers-color-scheme: dark" in svg


def test_a_confusion_matrix_is_a_table_and_no_chart(browse: Any, evaluation: Callable[..., str]) -> None:
    page = evaluation("MULTICLASS")
    assert "<img" not in browse(page)[2]
    assert browse("/_local/Evaluation/ev-1/chart.svg")[0] == 404


def test_a_chart_leaves_nothing_in_the_service(browse: Any, evaluation: Callable[..., str]) -> None:
    """A process of its own loads matplotlib, so that no call waits for that, and ends with the drawing."""
    evaluation()
    loaded = set(sys.modules)
    assert browse("/_local/Evaluation/ev-1/chart.svg?threshold=0.123")[0] == 200
    assert not [name for name in set(sys.modules) - loaded if name.startswith("matplotlib")]
    assert not [each for each in psutil.Process().children() if "amazon_ml_local.worker" in each.cmdline()]


def test_an_evaluation_without_counts_says_so(browse: Any, evaluation: Callable[..., str], service: Any) -> None:
    """One that an earlier version kept."""
    page = evaluation()
    entity = service.state.region("us-east-1").get("Evaluation", "ev-1")
    entity.job = type(entity.job)()
    entity.job.set_result(Evaluated({"BinaryAUC": "0.5"}, None))
    assert "kept no more than the metric" in words(browse(page)[2])
    assert browse("/_local/Evaluation/ev-1/chart.svg")[0] == 404


@pytest.mark.parametrize(
    "path",
    ["/_local/MLModel/no", "/_local/MLModel/ml-1?region=eu-west-1", "/_local/Evaluation/no/chart.svg",
     f"/_local/MLModel/{urllib.parse.quote(HOSTILE, safe='')}"],
)  # fmt: skip
def test_what_is_not_there_is_named(browse: Any, model: Any, path: str) -> None:
    model("ml-1")
    status, headers, page = browse(path)
    assert status == 404
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert re.search("There is no (MLModel|Evaluation) with the id ", words(page))
    assert "<script" not in page


def test_everything_is_escaped(browse: Any, service: AmazonMLLocal, client: Any, data_source: Any) -> None:
    """Names, messages, tags, ids in requests, whatever somebody wrote."""
    data_source()
    client.update_data_source(DataSourceId="ds-1", DataSourceName=HOSTILE)
    service.fail("DataSource", "ds-1", HOSTILE)
    service.fail("MLModel", HOSTILE, HOSTILE)
    service.clock.advance(HOUR)
    with pytest.raises(client.exceptions.ClientError):
        client.get_ml_model(MLModelId=HOSTILE)
    for path in ("/", "/_local/DataSource/ds-1"):
        page = browse(path)[2]
        assert "<script" not in page
        assert HOSTILE in unescape(page)


def test_records_of_people_are_not_shown(browse: Any, client: Any, endpoint: Any) -> None:
    url = endpoint("ml-1")
    client.predict(MLModelId="ml-1", Record={"x": "31337.5"}, PredictEndpoint=url)
    page = browse("/")[2]
    assert "Predict ml-1 200" in words(page)
    assert "31337.5" not in page


@pytest.mark.parametrize("path", ["/", "/_local/MLModel/ml-1", "/_local/page.css", "/_local/Evaluation/ev-1/chart.svg"])
def test_pages_run_no_scripts_and_load_nothing_from_elsewhere(browse: Any, evaluation: Any, path: str) -> None:
    evaluation()
    status, headers, page = browse(path)
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src ")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not re.findall(r"""(?:src|href|action)=["'](?!/|data:,|http://127\.0\.0\.1|#)[^"']*""", page)


def test_what_s3_serves_is_sandboxed(browse: Any, url: str) -> None:
    """A stored page would be of the service's own origin, and its scripts could use the levers."""
    s3 = client_at(url, "s3")
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="page.html", Body=b"<script>1</script>", ContentType="text/html")
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": "data", "Key": "page.html"})
    status, headers, _ = browse(signed.removeprefix(url))
    assert (status, headers["Content-Type"]) == (200, "text/html")
    assert headers["Content-Security-Policy"] == "sandbox"


def test_looking_changes_nothing(
    browse: Any, service: AmazonMLLocal, client: Any, data_source: Any, model: Any
) -> None:
    """No Get is counted, no request remembered, and no work waited for."""
    service.ready_after_polls(2)
    data_source()
    model("ml-1", wait=False)
    requests = len(service.requests)
    for _ in range(3):
        for path in ("/", "/_local/DataSource/ds-1", "/_local/MLModel/ml-1"):
            assert browse(path)[0] == 200
    assert len(service.requests) == requests
    assert client.get_data_source(DataSourceId="ds-1")["Status"] == "INPROGRESS"
    assert client.get_data_source(DataSourceId="ds-1")["Status"] == "COMPLETED"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_pages_take_nothing(url: str, method: str) -> None:
    request = urllib.request.Request(f"{url}/_local/MLModel/ml-1", b"{}", method=method)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 404
    assert "no " + method in json.loads(refused.value.read())["error"]


def test_only_the_newest_entities_are_listed(browse: Any, client: Any, data_source: Any) -> None:
    for number in range(203):
        data_source(f"ds-{number}")
    text = words(browse("/")[2])
    assert "These are the newest 200 of 203." in text
    assert "ds-202 " in text
    assert "ds-2 " not in text


def test_every_type_of_model_has_a_page_for_its_evaluations(browse: Any) -> None:
    from amazon_ml_local.serving.pages.evaluation import PARTS

    assert set(PARTS) == set(TARGETS)
