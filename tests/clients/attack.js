// All that a page may try against the service at `base`; returns what it could read.
async (base) => {
  const read = [];
  const ml = (operation) => ({
    "X-Amz-Target": `AmazonML_20141212.${operation}`,
    "Content-Type": "application/x-amz-json-1.1",
    Authorization: "AWS4-HMAC-SHA256 Credential=k/20261123/us-east-1/machinelearning/aws4_request, Signature=0",
  });
  const json = { "Content-Type": "application/json" };
  const plain = { "Content-Type": "text/plain" };
  const source = {
    DataSourceId: "stolen",
    RDSData: {
      DatabaseInformation: { DatabaseName: "shop", InstanceIdentifier: "i" },
      DatabaseCredentials: { Username: "reader", Password: "password-1" },
      SelectSqlQuery: "select 1, 1",
      S3StagingLocation: "s3://bucket/staging/",
      DataSchema: '{"attributes": [{"attributeName": "x", "attributeType": "NUMERIC"}]}',
      ResourceRole: "r", ServiceRole: "s", SubnetId: "subnet-1", SecurityGroupIds: ["sg-1"],
    },
    RoleARN: "arn:aws:iam::123456789012:role/reader",
  };
  const calls = [
    ["GET", "/data/train.csv"],
    ["GET", "/_local"],
    ["GET", "/_local/requests"],
    ["GET", "/moto-api/data.json"],
    ["PUT", "/data/stolen", {}, "x"],
    ["POST", "/data/stolen", plain, "x"],
    ["DELETE", "/data/train.csv"],
    ["POST", "/moto-api/reset", plain, ""],
    ["POST", "/_local/clock", json, '{"frozen": true}'],
    ["POST", "/_local/clock", plain, '{"frozen": true}'],
    ["DELETE", "/_local/requests"],
    ["POST", "/", ml("DescribeMLModels"), "{}"],
    ["POST", "/", ml("CreateDataSourceFromRDS"), JSON.stringify(source)],
    ["POST", "/", ml("DeleteRealtimeEndpoint"), '{"MLModelId": "ml-1"}'],
    ["POST", "/", { "Content-Type": "application/x-www-form-urlencoded" }, "Action=CreateQueue&QueueName=stolen"],
    ["GET", "/?Action=CreateQueue&QueueName=stolen&Version=2012-11-05"],
  ];
  for (const [method, path, headers, body] of calls) {
    for (const mode of ["cors", "no-cors", "same-origin"]) {
      for (const credentials of ["omit", "include"]) {
        try {
          const answer = await fetch(base + path, { method, headers, body, mode, credentials });
          if (answer.ok) read.push(`${method} ${path} ${mode}: ${await answer.text()}`);
        } catch (error) {
          // This is what is hoped for.
        }
      }
    }
  }
  const wait = (start) =>
    new Promise((done) => {
      setTimeout(done, 1000);
      start(done);
    });
  const queue = `${base}/?Action=CreateQueue&QueueName=stolen&Version=2012-11-05`;
  for (const [tag, attribute] of [["img", "src"], ["script", "src"], ["iframe", "src"], ["object", "data"], ["video", "src"]]) {
    await wait((done) => {
      const element = document.createElement(tag);
      element.onload = element.onerror = done;
      element[attribute] = queue;
      document.body.append(element);
    });
  }
  for (const enctype of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
    for (const path of ["/moto-api/reset", "/_local/clock", "/"]) {
      await wait((done) => {
        const frame = document.createElement("iframe");
        frame.name = `frame-${enctype}-${path}`;
        document.body.append(frame);
        const form = document.createElement("form");
        Object.assign(form, { method: "POST", action: base + path, enctype, target: frame.name });
        form.innerHTML = '<input name="Action" value="CreateQueue"><input name="QueueName" value="stolen">';
        document.body.append(form);
        frame.onload = done;
        form.submit();
      });
    }
  }
  await wait((done) => {
    const socket = new WebSocket(base.replace("http", "ws") + "/_local/requests");
    socket.onmessage = (event) => read.push(`WebSocket: ${event.data}`);
    socket.onopen = () => read.push("WebSocket: open");
    socket.onclose = done;
  });
  await wait((done) => {
    const events = new EventSource(`${base}/_local/requests`);
    events.onmessage = (event) => read.push(`EventSource: ${event.data}`);
    events.onerror = () => {
      events.close();
      done();
    };
  });
  navigator.sendBeacon(`${base}/moto-api/reset`, "x");
  const tab = window.open(`${base}/_local/requests`);
  await wait(() => {});
  try {
    read.push(`tab: ${tab.document.body.innerText}`);
  } catch (error) {
    // As above.
  }
  return read;
};
