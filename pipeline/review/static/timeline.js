// The timeline of an episode: lanes of signals, candidate boundaries, spans of L3 to L0, playhead, pictures under the
// pointer. Two canvases: what stands still, and the playhead over it.

const LEVELS = ["L3", "L2", "L1", "L0"];
const LEFT = 74; // px of names
const INK = { text: "#d5dae1", dim: "#8d97a5", line: "#333b47", play: "#ffffff", chosen: "#ffd166" };
const STATE = { "": "#3a4452", accepted: "#1f6f4a", rejected: "#8a2f35", skipped: "#665324" };
const LANES = ["#6cb6ff", "#f0a35e", "#c792ea", "#7fd1ae", "#e86f88", "#b5c26a"];
const GRAB = { mouse: 6, pen: 8, touch: 16 }; // px
const STILL = 3; // px that a finger moves when it only touches

export class Timeline {
  // on: seek(ms), choose(event), move(event, ms), hover(ms | null, x)
  constructor(box, on) {
    this.box = box;
    this.on = on;
    this.below = box.querySelector(".still");
    this.above = box.querySelector(".moving");
    this.about = null;
    this.events = [];
    this.lanes = null;
    this.chosen = null;
    this.level = "L1";
    this.track = "all";
    this.hidden = new Set();
    this.view = [0, 1];
    this.ms = 0;
    this.drag = null;
    new ResizeObserver(() => this.resize()).observe(box);
    for (const [name, act] of [["pointerdown", this.down], ["pointermove", this.moved], ["pointerup", this.up]])
      this.above.addEventListener(name, act.bind(this));
    this.above.addEventListener("pointerleave", () => this.on.hover(null));
    this.above.addEventListener("pointercancel", () => ((this.drag = null), this.draw()));
    this.above.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
  }

  load(about, events) {
    this.about = about;
    this.lanes = null;
    this.view = [about.edges_ms[0], about.edges_ms.at(-1)];
    this.set(events);
  }

  set(events) {
    this.events = events;
    this.draw();
  }

  shownLanes() {
    return (this.lanes?.lanes ?? []).filter((l) => (l.shown && !this.hidden.has(l.name)) || (!l.shown && this.hidden.has(l.name)));
  }

  rows() {
    const lanes = this.shownLanes();
    const tracks = [...new Set(this.events.map((e) => e.track))];
    const bars = LEVELS.flatMap((level) => tracks.filter((t) => this.events.some((e) => e.level === level && e.track === t)).map((track) => ({ level, track })));
    return { lanes, bars };
  }

  resize() {
    const { width, height } = this.box.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    for (const canvas of [this.below, this.above]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.width = width;
    this.height = height;
    this.draw();
  }

  x(ms) {
    return LEFT + ((ms - this.view[0]) / (this.view[1] - this.view[0])) * (this.width - LEFT - 8);
  }

  time(x) {
    return this.view[0] + ((x - LEFT) / (this.width - LEFT - 8)) * (this.view[1] - this.view[0]);
  }

  // Heights: bars first, lanes take what is left.
  plan() {
    const { lanes, bars } = this.rows();
    const tall = (b) => (b.level === this.level && b.track === this.track ? 34 : 20);
    const of_bars = bars.reduce((sum, b) => sum + tall(b) + 3, 0);
    const lane = Math.min(64, Math.max(16, (this.height - of_bars - 38) / Math.max(1, lanes.length) - 4));
    let y = 18;
    const placed = { lanes: [], bars: [], ticks: 0 };
    for (const l of lanes) {
      placed.lanes.push({ ...l, y, h: lane });
      y += lane + 4;
    }
    placed.ticks = y;
    y += 14;
    for (const b of bars) {
      placed.bars.push({ ...b, y, h: tall(b) });
      y += tall(b) + 3;
    }
    return placed;
  }

  draw() {
    if (!this.about || !this.width) return;
    const c = this.below.getContext("2d");
    c.clearRect(0, 0, this.width, this.height);
    c.font = "11px system-ui, sans-serif";
    c.textBaseline = "middle";
    this.placed = this.plan();
    this.ruler(c);
    this.placed.lanes.forEach((lane, n) => this.lane(c, lane, LANES[n % LANES.length]));
    this.candidates(c);
    for (const bar of this.placed.bars) this.bar(c, bar);
    this.playhead();
  }

  ruler(c) {
    const span = (this.view[1] - this.view[0]) / 1000;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300].find((s) => span / s <= 14) ?? 600;
    c.fillStyle = INK.dim;
    c.strokeStyle = "#222932";
    for (let s = Math.ceil(this.view[0] / 1000 / step) * step; s <= this.view[1] / 1000; s += step) {
      const x = this.x(s * 1000);
      c.beginPath();
      c.moveTo(x, 14);
      c.lineTo(x, this.height);
      c.stroke();
      c.fillText(`${+s.toFixed(1)} s`, x + 3, 8);
    }
  }

  lane(c, lane, color) {
    c.fillStyle = INK.dim;
    c.fillText(lane.name.slice(0, 12), 4, lane.y + lane.h / 2);
    const line = new Path2D();
    this.lanes.ms.forEach((ms, n) => {
      const y = lane.y + lane.h - 1 - lane.values[n] * (lane.h - 2);
      if (n) line.lineTo(this.x(ms), y);
      else line.moveTo(this.x(ms), y);
    });
    c.save();
    c.beginPath();
    c.rect(LEFT - 1, 0, this.width - LEFT, this.height);
    c.clip();
    c.strokeStyle = color;
    c.lineWidth = 1.5;
    c.stroke(line);
    c.restore();
  }

  candidates(c) {
    const y = this.placed.ticks;
    c.fillStyle = INK.dim;
    c.fillText("candidates", 4, y + 6);
    for (const mark of this.lanes?.candidates ?? []) {
      const x = this.x(mark.ms);
      if (x < LEFT || x > this.width) continue;
      c.globalAlpha = 0.25 + 0.75 * mark.strength;
      c.fillStyle = /clos|open|hand|contact/.test(mark.kind) ? "#f0a35e" : "#6cb6ff";
      c.fillRect(x - 0.75, y + 11 - 9 * mark.strength, 1.5, 9 * mark.strength + 1);
    }
    c.globalAlpha = 1;
  }

  bar(c, bar) {
    const main = bar.level === this.level && bar.track === this.track;
    c.fillStyle = main ? INK.text : INK.dim;
    c.fillText(bar.track === "all" ? bar.level : `${bar.level} ${bar.track}`, 4, bar.y + bar.h / 2);
    for (const event of this.of(bar)) {
      let [from, to] = [this.x(event.start_ms), this.x(event.end_ms)];
      if (this.drag?.to != null && main) {
        if (event.start_ms === this.drag.edge) from = this.x(this.drag.to);
        if (event.end_ms === this.drag.edge) to = this.x(this.drag.to);
      }
      if (to < LEFT || from > this.width) continue;
      from = Math.max(from, LEFT);
      const chosen = main && event.start_ms === this.chosen?.start_ms;
      c.fillStyle = chosen ? "#4b5a70" : STATE[event.state];
      if (event.state && chosen) c.fillStyle = STATE[event.state];
      c.globalAlpha = main ? 1 : 0.75;
      c.fillRect(from + 0.5, bar.y, Math.max(1, to - from - 1), bar.h);
      c.globalAlpha = 1;
      if (event.own.length) {
        c.fillStyle = "#7fd1ae";
        c.fillRect(from + 0.5, bar.y + bar.h - 3, Math.max(1, to - from - 1), 2);
      }
      if (event.flagged) {
        c.fillStyle = INK.chosen;
        c.beginPath();
        c.arc(to - 6, bar.y + 6, 3, 0, 7);
        c.fill();
      }
      if (chosen) {
        c.strokeStyle = INK.chosen;
        c.lineWidth = 2;
        c.strokeRect(from + 1, bar.y, Math.max(1, to - from - 2), bar.h);
        c.lineWidth = 1;
      }
      if (to - from > 18) {
        c.save();
        c.beginPath();
        c.rect(from + 3, bar.y, to - from - 6, bar.h);
        c.clip();
        c.fillStyle = INK.text;
        c.fillText(main || bar.level === "L0" ? event.primitive : event.text || event.primitive, from + 4, bar.y + bar.h / 2);
        c.restore();
      }
    }
  }

  of({ level, track }) {
    return this.events.filter((e) => e.level === level && e.track === track);
  }

  playhead() {
    const c = this.above.getContext("2d");
    c.clearRect(0, 0, this.width, this.height);
    if (!this.about) return;
    if (this.held) {
      c.fillStyle = "#7fd1ae55";
      c.fillRect(this.x(this.held), 14, Math.max(1, this.x(this.ms) - this.x(this.held)), this.height);
    }
    const x = this.x(this.ms);
    if (x < LEFT - 1) return;
    c.fillStyle = INK.play;
    c.fillRect(x - 0.75, 12, 1.5, this.height - 12);
    c.beginPath();
    c.moveTo(x - 5, 10);
    c.lineTo(x + 5, 10);
    c.lineTo(x, 17);
    c.fill();
  }

  setTime(ms) {
    this.ms = ms;
    const [start, end] = this.view;
    if (ms < start || ms > end) {
      const half = (end - start) / 2;
      this.show(ms - half, ms + half);
    } else this.playhead();
  }

  show(start, end) {
    const [first, last] = [this.about.edges_ms[0], this.about.edges_ms.at(-1)];
    const width = Math.min(last - first, Math.max(400, end - start));
    const from = Math.min(Math.max(first, start), last - width);
    this.view = [from, from + width];
    this.draw();
  }

  wheel(event) {
    event.preventDefault();
    const [start, end] = this.view;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const by = ((event.deltaX || event.deltaY) / this.width) * (end - start);
      return this.show(start + by, end + by);
    }
    const middle = this.time(event.offsetX);
    const by = Math.exp(event.deltaY / 400);
    this.show(middle - (middle - start) * by, middle + (end - middle) * by);
  }

  spot(event) {
    const [x, y] = [event.offsetX, event.offsetY];
    const bar = this.placed?.bars.find((b) => y >= b.y - 1 && y < b.y + b.h + 1);
    return { x, y, bar, ms: this.time(x), grab: GRAB[event.pointerType] ?? GRAB.mouse };
  }

  // An edge of the level under review that the pointer is on.
  edge({ x, bar, grab }) {
    if (!bar || bar.level !== this.level || bar.track !== this.track) return null;
    const inner = this.of(bar).slice(1).map((e) => e.start_ms);
    const off = (ms) => Math.abs(this.x(ms) - x);
    const nearest = inner.reduce((best, ms) => (off(ms) < off(best) ? ms : best), inner[0]);
    return off(nearest) <= grab ? nearest : null;
  }

  down(event) {
    const spot = this.spot(event);
    this.above.setPointerCapture(event.pointerId);
    const edge = this.edge(spot);
    const found = spot.bar && this.of(spot.bar).find((e) => e.start_ms <= spot.ms && spot.ms < e.end_ms);
    if (edge != null) this.drag = { edge, to: null, found, x: spot.x };
    else if (spot.bar) {
      if (found) this.on.choose(found);
      this.drag = null;
    } else {
      this.drag = { seek: true };
      this.on.seek(spot.ms);
    }
  }

  moved(event) {
    const spot = this.spot(event);
    if (this.drag?.seek) this.on.seek(spot.ms);
    else if (this.drag && (this.drag.to != null || Math.abs(spot.x - this.drag.x) > STILL)) {
      const edges = this.about.edges_ms;
      this.drag.to = edges.reduce((best, e) => (Math.abs(e - spot.ms) < Math.abs(best - spot.ms) ? e : best), edges[0]);
      this.on.seek(this.drag.to);
      this.draw();
    }
    this.above.style.cursor = this.edge(spot) != null ? "ew-resize" : spot.bar ? "pointer" : "crosshair";
    this.on.hover(spot.x >= LEFT ? spot.ms : null, spot.x);
  }

  up() {
    const drag = this.drag;
    this.drag = null;
    if (drag?.found && drag.to == null) return this.on.choose(drag.found); // an edge that was touched and not moved
    if (drag?.to != null && drag.to !== drag.edge) {
      const right = this.of({ level: this.level, track: this.track }).find((e) => e.start_ms === drag.edge);
      if (right) this.on.move(right, drag.to);
    }
    this.draw();
  }
}
