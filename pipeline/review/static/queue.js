// The queue: which events, in which order; which comes next.

import { get } from "./api.js";
import { made } from "./dialogs.js";

const $ = (id) => document.getElementById(id);
const FILTERS = { q: "q", level: "level", state: "state", source: "source", primitive: "primitive_", vl: "vl", recovery: "recovery", status: "status", most: "most", task: "task" };
const ANY = { source: "any source", primitive: "any primitive", vl: "any cluster", recovery: "any recovery", status: "any caption", task: "any task" };
const PAGE = 200;
const same = (a, b) => a && b && a.episode === b.episode && a.level === b.level && a.track === b.track && a.start_ms === b.start_ms;

export class Queue {
  constructor(app) {
    this.app = app;
    this.rows = [];
    this.total = 0;
    $("filters").addEventListener("submit", (event) => (event.preventDefault(), this.changed()));
    $("filters").addEventListener("change", () => this.changed());
    $("q").addEventListener("input", () => (clearTimeout(this.later), (this.later = setTimeout(() => this.changed(false), 200))));
    $("q").addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), $("q").blur(), this.changed()));
    $("list").addEventListener("click", (event) => {
      const item = event.target.closest("li");
      if (item) this.app.show(this.rows[Number(item.dataset.n)]), document.body.classList.remove("queue");
    });
  }

  async fill({ facets, missing }) {
    const again = this.fillOrder(missing);
    for (const [name, id] of Object.entries(FILTERS)) {
      if (!(name in ANY)) continue;
      const found = facets[name] ?? [];
      $(id).replaceChildren(new Option(ANY[name], ""), ...found.map(([value, n]) => new Option(`${name === "vl" ? `cluster ${value}` : value.slice(0, 50)} (${n})`, value)));
    }
    await again;
  }

  // What is worth asking first is known when enough was reviewed; from then on a page begins with it, unless its person
  // has chosen another order.
  fillOrder(missing) {
    const asked = $("order").value;
    const worth = $("order").querySelector("[value=worth]");
    worth.disabled = missing > 0;
    worth.textContent = missing > 0 ? `worth asking first (${missing} to judge)` : "worth asking first";
    const own = localStorage.getItem("order");
    $("order").value = own && (own !== "worth" || !missing) ? own : missing ? "episode" : "worth";
    $("order").addEventListener("change", () => localStorage.setItem("order", $("order").value));
    return $("order").value === asked ? null : this.search(); // the first rows were asked for at once, in another order
  }

  wanted(more = {}) {
    const found = Object.fromEntries(Object.entries(FILTERS).map(([name, id]) => [name, $(id).value]));
    if (found.state === "second") return { level: found.level, second: true, ...more };
    return { ...found, track: "all", flagged: $("flagged").checked, doubt: $("doubt").checked, ...more };
  }

  async changed(open = true) {
    this.app.setBlind($("state").value === "second");
    await this.search();
    if (open) await this.open();
    this.app.progress();
  }

  async search() {
    const ticket = (this.ticket = (this.ticket ?? 0) + 1);
    const found = await get("queue", { ...this.wanted(), order: $("order").value, limit: PAGE }).catch((error) => this.app.say(error.message));
    if (!found || ticket !== this.ticket) return;
    Object.assign(this, { rows: found.events, total: found.total, held: found.held });
    this.draw();
  }

  // The first that nobody else is at.
  open() {
    return this.app.show(this.rows.find((row) => !this.held[row.episode]) ?? null);
  }

  draw() {
    $("total").textContent = `${this.total} event${this.total === 1 ? "" : "s"}${this.total > this.rows.length ? `, the first ${this.rows.length} here` : ""}`;
    $("list").replaceChildren(...this.rows.map((row, n) => {
      const item = made("li", `${row.primitive} · ${(row.start_ms / 1000).toFixed(1)} s${row.flagged ? " ⚑" : ""}${this.held?.[row.episode] ? ` · ${this.held[row.episode]}` : ""}`, row.state);
      item.dataset.n = n;
      item.append(made("small", row.text || row.task), made("small", row.episode));
      return item;
    }));
    this.mark();
  }

  mark() {
    const n = this.rows.findIndex((row) => same(row, this.app.now));
    const items = $("list").children;
    $("list").querySelector(".now")?.classList.remove("now");
    if (items[n]) {
      items[n].classList.add("now");
      items[n].scrollIntoView({ block: "nearest" });
    }
  }

  // What the server now says of a level and track: rows of it are as it says, new spans come where theirs were.
  take({ episode, level, track }, events) {
    if (level !== $("level").value) return;
    const own = (row) => row.episode === episode && row.level === level && row.track === track;
    const listed = new Set(this.rows.filter(own).map((row) => row.start_ms));
    const kept = events.filter((e) => listed.has(e.start_ms) || (e.own.includes("span") && !e.state));
    const first = this.rows.findIndex(own);
    if (first < 0) return;
    const rest = this.rows.filter((row) => !own(row));
    if ($("order").value === "episode") rest.splice(first, 0, ...kept);
    else {
      const now = new Map(events.map((e) => [e.start_ms, e]));
      this.rows = this.rows.map((row) => (own(row) ? now.get(row.start_ms) : row)).filter(Boolean);
      return this.draw();
    }
    this.rows = rest;
    this.draw();
  }

  go(by) {
    const n = this.rows.findIndex((row) => same(row, this.app.now));
    const row = this.rows[n < 0 ? 0 : n + by];
    if (row) this.app.show(row);
    else this.app.say(by > 0 ? "the queue ends here" : "the queue begins here");
  }

  // The next that nobody has judged, and that nobody else is at.
  async next(after) {
    const n = this.rows.findIndex((row) => same(row, after));
    const open = (row) => !row.state && !this.held?.[row.episode];
    let row = this.rows.slice(n + 1).find(open);
    if (!row) {
      await this.search();
      row = this.rows.find((r) => open(r) && !same(r, after));
    }
    await this.app.show(row ?? null);
  }

  // Fetch what will be asked for next.
  ahead() {
    const n = this.rows.findIndex((row) => same(row, this.app.now));
    const other = this.rows.slice(n + 1).find((row) => row.episode !== this.app.now?.episode && !row.state);
    if (other) this.app.fetched(other.episode).catch(() => this.app.ahead.delete(other.episode));
  }

  focus() {
    document.body.classList.add("queue");
    document.body.classList.remove("noqueue");
    $("q").focus();
    $("q").select();
  }

  toggle() {
    if (innerWidth < 1440) document.body.classList.toggle("queue");
    else document.body.classList.toggle("noqueue");
  }
}
