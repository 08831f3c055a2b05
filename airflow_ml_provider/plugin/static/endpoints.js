// Shows what MachineLearningEndpointsReportOperator last wrote, read through Airflow's REST API with the reader's session.
"use strict";

const OPERATOR = "MachineLearningEndpointsReportOperator";
const HOUR = 3600 * 1000;
const COLUMNS = [
  ["Model", one => one.Name ? `${one.MLModelId} (${one.Name})` : one.MLModelId],
  ["Status", one => one.EndpointStatus],
  ["Age", one => age(one.Hours * HOUR), "number"],
  ["Cost so far", one => dollars(one.Cost), "number"],
  ["Per day", one => dollars(24 * one.HourlyPrice), "number"],
  ["Made by", madeBy],
  ["Report says", one => one.Reason ? `${one.Action}: ${one.Reason}` : one.Action],
];

const root = location.pathname.split("/amazon-machine-learning/")[0];
const byId = id => document.getElementById(id);
const dollars = value => `$${value.toFixed(2)}`;

function age(milliseconds) {
  const hours = milliseconds / HOUR;
  if (hours < 1) return `${Math.max(0, Math.round(hours * 60))} min`;
  return hours < 48 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(1)} days`;
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Airflow shows this page in a frame that may not open pages; the link is followed by the page around it.
function airflowLink(text, path) {
  const link = element("a", text, { href: root + path });
  link.addEventListener("click", event => {
    if (window.parent === window || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const outer = window.parent.document.createElement("a");
    outer.href = link.href;
    window.parent.document.body.append(outer);
    outer.click();
    outer.remove();
  });
  return link;
}

function madeBy(one) {
  if (!one.DagId) return "unknown";
  const place = one.MapIndex >= 0 ? `${one.TaskId}[${one.MapIndex}]` : one.TaskId;
  const path = ["", "dags", one.DagId, "runs", one.RunId].map(encodeURIComponent).join("/");
  return airflowLink(`${one.DagId}.${place}`, path);
}

async function get(path) {
  const answer = await fetch(`${root}/api/v2${path}`, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(answer.status === 401 || answer.status === 403
    ? "You have no permission to read the report (it is an XCom of its task)." : `Airflow answered ${answer.status}.`);
  return answer.json();
}

async function reports() {
  const query = new URLSearchParams({ operator: OPERATOR, state: "success", order_by: "-end_date", limit: "100" });
  const found = (await get(`/dags/~/dagRuns/~/taskInstances?${query}`)).task_instances;
  const latest = new Map();
  for (const one of found) {
    const name = one.map_index >= 0 ? `${one.dag_id}.${one.task_id}[${one.map_index}]` : `${one.dag_id}.${one.task_id}`;
    if (!latest.has(name)) latest.set(name, one);
  }
  return latest;
}

async function read(one) {
  const path = ["dags", one.dag_id, "dagRuns", one.dag_run_id, "taskInstances", one.task_id].map(encodeURIComponent);
  const entry = await get(`/${path.join("/")}/xcomEntries/return_value?map_index=${one.map_index}&stringify=false`);
  return typeof entry.value === "string" ? JSON.parse(entry.value) : entry.value;
}

function table(caption, endpoints) {
  const made = element("table");
  made.append(element("caption", caption));
  const head = element("tr");
  for (const [name, , kind] of COLUMNS) head.append(element("th", name, { scope: "col", class: kind || "" }));
  const header = element("thead");
  header.append(head);
  const body = element("tbody");
  for (const one of endpoints) {
    const row = element("tr", undefined, one.Forgotten ? { class: "forgotten" } : {});
    for (const [name, cell, kind] of COLUMNS) {
      const made = element("td", undefined, { "data-name": name, class: kind || "" });
      made.append(cell(one) ?? "");
      row.append(made);
    }
    body.append(row);
  }
  made.append(header, body);
  return made;
}

function show(report) {
  const old = Date.now() - Date.parse(report.ReportedAt);
  byId("age").textContent = `Reported ${age(old)} ago, at ${new Date(report.ReportedAt).toLocaleString()}.`;
  const present = report.Endpoints.filter(one => one.Action !== "deleted");
  const daily = 24 * present.reduce((sum, one) => sum + one.HourlyPrice, 0);
  const cost = present.reduce((sum, one) => sum + one.Cost, 0);
  byId("totals").textContent = present.length
    ? `${present.length} endpoint${present.length > 1 ? "s" : ""}, ${dollars(cost)} so far, ${dollars(daily)} per day` : "No endpoint costs money.";
  const groups = Map.groupBy
    ? Map.groupBy(report.Endpoints, one => `${one.AwsConnId ?? "boto3's own credentials"}, ${one.RegionName}`)
    : report.Endpoints.reduce((map, one) => {
      const name = `${one.AwsConnId ?? "boto3's own credentials"}, ${one.RegionName}`;
      return map.set(name, [...(map.get(name) || []), one]);
    }, new Map());
  byId("table").replaceChildren(...[...groups].map(([caption, endpoints]) => table(caption, endpoints)));
  byId("unreached").replaceChildren(...report.Unreached.map(one =>
    element("li", `${one.AwsConnId ?? "boto3's own credentials"}, ${one.RegionName ?? "its region"}: ${one.Message}`)));
}

function followTheme() {
  const outer = window.parent.document.documentElement;
  const copy = () => {
    const theme = outer.classList.contains("dark") ? "dark" : outer.classList.contains("light") ? "light" : "";
    document.documentElement.dataset.theme = theme;
  };
  copy();
  new MutationObserver(copy).observe(outer, { attributes: true, attributeFilter: ["class"] });
}

async function main() {
  if (window.parent !== window) followTheme();
  try {
    const latest = await reports();
    if (!latest.size) {
      byId("age").textContent = `No report yet: run a task with ${OPERATOR}.`;
      return;
    }
    const choice = byId("report");
    choice.append(...[...latest.keys()].map(name => element("option", name)));
    choice.hidden = latest.size < 2;
    choice.closest("p").hidden = latest.size < 2;
    choice.addEventListener("change", async () => show(await read(latest.get(choice.value))));
    show(await read(latest.values().next().value));
  } catch (error) {
    byId("age").textContent = error.message;
    byId("age").className = "alarm";
  }
}

main();
