// How good the machine's events were, what reviewing costs, how far people agree: one window.

import { get } from "./api.js";
import { made } from "./dialogs.js";

const percent = (share) => (share == null ? "\u2013" : `${Math.round(100 * share)} %`);
const NAMES = { spans: "spans compared", iou: "time shared (IoU)", "boundary_f1_0.25_s": "boundaries, F1 at 0.25 s", "boundary_f1_0.5_s": "boundaries, F1 at 0.5 s", kappa: "primitives, kappa", captions: "likeness of captions" };

// lead: whether one may see how people do at known answers
export async function showQuality(lead) {
  const box = document.getElementById("quality");
  const [found, learned, gold] = await Promise.all([get("quality"), get("learned"), lead ? get("gold") : null]);
  const rows = [["judged", found.judged], ["accepted as they were", percent(found.unedited)], ["rejected", found.rejected]];
  for (const [who, seconds] of Object.entries(found.seconds)) {
    rows.push([`${who}: a decision in`, `${seconds.toFixed(1)} s (median)`]);
    const event = found.seconds_event[who];
    if (event != null) rows.push([`${who}: an event in`, `${event.toFixed(1)} s`]);
  }
  const close = made("button", "Close (Esc)", "primary");
  close.addEventListener("click", () => box.close());
  box.replaceChildren(
    made("h2", "What was judged"), list(rows),
    made("h2", "Edges that were moved, s"), bars(shifts(found.shifts)),
    made("h2", "Accepted as they were, by confidence"), ...reliability(found, learned),
    made("h2", `How far two people agree (${found.twice} levels of episodes judged twice)`),
    found.agreement ? list(Object.entries(found.agreement).map(([k, v]) => [NAMES[k] ?? k, Number.isInteger(v) ? v : v.toFixed(2)])) : made("p", "Nobody has judged anything twice yet: the state \u201csecond pass, blind\u201d of the queue has what to judge."),
    ...(gold?.events ? [made("h2", `Known answers (${gold.events} events, dealt among the others)`), known(gold.people)] : []),
    close,
  );
  box.showModal();
  box.scrollTop = 0;
}

// Before: the machine's own confidence. After: calibrated, each episode by a curve that was fitted without it.
function reliability(found, { events, missing, before, after }) {
  if (!before) {
    const rows = found.reliability.map(([low, n, share]) => [`${low.toFixed(1)} to ${(low + 0.1).toFixed(1)}`, share ?? 0, n ? `${percent(share)} of ${n}` : "none yet"]);
    return [bars(rows), made("p", `Calibrated when ${missing} more are judged, of three episodes at least.`)];
  }
  const table = made("table", "", "grid");
  head(table, ["says", "machine: events", "says", "are right", "calibrated: events", "says", "are right"]);
  before.bins.forEach(([low, n, says, right], k) => {
    const [, m, said, good] = after.bins[k];
    cells(table.insertRow(), [`${low.toFixed(1)} to ${(low + 0.1).toFixed(1)}`, n || "", n ? percent(says) : "", n ? percent(right) : "", m || "", m ? percent(said) : "", m ? percent(good) : ""]);
  });
  const said = ({ brier, error }) => `Brier score ${brier.toFixed(3)}, calibration error ${error.toFixed(3)}`;
  return [plot(before, after), made("p", "Grey: the machine. Green: calibrated."), table, made("p", `Of ${events} judged events. The machine: ${said(before)}. Calibrated, on episodes left out: ${said(after)}.`)];
}

// What is said across, what is right upwards; dots as large as their bins; the dashed line is where both are one.
function plot(before, after) {
  const canvas = made("canvas");
  const side = (canvas.width = canvas.height = 220);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Reliability: grey the machine's confidence, green the calibrated one; the table below has the figures");
  const pen = canvas.getContext("2d");
  const at = (says, right) => [10 + says * (side - 20), side - 10 - right * (side - 20)];
  const line = (points) => (pen.beginPath(), points.forEach((p) => pen.lineTo(...p)), pen.stroke());
  pen.strokeStyle = "#5a6675";
  pen.strokeRect(10, 10, side - 20, side - 20);
  pen.setLineDash([4, 4]);
  line([at(0, 0), at(1, 1)]);
  pen.setLineDash([]);
  const most = Math.max(...before.bins.map((b) => b[1]), ...after.bins.map((b) => b[1]));
  for (const [{ bins }, colour] of [[before, "#9aa5b3"], [after, "#2f9e6b"]]) {
    const own = bins.filter((b) => b[1]);
    pen.strokeStyle = pen.fillStyle = colour;
    line(own.map((b) => at(b[2], b[3])));
    for (const [, n, says, right] of own) pen.beginPath(), pen.arc(...at(says, right), 2 + 7 * Math.sqrt(n / most), 0, 7), pen.fill();
  }
  return canvas;
}

function known(people) {
  const table = made("table", "", "grid");
  head(table, ["", "judged", "right", "IoU", "F1 0.25 s", "F1 0.5 s", "kappa", "captions"]);
  const two = (x) => (x == null ? "\u2013" : x.toFixed(2));
  for (const [who, s] of Object.entries(people)) cells(table.insertRow(), [who, s.events, percent(s.right), two(s.iou), two(s.f1["0.25"]), two(s.f1["0.5"]), two(s.kappa), two(s.captions)]);
  return Object.keys(people).length ? table : made("p", "Nobody has judged one yet.");
}

const cells = (row, values) => values.forEach((v) => (row.insertCell().textContent = v));
const head = (table, names) => table.createTHead().insertRow().append(...names.map((n) => made("th", n)));

function list(rows) {
  const found = made("dl");
  found.append(...rows.flatMap(([k, v]) => [made("dt", k), made("dd", String(v))]));
  return found;
}

function shifts(bins) {
  const most = Math.max(1, ...bins.map(([, , n]) => n));
  const name = (low, high) => (low == null ? `${high} and earlier` : high == null ? `over ${low}` : `${low} to ${high}`);
  return bins.map(([low, high, n]) => [name(low, high), n / most, String(n)]);
}

function bars(rows) {
  const table = made("table", "", "bars");
  for (const [name, share, words] of rows) {
    const row = table.insertRow();
    row.insertCell().textContent = name;
    const meter = document.createElement("meter");
    meter.value = share;
    meter.setAttribute("aria-label", `${name}: ${words}`);
    row.insertCell().append(meter);
    row.insertCell().textContent = words;
  }
  return table;
}
