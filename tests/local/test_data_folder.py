"""What the service keeps in a folder, and reads there when it starts again."""

from __future__ import annotations

import json
import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

from amazon_ml_local import AmazonMLLocal, MemoryStorage, entity_store
from amazon_ml_local.data_folder import FORMAT, DataFolder, DataFolderError, replace_file
from amazon_ml_local.protocol import Request
from amazon_ml_local.serving.application import Application
from amazon_ml_local.serving.buckets import BucketStore
from amazon_ml_local.serving.other_services import OtherServices
from amazon_ml_local.storage import StorageError
from tests.helpers.schemas import schema_text
from tests.helpers.three_targets import DATA, HOUR, ROWS, TARGETS, schema


@contextmanager
def kept(path: Path, storage: MemoryStorage | None = None) -> Iterator[Any]:
    """A service in process on a folder."""
    objects = storage or MemoryStorage({DATA: ROWS.encode()})
    with closing(DataFolder(path)) as folder, closing(AmazonMLLocal(objects, data_folder=folder)) as service:
        yield service


def train(service: AmazonMLLocal, model_type: Any = "BINARY", **members: Any) -> Any:
    """Create a data source and a model, and return the client; the clock stands still."""
    client: Any = service.client()
    service.clock.freeze()
    spec: Any = {"DataLocationS3": DATA, "DataSchema": schema(TARGETS[model_type])}
    client.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec, ComputeStatistics=True)
    client.create_ml_model(MLModelId="ml-1", MLModelType=model_type, TrainingDataSourceId="ds-1", **members)
    service.clock.advance(HOUR)
    client.get_ml_model(MLModelId="ml-1")  # waits for the work
    return client


def shown(client: Any) -> list[Any]:
    """All that Get tells of the data source and the model."""
    source = client.get_data_source(DataSourceId="ds-1", Verbose=True)
    model = client.get_ml_model(MLModelId="ml-1", Verbose=True)
    return [{key: value for key, value in each.items() if key != "ResponseMetadata"} for each in (source, model)]


@pytest.mark.parametrize("model_type", TARGETS)
def test_entities_and_predictions_are_the_same_to_the_bit_after_a_restart(tmp_path: Path, model_type: str) -> None:
    records = [{"x": str(x)} for x in range(-1, 62)] + [{}, {"x": "what"}]

    def predictions(client: Any) -> list[Any]:
        ask = {"MLModelId": "ml-1", "PredictEndpoint": "https://host.example"}
        return [client.predict(Record=record, **ask)["Prediction"] for record in records]

    with kept(tmp_path) as service:
        client = train(service, model_type)
        client.create_realtime_endpoint(MLModelId="ml-1")
        client.add_tags(ResourceId="ml-1", ResourceType="MLModel", Tags=[{"Key": "who", "Value": "me"}])
        client.update_ml_model(MLModelId="ml-1", MLModelName="mine")
        service.clock.advance(HOUR)
        before = shown(client), predictions(client)
    with kept(tmp_path, MemoryStorage()) as service:
        client = service.client()
        assert (shown(client), predictions(client)) == before
        assert client.describe_tags(ResourceId="ml-1", ResourceType="MLModel")["Tags"] == [
            {"Key": "who", "Value": "me"}
        ]


def test_a_kept_model_with_every_function_of_recipes_scores_as_before(tmp_path: Path) -> None:
    columns = schema_text({"x": "NUMERIC", "t": "TEXT", "y": "BINARY"}, targetAttributeName="y")
    rows = "".join(f"{x},Word {x % 7}. of the text!,{int(x % 7 > 3)}\n" for x in range(100))
    recipe = {
        "groups": {},
        "assignments": {"bin": "quantile_bin(x, 5)", "pair": "cartesian(bin, lowercase(t))"},
        "outputs": ["ALL_NUMERIC", "normalize(x)", "bin", "pair", "ngram(t, 2)", "osb(t, 3)", "no_punct(lowercase(t))"],
    }
    record = {"x": "17", "t": "word 5. of TEXT"}
    with kept(tmp_path, MemoryStorage({DATA: rows.encode()})) as service:
        client: Any = service.client()
        service.clock.freeze()
        spec: Any = {"DataLocationS3": DATA, "DataSchema": columns}
        client.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec, ComputeStatistics=True)
        made = {"MLModelId": "ml-1", "MLModelType": "BINARY", "TrainingDataSourceId": "ds-1"}
        client.create_ml_model(Recipe=json.dumps(recipe), **made)
        service.clock.advance(HOUR)
        found = client.get_ml_model(MLModelId="ml-1")
        assert (found["Status"], found.get("Message")) == ("COMPLETED", None)
        before = service.state.region("us-east-1").get("MLModel", "ml-1").job.result().predict(record)
    with kept(tmp_path, MemoryStorage()) as service:
        assert service.state.region("us-east-1").get("MLModel", "ml-1").job.result().predict(record) == before


def test_what_was_read_can_be_trained_on_after_a_restart(tmp_path: Path) -> None:
    with kept(tmp_path) as service:
        train(service)
    with kept(tmp_path, MemoryStorage()) as service:
        client = service.client()
        client.create_ml_model(MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
        service.clock.advance(HOUR)
        found = client.get_ml_model(MLModelId="ml-2")
        assert (found["Status"], found.get("Message")) == ("COMPLETED", None)


def test_jobs_in_flight_start_again(tmp_path: Path) -> None:
    ended = threading.Event()

    class Hanging(MemoryStorage):
        def list(self, uri: str) -> list[str]:
            ended.wait(60)
            raise StorageError("The service has ended")

    with kept(tmp_path, Hanging()) as service:
        service.client().create_data_source_from_s3(
            DataSourceId="ds-1", DataSpec={"DataLocationS3": DATA, "DataSchema": schema("sign")}
        )
    ended.set()
    with kept(tmp_path) as service:
        service.clock.freeze()
        service.clock.advance(HOUR)
        assert service.client().get_data_source(DataSourceId="ds-1")["Status"] == "COMPLETED"


def test_a_failure_is_kept(tmp_path: Path) -> None:
    with kept(tmp_path, MemoryStorage()) as service:
        before = train(service).get_data_source(DataSourceId="ds-1")
        assert before["Status"] == "FAILED"
    with kept(tmp_path) as service:
        assert service.client().get_data_source(DataSourceId="ds-1")["Message"] == before["Message"]


def test_a_deletion_is_kept(tmp_path: Path) -> None:
    with kept(tmp_path) as service:
        train(service).delete_data_source(DataSourceId="ds-1")
    with kept(tmp_path) as service:
        assert service.client().get_data_source(DataSourceId="ds-1")["Status"] == "DELETED"


def test_a_deletion_that_is_not_kept_takes_no_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a kill before its commit: the model still predicts."""
    with kept(tmp_path) as service:
        client = train(service)
        with monkeypatch.context() as patch:
            patch.setattr(service._store, "save", Mock(side_effect=DataFolderError("the disk is gone")))
            with pytest.raises(ClientError, match="the disk is gone"):
                client.delete_ml_model(MLModelId="ml-1")
    with kept(tmp_path) as service:
        client = service.client()
        client.create_realtime_endpoint(MLModelId="ml-1")
        service.clock.advance(HOUR)
        asked = {"MLModelId": "ml-1", "PredictEndpoint": "https://host.example", "Record": {"x": "59"}}
        assert client.predict(**asked)["Prediction"]["predictedLabel"] == "1"


def test_the_content_of_a_deleted_data_source_leaves_the_folder(tmp_path: Path) -> None:
    with kept(tmp_path) as service:
        client = train(service)
        client.get_ml_model(MLModelId="ml-1")
        assert len(list((tmp_path / "columns").iterdir())) == 1
        client.delete_ml_model(MLModelId="ml-1")
        client.delete_data_source(DataSourceId="ds-1")
        before = shown(client)
        assert list((tmp_path / "columns").iterdir()) == []
    with kept(tmp_path) as service:
        assert shown(service.client()) == before


def test_the_clock_goes_on_where_it_was(tmp_path: Path) -> None:
    with kept(tmp_path) as service:
        train(service)
        before = service.clock.now()
    with kept(tmp_path) as service:
        assert (service.clock.frozen, service.clock.now()) == (True, before)


def test_a_second_process_on_the_folder_is_refused(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)), pytest.raises(DataFolderError, match="is in use by another process"):
        DataFolder(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    DataFolder(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "amazon-ml-local.sqlite")) as database:
        database.execute(f"pragma user_version = {FORMAT + 1}")
    for _ in range(2):  # the refusal leaves no lock behind
        with pytest.raises(DataFolderError, match=f"has the format {FORMAT + 1}, and this version knows up to"):
            DataFolder(tmp_path)


def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match="cannot be written: (Not a directory|File exists)"):
        DataFolder(tmp_path / "file")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "amazon-ml-local.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(DataFolderError, match="file is not a database"):
        DataFolder(tmp_path)


def test_a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing(tmp_path: Path, refused: Any) -> None:
    with kept(tmp_path) as service:
        client = train(service)
        before = shown(client)
        pages = service._store.folder._database.execute("pragma page_count").fetchone()[0]
        service._store.folder._database.execute(f"pragma max_page_count = {pages}")
        spec: Any = {"DataLocationS3": DATA, "DataSchema": schema("sign")}
        create = {"DataSourceId": "ds-2", "DataSourceName": "n" * 1024, "DataSpec": spec}

        def fill() -> None:
            for number in range(2, 20):
                client.create_data_source_from_s3(**{**create, "DataSourceId": f"ds-{number}"})

        with pytest.raises(ClientError, match=f"Nothing of this is kept: the data folder {tmp_path} .* full"):
            fill()
        service._store.folder._database.execute("pragma max_page_count = 1000000")
        assert client.create_data_source_from_s3(**{**create, "DataSourceId": "after"})["DataSourceId"] == "after"
    with kept(tmp_path) as service:
        assert shown(service.client()) == before
        assert service.client().get_data_source(DataSourceId="after")["Status"]


def test_a_file_that_does_not_fit_is_named_and_leaves_the_one_before(tmp_path: Path) -> None:
    """The columns of a data source, on a disk that becomes full while they are written."""
    path = tmp_path / "1.arrow"
    with replace_file(path) as file:
        file.write(b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DataFolderError, match=f"{path} cannot be written: File too large. Make room there."):
            _replace(path, b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("1.arrow", b"before")]


def _replace(path: Path, body: bytes) -> None:
    with replace_file(path) as file:
        file.write(body)


def test_s3_that_could_not_be_loaded_is_loaded_by_the_next_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_on(tmp_path) as s3:
        s3.create_bucket(Bucket="data")

    load = BucketStore.load

    def broken(self: BucketStore) -> None:
        load(self)
        raise DataFolderError("it cannot be read")

    with s3_on(tmp_path) as s3:
        with monkeypatch.context() as patch:
            patch.setattr(BucketStore, "load", broken)
            with pytest.raises(ClientError, match="it cannot be read"):
                s3.list_buckets()
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["data"]


@contextmanager
def s3_on(path: Path) -> Iterator[Any]:
    """The S3 client of a service on a folder."""
    with closing(DataFolder(path)) as folder, closing(OtherServices(data_folder=folder)) as other_services:
        yield other_services.s3_client()


def keys(s3: Any, bucket: str) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]


def test_buckets_are_kept(tmp_path: Path) -> None:
    """A bucket that was deleted is not."""
    with s3_on(tmp_path) as s3:
        for name in ("bucket-one", "bucket-two"):
            s3.create_bucket(Bucket=name)
        s3.delete_bucket(Bucket="bucket-two")
    with s3_on(tmp_path) as s3:
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["bucket-one"]


def test_an_object_is_kept_with_what_belongs_to_it(tmp_path: Path) -> None:
    """Key, body, content type, metadata and ETag."""
    sent = {"ContentType": "text/csv", "Metadata": {"who": "me"}, "Body": b"1,2\n"}
    with s3_on(tmp_path) as s3:
        s3.create_bucket(Bucket="bucket-one")
        put = s3.put_object(Bucket="bucket-one", Key="a folder/x+ü.csv", **sent)
    with s3_on(tmp_path) as s3:
        found = s3.get_object(Bucket="bucket-one", Key="a folder/x+ü.csv")
        assert found["Body"].read() == b"1,2\n"
        assert (found["ContentType"], found["Metadata"], found["ETag"]) == ("text/csv", {"who": "me"}, put["ETag"])


def test_copies_are_kept_and_deletions_too(tmp_path: Path) -> None:
    with s3_on(tmp_path) as s3:
        for name in ("bucket-one", "bucket-two"):
            s3.create_bucket(Bucket=name)
        for key in ("gone", "empty"):
            s3.put_object(Bucket="bucket-one", Key=key, Body=b"")
        s3.delete_objects(Bucket="bucket-one", Delete={"Objects": [{"Key": "gone"}]})
        s3.copy_object(Bucket="bucket-two", Key="copy", CopySource={"Bucket": "bucket-one", "Key": "empty"})
    with s3_on(tmp_path) as s3:
        assert (keys(s3, "bucket-one"), keys(s3, "bucket-two")) == (["empty"], ["copy"])


def test_an_object_in_parts_is_kept_when_it_is_complete(tmp_path: Path) -> None:
    """An upload that is not finished is no object."""

    def begin(key: str) -> tuple[dict[str, str], dict[str, Any]]:
        named = {"Bucket": "bucket-one", "Key": key}
        named["UploadId"] = s3.create_multipart_upload(ContentType="a/b", **named)["UploadId"]
        return named, {"PartNumber": 1, "ETag": s3.upload_part(PartNumber=1, Body=b"part", **named)["ETag"]}

    with s3_on(tmp_path) as s3:
        s3.create_bucket(Bucket="bucket-one")
        begin("unfinished")
        named, part = begin("large")
        done = s3.complete_multipart_upload(MultipartUpload={"Parts": [part]}, **named)
    with s3_on(tmp_path) as s3:
        assert keys(s3, "bucket-one") == ["large"]
        large = s3.get_object(Bucket="bucket-one", Key="large")
        assert (large["Body"].read(), large["ETag"], large["ContentType"]) == (b"part", done["ETag"], "a/b")


def test_reset_empties_everything_and_s3_too(tmp_path: Path) -> None:
    with closing(DataFolder(tmp_path)) as folder, closing(OtherServices(data_folder=folder)) as other_services:
        service = AmazonMLLocal(MemoryStorage({DATA: ROWS.encode()}), data_folder=folder)
        client = train(service)
        s3: Any = other_services.s3_client()
        s3.create_bucket(Bucket="bucket-one")
        service.faults.add("throttling", operation="Predict")
        service.durations.set(ml_model=77)
        control = Application(service, other_services).control
        answer = control.handle(Request("POST", "/_local/reset", {"Content-Type": "application/json"}, b"{}"))
        assert answer.status == 200
        assert client.describe_ml_models()["Results"] == client.describe_data_sources()["Results"] == []
        assert s3.list_buckets()["Buckets"] == []
        assert (list(service.faults), service.durations.ml_model, service.clock.frozen) == ([], 2.0, False)
        service.close()
    with kept(tmp_path) as service:
        assert service.client().describe_ml_models()["Results"] == []
    with s3_on(tmp_path) as s3:
        assert s3.list_buckets()["Buckets"] == []


def test_a_job_that_ends_after_a_reset_stores_nothing(tmp_path: Path) -> None:
    """A row of its model would refer to a data source that is gone, and the service could not start again."""
    begun, release = threading.Event(), threading.Event()
    with kept(tmp_path) as service:
        work = service.state.jobs.work.do

        def held(entity: Any, inputs: list[Any]) -> Any:
            if entity.kind.name == "MLModel":
                begun.set()
                release.wait(30)
            return work(entity, inputs)

        service.state.jobs.work.do = held
        create_source(service.client())
        service.client().create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
        job = service.state.region("us-east-1").get("MLModel", "ml-1").job
        assert begun.wait(30)
        service.reset()
        release.set()
        assert job.exception(30) is None
        assert stored_ids(service) == []
    with kept(tmp_path) as service:
        assert service.client().describe_ml_models()["Results"] == []


def test_a_request_that_a_reset_overtakes_stores_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its operation and the commit."""
    with kept(tmp_path) as service:

        def overtaken(touched: Any) -> None:
            monkeypatch.undo()
            service.reset()
            service.save(touched)

        monkeypatch.setattr(service, "save", overtaken)
        create_source(service.client())
        assert stored_ids(service) == []


def test_what_is_created_after_a_reset_is_shown_and_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a request that had begun before."""
    with kept(tmp_path) as service:
        region = service.state.region

        def before_reset(name: str) -> Any:
            found = region(name)
            service.reset()
            return found

        create_source(service.client(), "ds-0")
        with monkeypatch.context() as patch:
            patch.setattr(service.state, "region", before_reset)
            create_source(service.client())
        shown_ids = [each["DataSourceId"] for each in service.client().describe_data_sources()["Results"]]
        assert shown_ids == stored_ids(service) == ["ds-1"]


def test_an_entity_whose_input_is_not_in_the_folder_is_skipped(tmp_path: Path, caplog: Any, refused: Any) -> None:
    """With what was made of it, as a version that stored it again after a reset may have left it."""
    with kept(tmp_path) as service:
        client = train(service)
        client.create_evaluation(EvaluationId="ev-1", MLModelId="ml-1", EvaluationDataSourceId="ds-1")
    with closing(sqlite3.connect(tmp_path / "amazon-ml-local.sqlite")) as database:
        database.execute("delete from entity where sequence = 1")
        database.commit()
    with kept(tmp_path) as service:
        client = service.client()
        refused("ResourceNotFoundException", "No MLModel", client.get_ml_model, MLModelId="ml-1")
        refused("ResourceNotFoundException", "No Evaluation", client.get_evaluation, EvaluationId="ev-1")
        assert "MLModel ml-1 is not loaded" in caplog.text
        create_source(client)
    with kept(tmp_path) as service:
        assert service.client().get_data_source(DataSourceId="ds-1")["Status"]


def create_source(client: Any, entity_id: str = "ds-1") -> None:
    spec = {"DataLocationS3": DATA, "DataSchema": schema("sign")}
    client.create_data_source_from_s3(DataSourceId=entity_id, DataSpec=spec, ComputeStatistics=True)


def stored_ids(service: Any) -> list[str]:
    """The ids of the entities in the folder."""
    with service._store.folder.transaction() as database:
        return [json.loads(record)["id"] for (record,) in database.execute("select record from entity")]


def test_an_evaluation_of_the_first_format_keeps_its_metrics(tmp_path: Path) -> None:
    """It was its metrics alone, and is read as one without counts."""
    with kept(tmp_path) as service:
        client = train(service)
        client.create_evaluation(EvaluationId="ev-1", MLModelId="ml-1", EvaluationDataSourceId="ds-1")
        service.clock.advance(HOUR)
        before = client.get_evaluation(EvaluationId="ev-1")["PerformanceMetrics"]
    with closing(sqlite3.connect(tmp_path / "amazon-ml-local.sqlite")) as database:
        first = json.dumps({"result": {"dict": list(map(list, before["Properties"].items()))}})
        database.execute("update entity set result = ? where record like '%\"Evaluation\"%'", (first,))
        database.execute("pragma user_version = 1")
        database.commit()
    for _ in range(2):
        with kept(tmp_path) as service:
            assert service.client().get_evaluation(EvaluationId="ev-1")["PerformanceMetrics"] == before
            assert service.state.region("us-east-1").get("Evaluation", "ev-1").job.result().counts is None


def test_a_request_looks_at_what_it_concerns_however_much_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And at what is not finished; a restart looks at all once."""
    seen: list[str] = []
    fingerprint = entity_store._fingerprint

    def look(entity: Any) -> Any:
        seen.append(entity.id)
        return fingerprint(entity)

    monkeypatch.setattr(entity_store, "_fingerprint", look)
    with kept(tmp_path) as service:
        client = train(service)
        for number in range(2, 100):
            spec: Any = {"DataLocationS3": DATA, "DataSchema": schema("sign")}
            client.create_data_source_from_s3(DataSourceId=f"ds-{number}", DataSpec=spec)
        service.clock.advance(HOUR)
        client.describe_data_sources()
        seen.clear()
        client.get_ml_model(MLModelId="ml-1")
        client.update_data_source(DataSourceId="ds-7", DataSourceName="seven")
        client.describe_data_sources(FilterVariable="Name", EQ="seven")
        assert sorted(seen) == ["ds-7", "ds-7", "ml-1"]
    with kept(tmp_path) as service:
        assert service.client().get_data_source(DataSourceId="ds-7")["Name"] == "seven"
        seen.clear()
        service.client().delete_data_source(DataSourceId="ds-8")
        assert seen == ["ds-8"]


def test_gets_write_nothing_where_they_change_nothing(tmp_path: Path) -> None:
    with kept(tmp_path) as service:
        client = train(service)
        client.get_data_source(DataSourceId="ds-1")
        before = service._store.folder._database.total_changes
        for _ in range(3):
            client.get_ml_model(MLModelId="ml-1")
            client.describe_ml_models()
        assert service._store.folder._database.total_changes == before
