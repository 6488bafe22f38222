// The review page: one event, one screen. What is shown is what the server last said; a decision shows when it is on
// the server's disk. While one is under way no other is taken, so that nobody accepts what they have not seen.

import { drawn, get, post } from "./api.js";
import { inForce } from "./history.js";
import { Keys, DIGITS } from "./keys.js";
import { Player } from "./player.js";
import { Timeline } from "./timeline.js";
import { ACTS } from "./acts.js";
import { showConflict } from "./dialogs.js";
import { Panel } from "./panel.js";
import { Queue } from "./queue.js";
import { openNamed } from "./route.js";

const HOLD_MS = 220; // a digit that is down for longer labels while it plays
const WAIT_MS = 280; // nudges that follow each other this quickly are one decision
const $ = (id) => document.getElementById(id);

class App {
  constructor() {
    this.keys = new Keys();
    this.player = new Player($("cameras"), () => this.ticked());
    this.timeline = new Timeline($("timeline"), {
      seek: (ms) => (this.player.pause(), this.player.seek(ms)),
      choose: (event) => this.choose(event),
      move: (event, ms) => this.moved(event, ms),
      hover: (ms, x) => this.panel.peek(ms, x),
    });
    this.panel = new Panel(this);
    this.queue = new Queue(this);
    this.episode = null; // {about, events, stale, lanes}
    this.now = null; // the event under review
    this.done = [];
    this.undone = [];
    this.busy = false;
    this.looped = "event";
    this.since = performance.now();
    this.ahead = new Map(); // episodes fetched before they are asked for
    this.bind();
  }

  async start() {
    this.panel.digits();
    const asked = [get("facets"), get("mine"), this.queue.search()]; // none needs another's answer
    const [facets, mine] = await Promise.all(asked);
    this.facets = facets;
    this.version = facets.version;
    this.done = inForce(mine);
    await this.queue.fill(facets);
    if (!(await openNamed(this))) await this.queue.open();
    addEventListener("hashchange", () => openNamed(this));
    this.progress();
    setInterval(() => this.progress(), 15000);
  }

  // -- what is shown

  async show(event, play = true) {
    if (!event) return this.panel.nothing();
    if (this.episode?.about.episode_id !== event.episode) {
      const found = await this.fetched(event.episode).catch((error) => this.say(error.message));
      if (!found) return;
      this.episode = { ...found, lanes: null };
      this.ahead.clear();
      this.player.load(found.about);
      this.timeline.load(found.about, found.events);
      this.panel.strips(found.about);
      if (!this.blind) post("lease", { episode: event.episode }).then((a) => a.status === 409 && this.say(a.body.detail));
      const own = this.episode;
      get("lanes", { id: event.episode }).then((lanes) => {
        own.lanes = lanes;
        if (own === this.episode) this.timeline.lanes = lanes, this.timeline.draw(), this.panel.show(), this.panel.lanes(lanes);
      }).catch((error) => this.say(error.message));
    }
    const own = this.events(event).find((e) => e.start_ms === event.start_ms) ?? this.nearest(event);
    this.choose(own, play);
    this.queue.ahead();
  }

  // A second pass shows nothing of what others have decided.
  setBlind(blind) {
    if (blind === Boolean(this.blind)) return;
    this.blind = blind;
    this.episode = this.now = null;
    this.ahead.clear();
  }

  fetched(episode) {
    if (!this.ahead.has(episode)) this.ahead.set(episode, get("episode", { id: episode, second: this.blind }));
    return this.ahead.get(episode);
  }

  events(like = this.now) {
    return this.episode.events.filter((e) => e.level === like.level && e.track === like.track);
  }

  nearest(event) {
    const own = this.events(event);
    return own.find((e) => e.start_ms <= event.start_ms && event.start_ms < e.end_ms) ?? own[0];
  }

  choose(event, play = false) {
    if (!event) return;
    if (this.pending) this.settle();
    this.now = event;
    this.since = performance.now();
    this.timeline.chosen = event;
    Object.assign(this.timeline, { level: event.level, track: event.track });
    this.loop();
    this.player.seek(event.start_ms);
    if (play) this.player.play();
    this.timeline.draw();
    this.panel.show();
    this.queue.mark();
  }

  // An edge was dragged to ms; event: the one that begins there. It is the end of the one that is looked at, or a start.
  moved(event, ms) {
    const end = this.now?.episode === event.episode && this.now.level === event.level && this.now.end_ms === event.start_ms;
    if (!end) this.choose(event);
    return end ? this.decide("end", { to_ms: ms }, 1) : this.decide("start", { to_ms: ms }, -1);
  }

  loop() {
    const edges = this.episode.about.edges_ms;
    const whole = this.looped === "episode";
    this.player.setLoop(whole ? edges[0] : this.now.start_ms, whole ? edges.at(-1) : this.now.end_ms);
  }

  ticked() {
    const { player } = this;
    const [frame, into] = player.at(player.ms);
    const lags = player.playing && player.cameras.length && Math.abs(player.painted - frame) > 1;
    this.timeline.setTime(lags ? player.edges[player.painted] : player.edges[frame] + (player.playing ? into * (player.edges[frame + 1] - player.edges[frame]) : 0));
    this.panel.clock();
  }

  say(words, wrong = false) {
    $("notice").textContent = words;
    clearTimeout(this.quiet);
    if (!wrong) this.quiet = setTimeout(() => ($("notice").textContent = ""), 6000);
  }

  async progress() {
    const found = await get("progress", this.queue.wanted({ state: "" })).catch(() => null);
    if (!found) return;
    this.panel.progress(found);
    if (found.version !== this.version) {
      this.version = found.version;
      this.say("The corpus was built again: reload for its new spans. What you decided lies over them.", true);
    }
  }

  // -- what is decided

  // touches: -1, the event before it loses or gains too; 1, the one after it
  async decide(action, more = {}, touches = 0, event = this.now) {
    if (this.busy) return this.say("still saving the last one");
    if (!event) return;
    const own = this.events(event);
    const n = own.findIndex((e) => e.start_ms === event.start_ms);
    const touched = more.seen ?? own.slice(Math.max(0, Math.min(n, n + touches)), Math.max(n, n + touches) + 1).map((e) => e.seen);
    return this.send({ ...place(event), at_ms: event.start_ms, action, ...more, seen: touched, blind: Boolean(this.blind), spent_ms: Math.round(performance.now() - this.since), decision_id: drawn() });
  }

  // The same decision is sent until the server has answered: one that was written before its answer was lost is not
  // written twice.
  async send(body) {
    this.busy = true;
    this.saved("saving", "busy");
    let answer;
    for (let wait = 500; ; wait = Math.min(8000, wait * 2)) {
      answer = await post("decide", body);
      if (answer.status && answer.status < 500) break;
      this.saved("not saved: no answer, trying again", "wrong");
      await new Promise((done) => setTimeout(done, wait));
    }
    this.busy = false;
    this.saved(answer.ok ? "saved" : "not saved", answer.ok ? "" : "wrong");
    if (answer.ok) this.written(body, answer.body);
    else if (answer.status === 409) this.refused(body, answer.body);
    else this.say(typeof answer.body.detail === "string" ? answer.body.detail : "The server did not understand that.");
    return answer.ok ? answer.body : null;
  }

  written(body, answer) {
    this.since = performance.now();
    this.take(body, answer.events);
    if (body.action === "undo") return;
    this.done.push({ decision_id: answer.decision_id, ...body, episode_id: body.episode, start_ms: body.at_ms });
    this.undone = [];
  }

  // Spans of a level and track as the server now has them.
  take(where, events) {
    if (this.episode?.about.episode_id !== where.episode) return;
    const { level, track } = where;
    this.episode.events = [...this.episode.events.filter((e) => e.level !== level || e.track !== track), ...events];
    this.timeline.set(this.episode.events);
    this.queue.take(where, events);
    if (this.now?.level === level && this.now.track === track) {
      const ms = this.now.start_ms;
      this.now = events.find((e) => e.start_ms === ms) ?? this.nearest({ ...this.now, start_ms: Math.min(ms, events.at(-1).start_ms) });
      this.timeline.chosen = this.now;
      this.loop();
      this.timeline.draw();
      this.panel.show();
    }
    this.progressSoon();
  }

  progressSoon() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.progress(), 400);
  }

  refused(body, answer) {
    showConflict(body, answer, this.now, () => {
      this.saved("saved", "");
      if (answer.events.length) this.take(body, answer.events);
    });
  }

  saved(words, kind) {
    $("saved").textContent = words;
    $("saved").className = `dot ${kind}`;
  }

  async judge(action) {
    const judged = this.now;
    if ((await this.decide(action)) && action !== "flag") await this.queue.next(judged);
  }

  async undo() {
    const last = this.done.at(-1);
    if (!last) return this.say("nothing to take back");
    if (await this.takeBack(last)) {
      this.done.pop();
    }
  }

  async redo() {
    const last = this.undone.at(-1);
    if (!last) return this.say("nothing to do again");
    const made = await this.takeBack(last, false);
    if (made) {
      this.undone.pop();
      this.done.push({ ...last, decision_id: made.decision_id });
    }
  }

  async takeBack(last, keep = true) {
    if (this.busy) return null;
    if (Boolean(last.blind) !== Boolean(this.blind)) return this.say("that was in the other pass: change the filter first");
    const event = { episode: last.episode_id, level: last.level, track: last.track, start_ms: last.start_ms };
    if (this.episode?.about.episode_id !== event.episode) await this.show(event, false);
    const made = await this.send({ ...place(event), at_ms: event.start_ms, action: "undo", undoes: last.decision_id, seen: [], blind: Boolean(last.blind), decision_id: drawn() });
    if (made) {
      await this.show(event, false);
      if (keep) this.undone.push({ ...last, decision_id: made.decision_id });
      this.say(`${keep ? "taken back" : "done again"}: ${last.action}`);
    }
    return made;
  }

  // -- edges: shown at once, one decision for nudges that follow each other

  nudge(side, frames) {
    if (this.busy) return this.say("still saving the last one");
    const edges = this.episode.about.edges_ms;
    const own = this.events();
    const n = own.findIndex((e) => e.start_ms === this.now.start_ms) + (side === "end");
    if (n === 0 || n >= own.length) return this.say("the episode ends there");
    if (this.pending && this.pending.right !== own[n]) this.settle();
    this.pending ??= { side, right: own[n], event: this.now, from: own[n].start_ms, to: own[n].start_ms };
    const at = this.player.at(this.pending.to)[0];
    const to = edges[(this.pending.to === edges.at(-1) ? at + 1 : at) + frames];
    this.moveTo(to, own[n - 1].start_ms, own[n].end_ms);
  }

  moveTo(to, after, before) {
    if (to === undefined || to <= after || to >= before) return this.say("no frame would be left");
    this.pending.to = to;
    this.timeline.drag = { edge: this.pending.from, to };
    this.player.pause();
    this.player.seek(this.pending.side === "end" ? this.player.edges[Math.max(0, this.player.at(to)[0] - 1)] : to);
    this.timeline.draw();
    this.panel.clock();
    this.saved("saving", "busy");
    clearTimeout(this.later);
    this.later = setTimeout(() => this.settle(), WAIT_MS);
  }

  snap(side, way) {
    const own = this.events();
    const n = own.findIndex((e) => e.start_ms === this.now.start_ms) + (side === "end");
    if (n === 0 || n >= own.length) return this.say("the episode ends there");
    const from = this.pending?.right === own[n] ? this.pending.to : own[n].start_ms;
    const edges = this.episode.about.edges_ms;
    const marks = (this.episode.lanes?.candidates ?? []).map((c) => edges.reduce((b, e) => (Math.abs(e - c.ms) < Math.abs(b - c.ms) ? e : b), edges[0]));
    const to = way > 0 ? Math.min(...marks.filter((m) => m > from)) : Math.max(...marks.filter((m) => m < from));
    if (!Number.isFinite(to)) return this.say("no candidate there");
    this.pending ??= { side, right: own[n], event: this.now, from: own[n].start_ms, to: from };
    this.moveTo(to, own[n - 1].start_ms, own[n].end_ms);
  }

  async settle() {
    clearTimeout(this.later);
    const pending = this.pending;
    this.pending = null;
    this.timeline.drag = null;
    if (!pending) return;
    if (pending.to === pending.from) return this.saved("saved", ""), this.timeline.draw();
    const { side, event } = pending;
    const kept = await this.decide(side, { to_ms: pending.to }, side === "start" ? -1 : 1, event);
    if (kept && this.now?.level === event.level) this.choose(this.events(event).find((e) => (side === "start" ? e.start_ms === pending.to : e.end_ms === pending.to)));
    this.timeline.draw();
  }

  // -- keys and buttons

  bind() {
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("keyup", (event) => this.released(event));
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-act]");
      if (button) this.act(button.dataset.act), button.blur();
    });
    $("keys").addEventListener("click", () => this.act("help"));
    $("editor").addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && !event.shiftKey) event.preventDefault(), this.panel.edited(true);
      else if (event.key === "Escape") this.panel.edited(false);
    });
    addEventListener("beforeunload", (event) => (this.busy || this.pending) && event.preventDefault());
  }

  key(event) {
    if (document.querySelector("dialog[open]") || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
      if (event.key === "Escape") event.target.blur?.();
      return;
    }
    if (/^[0-9]$/.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      if (!event.repeat) this.digit(event.key);
      return;
    }
    const action = this.keys.find(event);
    if (!action) return;
    event.preventDefault();
    if (event.repeat && !/earlier|later|back|forward/.test(action)) return;
    this.act(action);
  }

  digit(key) {
    if (!this.now) return;
    this.held = { key, from: this.player.edges[this.player.frame()], at: performance.now(), primitive: DIGITS[(Number(key) + 9) % 10], playing: this.player.playing };
    if (this.player.playing) {
      const edges = this.episode.about.edges_ms;
      this.player.setLoop(edges[0], edges.at(-1)); // it may go on past the event
      this.timeline.held = this.held.from;
    }
  }

  released(event) {
    const held = this.held;
    if (!held || event.key !== held.key) return;
    this.held = this.timeline.held = null;
    this.loop();
    const long = held.playing && performance.now() - held.at >= HOLD_MS && this.player.edges[this.player.frame()] >= held.from;
    if (long) {
      const [from, to] = [held.from, this.player.edges[this.player.frame() + 1]];
      const touched = this.events().filter((e) => e.start_ms < to && from < e.end_ms);
      this.player.pause();
      this.decide("label", { to_ms: from, until_ms: to, primitive: held.primitive, seen: touched.map((e) => e.seen) }).then((made) => {
        if (made) this.choose(this.events().find((e) => e.start_ms === from) ?? this.now);
      });
    } else if (held.primitive !== this.now.primitive) this.decide("primitive", { primitive: held.primitive });
  }

  async act(name) {
    if (this.pending && !/^(start|end)-/.test(name)) await this.settle();
    const run = ACTS[name];
    if (run && (this.now || /^(help|search|queue|next|undo|quality)/.test(name))) run(this);
  }
}

const place = ({ episode, level, track }) => ({ episode, level, track });

const app = new App();
globalThis.review = app; // for whoever looks into the page, tests among them
app.start().catch((error) => app.say(error.message, true));
