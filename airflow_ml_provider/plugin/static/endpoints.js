// Shows what MachineLearningEndpointsReportOperator last returned, read through Airflow's REST API with the reader's session.
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
const regionOf = one => `${one.AwsConnId ?? "boto3's own credentials"}, ${one.RegionName ?? "its region"}`;

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

// The latest successful task instance of each task that writes reports, by the task's name.
async function latestInstances() {
  const query = new URLSearchParams({ operator: OPERATOR, state: "success", order_by: "-end_date", limit: "100" });
  const found = (await get(`/dags/~/dagRuns/~/taskInstances?${query}`)).task_instances;
  const latest = new Map();
  for (const one of found) {
    const name = one.map_index >= 0 ? `${one.dag_id}.${one.task_id}[${one.map_index}]` : `${one.dag_id}.${one.task_id}`;
    if (!latest.has(name)) latest.set(name, one);
  }
  return latest;
}

async function readReport(instance) {
  const names = ["dags", instance.dag_id, "dagRuns", instance.dag_run_id, "taskInstances", instance.task_id];
  const path = names.map(encodeURIComponent).join("/");
  const entry = await get(`/${path}/xcomEntries/return_value?map_index=${instance.map_index}&stringify=false`);
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
      const field = element("td", undefined, { "data-name": name, class: kind || "" });
      field.append(cell(one) ?? "");
      row.append(field);
    }
    body.append(row);
  }
  made.append(header, body);
  return made;
}

function totals(endpoints) {
  if (!endpoints.length) return "No endpoint costs money.";
  const count = `${endpoints.length} endpoint${endpoints.length > 1 ? "s" : ""}`;
  const cost = endpoints.reduce((sum, one) => sum + one.Cost, 0);
  const daily = 24 * endpoints.reduce((sum, one) => sum + one.HourlyPrice, 0);
  return `${count}, ${dollars(cost)} so far, ${dollars(daily)} per day`;
}

function byRegion(endpoints) {
  const groups = new Map();
  for (const one of endpoints) {
    if (!groups.has(regionOf(one))) groups.set(regionOf(one), []);
    groups.get(regionOf(one)).push(one);
  }
  return [...groups];
}

function show(report) {
  const old = Date.now() - Date.parse(report.ReportedAt);
  byId("age").textContent = `Reported ${age(old)} ago, at ${new Date(report.ReportedAt).toLocaleString()}.`;
  byId("age").className = "";
  byId("totals").textContent = totals(report.Endpoints.filter(one => one.Action !== "deleted"));
  byId("table").replaceChildren(...byRegion(report.Endpoints).map(([region, endpoints]) => table(region, endpoints)));
  byId("unreached").replaceChildren(...report.Unreached.map(one => element("li", `${regionOf(one)}: ${one.Message}`)));
}

// In place of a report, also of one that was shown before.
function showError(error) {
  byId("age").textContent = error.message;
  byId("age").className = "alarm";
  for (const id of ["totals", "table", "unreached"]) byId(id).replaceChildren();
}

function followTheme() {
  const outer = window.parent.document.documentElement;
  const copy = () => {
    const theme = ["dark", "light"].find(name => outer.classList.contains(name));
    document.documentElement.dataset.theme = theme ?? "";
  };
  copy();
  new MutationObserver(copy).observe(outer, { attributes: true, attributeFilter: ["class"] });
}

async function main() {
  if (window.parent !== window) followTheme();
  const latest = await latestInstances();
  if (!latest.size) {
    byId("age").textContent = `No report yet: run a task with ${OPERATOR}.`;
    return;
  }
  const choice = byId("report");
  choice.append(...[...latest.keys()].map(name => element("option", name)));
  choice.hidden = latest.size < 2;
  choice.closest("p").hidden = latest.size < 2;
  const showChosen = async () => show(await readReport(latest.get(choice.value)));
  choice.addEventListener("change", () => showChosen().catch(showError));
  await showChosen();
}

main().catch(showError);
