// What is said about the event: its caption, its place, who says so and why; clock, progress, pictures under the pointer.

import { get } from "./api.js";
import { DIGITS, shown } from "./keys.js";
import { made } from "./dialogs.js";

const $ = (id) => document.getElementById(id);
const seconds = (ms) => (ms / 1000).toFixed(2);
const TILES = 16; // pictures of a strip, at most

export class Panel {
  constructor(app) {
    this.app = app;
    this.pictures = [];
    this.hints();
  }

  hints() {
    for (const button of document.querySelectorAll("#acts > [data-act]")) {
      button.querySelector("kbd")?.remove();
      button.append(made("kbd", shown(this.app.keys.key(button.dataset.act))));
    }
  }

  digits() {
    $("digits").replaceChildren(...DIGITS.map((name, n) => {
      const button = made("button", name);
      button.prepend(made("kbd", String((n + 1) % 10)), " ");
      const key = String((n + 1) % 10); // a finger or the mouse on it is its key: held while it plays it labels
      button.addEventListener("pointerdown", (event) => (button.setPointerCapture(event.pointerId), this.app.digit(key)));
      for (const end of ["pointerup", "pointercancel"]) button.addEventListener(end, () => (button.blur(), this.app.released({ key })));
      button.addEventListener("contextmenu", (event) => event.preventDefault());
      button.addEventListener("click", (event) => event.detail === 0 && (this.app.digit(key), this.app.released({ key })));
      return button;
    }));
  }

  nothing() {
    this.app.player.pause();
    this.app.now = this.app.timeline.chosen = null; // no key or button is about an event that is not asked for
    this.app.timeline.draw();
    $("caption").textContent = "Nothing is left here. Change the filter (/) for more.";
    $("what").textContent = "";
  }

  show() {
    const { now, episode } = this.app;
    if (!now || !episode) return;
    $("place").textContent = `${now.episode} · ${now.level}${now.track === "all" ? "" : ` ${now.track}`}`;
    $("what").textContent = now.primitive + (now.recovery ? ` (${now.recovery.replaceAll("_", " ")})` : "");
    $("when").textContent = `${seconds(now.start_ms)} to ${seconds(now.end_ms)} s · ${seconds(now.end_ms - now.start_ms)} s`;
    $("judged").textContent = [now.state, now.flagged ? "flagged" : ""].filter(Boolean).join(", ");
    $("judged").className = now.state;
    if ($("editor").hidden) $("caption").textContent = now.text || "no caption";
    $("caption").className = now.own.includes("text") ? "person" : "";
    for (const button of $("digits").children) button.classList.toggle("now", button.textContent.endsWith(` ${now.primitive}`));
    this.around(now, episode);
    this.alike(now);
  }

  around(now, episode) {
    const own = this.app.events();
    const n = own.findIndex((e) => e.start_ms === now.start_ms);
    const middle = (now.start_ms + now.end_ms) / 2;
    const above = ["L3", "L2", "L1"].filter((l) => l > now.level).map((level) => [level, episode.events.find((e) => e.level === level && e.track === now.track && e.start_ms <= middle && middle < e.end_ms)]);
    const rows = [["task", episode.about.task || "none given"]];
    for (const [level, event] of above) if (event) rows.push([level, event.text || event.primitive]);
    rows.push(["before", own[n - 1]?.text ?? "–"], ["after", own[n + 1]?.text ?? "–"]);
    const sure = now.sure == null ? "" : `, caption ${now.sure.toFixed(2)}`;
    rows.push(["said by", `${now.own.includes("text") ? "a person" : now.said_by || "nobody"}${now.status ? ` (${now.status})` : ""}`]);
    rows.push(["sure", `boundaries ${now.confidence.toFixed(2)}${sure}${now.doubt ? ", caption and signals disagree" : ""}`]);
    if (now.chance != null && !now.own.length) rows.push(["likely right", `${Math.round(100 * now.chance)} %, by what was reviewed`]);
    if (now.own.length) rows.push(["by people", now.own.join(", ")]);
    const why = episode.lanes?.why[now.event_id] ?? [];
    if (why.length) rows.push(["why here", why.slice(0, 5).join("; ")]);
    if (now.vl >= 0) rows.push(["cluster", `${now.vl} (${now.rarity} of ${now.level} in it)`]);
    rows.push(["robot", `${episode.about.robot}, ${episode.about.split}`]);
    for (const gone of episode.stale.filter((s) => s.level === now.level))
      rows.push(["moved", `${gone.by} has ${gone.state || "changed"} ${seconds(gone.start_ms)} to ${seconds(gone.end_ms)} s, where the machine now cuts otherwise`]);
    $("around").replaceChildren(...rows.flatMap(([k, v]) => [made("dt", k), made("dd", v)]));
  }

  // Some other events of the cluster, each as the picture of its middle.
  async alike(now) {
    const key = `${now.level} ${now.vl}`;
    if (now.vl < 0 || this.shownAlike === key) return;
    this.shownAlike = key;
    const box = $("alike").querySelector("div");
    const found = await get("cluster", { level: now.level, vl: now.vl, limit: 7 }).catch(() => []);
    const others = found.filter((o) => o.event.episode !== now.episode || o.event.start_ms !== now.start_ms).slice(0, 6);
    box.replaceChildren(...others.map(({ event, strip, length_ms }) => {
      const button = made("button");
      button.title = event.text;
      button.setAttribute("aria-label", event.text);
      const canvas = made("canvas");
      button.append(canvas);
      button.addEventListener("click", () => this.app.show(event));
      if (strip) picture(`/${strip}`).then((image) => tile(canvas, image, (event.start_ms + event.end_ms) / 2 / length_ms)).catch(() => {});
      return button;
    }));
  }

  // -- the caption

  edit() {
    if (!this.app.now) return;
    this.app.player.pause();
    $("editor").value = this.app.now.text;
    $("editor").hidden = $("edited").hidden = false;
    $("caption").hidden = true;
    $("editor").focus();
    $("editor").select();
  }

  async edited(keep) {
    const text = $("editor").value.trim();
    $("editor").hidden = $("edited").hidden = true;
    $("caption").hidden = false;
    $("editor").blur();
    if (keep && text && text !== this.app.now.text) await this.app.decide("caption", { text });
  }

  // -- clock, progress, lanes

  clock() {
    const { player, now, pending } = this.app;
    const edge = pending ? ` · ${pending.side} at ${seconds(pending.to)} s` : "";
    $("clock").textContent = now ? `${seconds(player.ms)} s · frame ${player.frame()}${edge}` : "";
    $("play").textContent = player.playing ? "❚❚" : "▶";
    $("rate").textContent = `${player.rate}×`;
  }

  progress({ states, people, me, pace_s, together_s, at_work }) {
    const total = Object.values(states).reduce((a, b) => a + b, 0);
    const done = (states.accepted ?? 0) + (states.rejected ?? 0);
    const box = $("progress");
    box.querySelector("i").style.width = `${total ? (100 * done) / total : 0}%`;
    box.querySelector("b").textContent = `${done} of ${total}`;
    const left = (seconds) => `${time((total - done) * seconds * 1000)} left`;
    const all = together_s && at_work.length > 1 ? ` · ${left(together_s)} for ${at_work.length}` : "";
    $("pace").textContent = pace_s ? `${pace_s.toFixed(1)} s an event · ${left(pace_s)}${all}` : all.slice(3);
    const each = people.map(([who, n, s]) => `${who}: ${n} decisions, ${(s / n / 1000).toFixed(1)} s each`);
    $("pace").title = [pace_s ? `you alone: ${left(pace_s)}` : "your pace shows after ten events", ...(at_work.length ? [`at work (${at_work.join(", ")}): ${left(together_s)}`] : []), ...each].join("\n");
  }

  lanes(lanes) {
    const { timeline } = this.app;
    const names = lanes.lanes.map((l) => l.name);
    const select = $("lanes");
    select.replaceChildren(new Option("lanes…", ""), ...names.map((n) => new Option(`${timeline.shownLanes().some((l) => l.name === n) ? "✓" : "  "} ${n}`, n)));
    select.onchange = () => {
      const name = select.value;
      if (!timeline.hidden.delete(name)) timeline.hidden.add(name);
      timeline.draw();
      this.lanes(lanes);
    };
  }

  // -- pictures under the pointer

  strips(about) {
    this.pictures = [];
    this.length = about.edges_ms.at(-1) - about.edges_ms[0];
    this.first = about.edges_ms[0];
    for (const camera of about.cameras) picture(`/${camera.strip}`).then((image) => this.pictures.push(image)).catch(() => {});
  }

  peek(ms, x) {
    const canvas = $("peek");
    canvas.hidden = ms == null || !this.pictures.length || this.app.timeline.drag != null;
    if (canvas.hidden) return;
    const at = (ms - this.first) / this.length;
    canvas.height = 96;
    const sizes = this.pictures.map((image) => Math.round((image.width / count(image)) * (96 / image.height)));
    canvas.width = sizes.reduce((a, b) => a + b + 2, -2);
    let left = 0;
    this.pictures.forEach((image, n) => {
      cut(canvas.getContext("2d"), image, at, left, sizes[n]);
      left += sizes[n] + 2;
    });
    canvas.style.left = `${Math.min(Math.max(0, x - canvas.width / 2), this.app.timeline.width - canvas.width)}px`;
  }
}

const known = new Map();

export function picture(url) {
  if (!known.has(url)) {
    if (known.size > 200) known.clear();
    known.set(url, new Promise((good, bad) => {
      const image = new Image();
      image.onload = () => good(image);
      image.onerror = bad;
      image.src = url;
    }));
  }
  return known.get(url);
}

// Pictures in a strip: TILES, or as many as are of a likely shape where an episode has fewer frames.
const count = (image) => (image.width / TILES / image.height > 0.3 ? TILES : Math.max(1, Math.round(image.width / image.height)));

function cut(context, image, at, left, width) {
  const n = count(image);
  const tile_ = image.width / n;
  const number = Math.min(n - 1, Math.max(0, Math.round(at * (n - 1))));
  context.drawImage(image, number * tile_, 0, tile_, image.height, left, 0, width, context.canvas.height);
}

export function tile(canvas, image, at, height = 72) {
  canvas.height = height;
  canvas.width = Math.round((image.width / count(image)) * (height / image.height));
  cut(canvas.getContext("2d"), image, at, 0, canvas.width);
}

function time(ms) {
  const minutes = Math.round(ms / 60000);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
