// All cameras of an episode in lockstep: one clock in ms of the episode, to which each video is held.
// A video that is early or late runs slower or quicker for a moment; one that is far off is sought. While one of
// them seeks the clock waits. A frame is shown by seeking to its middle, so that no rounding shows the one before.
// What a video presents is kept for a moment, and only frames of one instant are painted together: where decoding
// lags, pictures come less often, and never apart.

const NEAR = 0.25; // s off from which a video is sought instead of bent
const BEND = 0.35; // s in which a video that is off is to be right again
const KEPT = 8; // frames of a camera that wait for the others
const BLOB = 24e6; // bytes up to which a proxy is fetched whole: then a seek asks nobody

export class Player {
  constructor(box, changed) {
    this.box = box;
    this.changed = changed;
    this.cameras = [];
    this.edges = [0, 1];
    this.loop = [0, 1];
    this.rate = 1;
    this.ms = 0;
    this.playing = false;
    this.load_ = 0;
    this.painted = 0; // canonical frame that all cameras show
    requestAnimationFrame((now) => this.tick(now));
    new ResizeObserver(() => this.layout()).observe(box);
  }

  load(about) {
    const ticket = ++this.load_;
    this.pause();
    for (const camera of this.cameras) camera.gone();
    this.edges = about.edges_ms;
    this.box.replaceChildren();
    this.cameras = about.cameras.map((about_) => this.camera(about_, ticket));
    if (!this.cameras.length) this.box.append(element("p", "empty", "This episode has no video."));
    this.layout();
  }

  camera(about, ticket) {
    const figure = element("figure", "camera");
    const video = document.createElement("video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
    video.setAttribute("aria-label", `camera ${about.name}`);
    video.tabIndex = -1;
    const note = element("figcaption", "", about.name);
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: about.width, height: about.height });
    figure.append(video, canvas, note);
    this.box.append(figure);
    const camera = { about, video, canvas, note, figure, kept: [], spare: [], busy: false, url: "", gone: () => {} };
    camera.gone = () => {
      video.removeAttribute("src");
      if (camera.url) URL.revokeObjectURL(camera.url);
    };
    if (about.bytes <= BLOB) {
      fetch(`/${about.url}`)
        .then((r) => (r.ok ? r.blob() : Promise.reject(new Error(r.status))))
        .then((blob) => {
          if (ticket === this.load_) video.src = camera.url = URL.createObjectURL(blob);
        })
        .catch(() => (note.textContent = `${about.name}: cannot be read`));
    } else video.src = `/${about.url}`;
    const presented = (_, data) => {
      if (ticket !== this.load_) return;
      this.keep(camera, Math.floor(data.mediaTime * this.fps(camera) + 0.5));
      video.requestVideoFrameCallback(presented);
    };
    video.requestVideoFrameCallback(presented);
    video.addEventListener("seeked", () => {
      camera.busy = false;
      if (!this.playing) this.show(camera);
    });
    video.addEventListener("loadeddata", () => this.show(camera));
    video.addEventListener("error", () => (note.textContent = `${about.name}: cannot be played`));
    return camera;
  }

  fps(camera) {
    return camera.video.duration ? camera.about.frames / camera.video.duration : 30;
  }

  // Canonical frame at a time, and how far into it that is, 0 to 1.
  at(ms) {
    let low = 0;
    let high = this.edges.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.edges[middle] <= ms) low = middle;
      else high = middle;
    }
    const into = (ms - this.edges[low]) / (this.edges[low + 1] - this.edges[low]);
    return [low, Math.min(0.999, Math.max(0, into))];
  }

  // Canonical frame that is shown.
  frame() {
    return this.playing && this.cameras.length ? this.painted : this.at(this.ms)[0];
  }

  // Canonical frame that shows a source frame.
  canonical(camera, number) {
    const index = camera.about.index;
    if (!index) return number;
    let [low, high] = [0, index.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (index[middle] < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // A frame that a video has just presented, with its number, until the other cameras have theirs.
  keep(camera, number) {
    const frame = this.canonical(camera, number);
    if (!this.playing && frame !== this.at(this.ms)[0] && this.source(camera, this.at(this.ms)[0]) !== number) return;
    const canvas = camera.spare.pop() ?? new OffscreenCanvas(camera.about.width, camera.about.height);
    canvas.getContext("2d").drawImage(camera.video, 0, 0, canvas.width, canvas.height);
    camera.kept.push({ frame: this.playing ? frame : this.at(this.ms)[0], canvas });
    if (camera.kept.length > KEPT) camera.spare.push(camera.kept.shift().canvas);
    this.paint();
  }

  forget(camera) {
    camera.spare.push(...camera.kept.splice(0).map((k) => k.canvas));
    camera.spare.length = Math.min(camera.spare.length, KEPT);
  }

  // The newest instant that all cameras have, to a frame.
  paint() {
    if (this.cameras.some((c) => !c.kept.length)) return;
    const newest = Math.min(...this.cameras.map((c) => c.kept.at(-1).frame));
    const chosen = this.cameras.map((c) => c.kept.reduce((best, k) => (Math.abs(k.frame - newest) <= Math.abs(best.frame - newest) ? k : best)));
    if (chosen.some((k) => Math.abs(k.frame - newest) > 1)) return;
    const frames = chosen.map((k) => k.frame);
    if (Math.max(...frames) - Math.min(...frames) > 1) return;
    this.cameras.forEach((camera, n) => camera.canvas.getContext("2d").drawImage(chosen[n].canvas, 0, 0));
    this.painted = newest;
  }

  source(camera, frame) {
    const index = camera.about.index;
    return index ? index[Math.min(frame, index.length - 1)] : frame;
  }

  // Where a video has to be at a time: the middle of its frame while it stands, in between while it runs.
  target(camera, ms, still) {
    const [frame, into] = this.at(ms);
    return (this.source(camera, frame) + (still ? 0.5 : into)) / this.fps(camera);
  }

  seek(ms) {
    this.ms = Math.min(Math.max(ms, this.edges[0]), this.edges.at(-1) - 1);
    for (const camera of this.cameras) this.show(camera);
    this.changed();
  }

  // Seek one camera to the clock; while it is at it the newest wish waits.
  show(camera) {
    const { video } = camera;
    if (!(video.readyState >= 1) || camera.busy) return;
    const target = this.target(camera, this.ms, !this.playing);
    const there = camera.kept.at(-1)?.frame === this.at(this.ms)[0];
    if (there && Math.abs(video.currentTime - target) < 0.004) return;
    camera.busy = true;
    this.forget(camera);
    video.currentTime = target;
  }

  step(frames) {
    this.pause();
    const frame = Math.min(Math.max(this.frame() + frames, 0), this.edges.length - 2);
    this.seek(this.edges[frame]);
  }

  play() {
    if (!this.playing) {
      this.playing = true;
      if (this.ms < this.loop[0] || this.ms >= this.loop[1] - 1) this.seek(this.loop[0]);
      this.last = null;
    }
    this.changed();
  }

  pause() {
    if (this.playing) {
      const frame = this.frame();
      this.playing = false;
      for (const { video } of this.cameras) video.pause();
      this.seek(this.edges[frame] ?? 0);
    }
    this.changed();
  }

  setLoop(start, end) {
    this.loop = [start, end];
  }

  setRate(rate) {
    this.rate = Math.min(4, Math.max(0.125, rate));
    this.changed();
  }

  tick(now) {
    requestAnimationFrame((next) => this.tick(next));
    if (!this.playing) return;
    const ready = this.cameras.every(({ video, busy }) => !busy && video.readyState >= 2 && !video.seeking);
    if (!ready || this.last == null) {
      this.last = now;
      if (!ready) {
        for (const { video } of this.cameras) if (!video.paused) video.pause();
        return;
      }
    }
    this.ms += Math.min(100, now - this.last) * this.rate;
    this.last = now;
    if (this.ms >= this.loop[1] || this.ms < this.loop[0] - 1) {
      this.ms = this.loop[0];
      for (const camera of this.cameras) this.jump(camera);
    } else for (const camera of this.cameras) this.hold(camera);
    this.changed();
  }

  hold(camera) {
    const { video } = camera;
    const off = video.currentTime - this.target(camera, this.ms, false);
    if (Math.abs(off) > NEAR) return this.jump(camera);
    const bent = Math.abs(off) < 0.004 ? 1 : 1 - Math.max(-0.6, Math.min(0.6, off / BEND));
    // a camera's own pace against the clock: frames that are shown in a second of the episode
    const pace = this.pace(camera);
    video.playbackRate = Math.min(8, Math.max(0.07, this.rate * pace * bent));
    if (video.paused) video.play().catch(() => {});
  }

  pace(camera) {
    camera.pace ??= (() => {
      const last = this.edges.length - 2;
      const frames = this.source(camera, last) - this.source(camera, 0);
      const seconds = (this.edges[last] - this.edges[0]) / 1000;
      return seconds > 0 && frames > 0 && camera.video.duration ? frames / seconds / this.fps(camera) : 1;
    })();
    return camera.pace;
  }

  jump(camera) {
    camera.busy = true;
    this.forget(camera);
    camera.video.pause();
    camera.video.currentTime = this.target(camera, this.ms, false) + 0.001;
  }

  // As large as all cameras can be side by side.
  layout() {
    const n = this.cameras.length;
    if (!n) return;
    const { width, height } = this.box.getBoundingClientRect();
    const { width: w, height: h } = this.cameras[0].about;
    let best = 0;
    let columns = 1;
    for (let c = 1; c <= n; c++) {
      const scale = Math.min((width - 6 * (c - 1)) / c / w, (height - 6 * (Math.ceil(n / c) - 1)) / Math.ceil(n / c) / h);
      if (scale > best) [best, columns] = [scale, c];
    }
    this.box.style.gridTemplateColumns = `repeat(${columns}, ${Math.floor(best * w)}px)`;
    for (const { figure } of this.cameras) figure.style.height = `${Math.floor(best * h)}px`;
  }
}

function element(name, kind, text) {
  const made = document.createElement(name);
  made.className = kind;
  made.textContent = text ?? "";
  return made;
}
