// What each action does, by the names that keys and buttons have for it.

import { askComment, askPrimitive, showHelp } from "./dialogs.js";
import { showQuality } from "./quality.js";
import { showSheet } from "./sheet.js";

export const ACTS = {
  accept: (app) => app.judge("accept"),
  reject: (app) => app.judge("reject"),
  skip: (app) => app.judge("skip"),
  flag: (app) => app.decide("flag"),
  comment: async (app) => {
    const words = await askComment();
    if (words) app.decide("flag", { comment: words });
  },
  edit: (app) => app.panel.edit(),
  "edit-save": (app) => app.panel.edited(true),
  "edit-leave": (app) => app.panel.edited(false),
  primitive: async (app) => {
    const name = await askPrimitive(app.facets.primitives, app.now.primitive);
    if (name && name !== app.now.primitive) app.decide("primitive", { primitive: name });
  },
  "start-earlier": (app) => app.nudge("start", -1),
  "start-later": (app) => app.nudge("start", 1),
  "end-earlier": (app) => app.nudge("end", -1),
  "end-later": (app) => app.nudge("end", 1),
  "start-snap": (app) => app.snap("start", 1),
  "start-snap-back": (app) => app.snap("start", -1),
  "end-snap": (app) => app.snap("end", 1),
  "end-snap-back": (app) => app.snap("end", -1),
  split: (app) => app.decide("split", { to_ms: app.player.edges[app.player.frame()] }),
  merge: (app) => app.decide("merge", {}, 1),
  undo: (app) => app.undo(),
  redo: (app) => app.redo(),
  play: (app) => (app.player.playing ? app.player.pause() : app.player.play()),
  back: (app) => app.player.step(-1),
  forward: (app) => app.player.step(1),
  loop: (app) => {
    app.looped = app.looped === "event" ? "episode" : "event";
    document.getElementById("loop").textContent = `loop: ${app.looped}`;
    app.loop();
  },
  slower: (app) => app.player.setRate(app.player.rate / 2),
  faster: (app) => app.player.setRate(app.player.rate * 2),
  home: (app) => app.player.seek(app.now.start_ms),
  "next-open": (app) => app.queue.next(app.now),
  next: (app) => app.queue.go(1),
  previous: (app) => app.queue.go(-1),
  right: (app) => app.choose(app.events()[app.events().findIndex((e) => e.start_ms === app.now.start_ms) + 1]),
  left: (app) => app.choose(app.events()[app.events().findIndex((e) => e.start_ms === app.now.start_ms) - 1]),
  search: (app) => app.queue.focus(),
  sheet: (app) => (app.blind ? app.say("one by one in a second pass") : showSheet(app, app.now)),
  quality: (app) => showQuality(app.facets.lead),
  queue: (app) => app.queue.toggle(),
  help: (app) => showHelp(app.keys, () => app.panel.hints()),
};
