// A program written for AWS: nothing in it names Amazon ML Local but the levers of its clock.
import assert from "node:assert/strict";
import {
  AddTagsCommand, CreateBatchPredictionCommand, CreateDataSourceFromS3Command, CreateEvaluationCommand,
  CreateMLModelCommand, CreateRealtimeEndpointCommand, DeleteMLModelCommand, DeleteRealtimeEndpointCommand,
  DescribeTagsCommand, GetBatchPredictionCommand, GetEvaluationCommand, GetMLModelCommand, MachineLearningClient,
  PredictCommand, paginateDescribeMLModels, waitUntilMLModelAvailable,
} from "@aws-sdk/client-machine-learning";

const client = new MachineLearningClient({});
const later = () => fetch(`${process.env.AWS_ENDPOINT_URL}/_local/clock`, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ advance: 3600 }),
});
const send = (Command, input) => client.send(new Command(input));

await send(CreateDataSourceFromS3Command, {
  DataSourceId: "ds-1", ComputeStatistics: true,
  DataSpec: { DataLocationS3: process.env.DATA, DataSchema: process.env.SCHEMA },
});
await send(CreateMLModelCommand, {
  MLModelId: "ml-1", MLModelName: "first", MLModelType: "BINARY", TrainingDataSourceId: "ds-1",
});
await later();
await waitUntilMLModelAvailable({ client, maxWaitTime: 60 }, { FilterVariable: "Name", EQ: "first" });
await send(CreateEvaluationCommand, { EvaluationId: "ev-1", MLModelId: "ml-1", EvaluationDataSourceId: "ds-1" });
await send(CreateBatchPredictionCommand, {
  BatchPredictionId: "bp-1", MLModelId: "ml-1", BatchPredictionDataSourceId: "ds-1", OutputUri: process.env.OUTPUT,
});
await send(CreateRealtimeEndpointCommand, { MLModelId: "ml-1" });
await send(AddTagsCommand, { ResourceId: "ml-1", ResourceType: "MLModel", Tags: [{ Key: "team", Value: "a" }] });
await later();

const model = await send(GetMLModelCommand, { MLModelId: "ml-1" });
assert.equal(model.Status, "COMPLETED");
assert.equal(model.EndpointInfo.EndpointStatus, "READY");
assert.ok(model.CreatedAt instanceof Date && model.FinishedAt > model.CreatedAt);
const evaluation = await send(GetEvaluationCommand, { EvaluationId: "ev-1" });
assert.ok(Number(evaluation.PerformanceMetrics.Properties.BinaryAUC) > 0.9);
assert.equal((await send(GetBatchPredictionCommand, { BatchPredictionId: "bp-1" })).TotalRecordCount, 60);
const { Prediction } = await send(PredictCommand, {
  MLModelId: "ml-1", Record: { x: "58" }, PredictEndpoint: model.EndpointInfo.EndpointUrl,
});
assert.equal(Prediction.predictedLabel, "1");
assert.equal((await send(DescribeTagsCommand, { ResourceId: "ml-1", ResourceType: "MLModel" })).Tags[0].Value, "a");
for await (const page of paginateDescribeMLModels({ client, pageSize: 1 }, {})) assert.equal(page.Results.length, 1);

await assert.rejects(send(GetMLModelCommand, { MLModelId: "fake-model" }), {
  name: "ResourceNotFoundException", message: "No MLModel with id fake-model exists",
});
await assert.rejects(send(GetMLModelCommand, { MLModelId: "no such id" }), { name: "InvalidInputException" });
const gone = await send(DeleteRealtimeEndpointCommand, { MLModelId: "ml-1" });
assert.equal(gone.RealtimeEndpointInfo.EndpointStatus, "NONE");
await assert.rejects(
  send(PredictCommand, { MLModelId: "ml-1", Record: {}, PredictEndpoint: model.EndpointInfo.EndpointUrl }),
  { name: "PredictorNotMountedException" },
);
await send(DeleteMLModelCommand, { MLModelId: "ml-1" });
assert.equal((await send(GetMLModelCommand, { MLModelId: "ml-1" })).Status, "DELETED");
console.log("round trip done");
