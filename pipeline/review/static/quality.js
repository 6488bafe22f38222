// How good the machine's events were, what reviewing costs, how far people agree: one window.

import { get } from "./api.js";
import { made } from "./dialogs.js";

const percent = (share) => (share == null ? "\u2013" : `${Math.round(100 * share)} %`);
const NAMES = { spans: "spans compared", iou: "time shared (IoU)", "boundary_f1_0.25_s": "boundaries, F1 at 0.25 s", "boundary_f1_0.5_s": "boundaries, F1 at 0.5 s", kappa: "primitives, kappa", captions: "likeness of captions" };

export async function showQuality() {
  const box = document.getElementById("quality");
  const found = await get("quality");
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
    made("h2", "Accepted as they were, by the machine's confidence"), bars(found.reliability.map(([low, n, share]) => [`${low.toFixed(1)} to ${(low + 0.1).toFixed(1)}`, share ?? 0, n ? `${percent(share)} of ${n}` : "none yet"])),
    made("h2", `How far two people agree (${found.twice} levels of episodes judged twice)`),
    found.agreement ? list(Object.entries(found.agreement).map(([k, v]) => [NAMES[k] ?? k, Number.isInteger(v) ? v : v.toFixed(2)])) : made("p", "Nobody has judged anything twice yet: the state \u201csecond pass, blind\u201d of the queue has what to judge."),
    close,
  );
  box.showModal();
}

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
