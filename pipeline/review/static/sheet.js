// The contact sheet of a cluster: events that nobody has judged, each with its picture and words; what is not clicked
// away is accepted at once, a decision each. Only what was shown here can be accepted from here.

import { drawn, get, post } from "./api.js";
import { made } from "./dialogs.js";
import { picture, tile } from "./panel.js";

const MOST = 60;

export async function showSheet(app, now) {
  if (now.vl < 0) return app.say("it is in no cluster yet");
  const box = document.getElementById("sheet");
  const found = await get("cluster", { level: now.level, vl: now.vl, state: "open", limit: MOST }).catch((e) => (app.say(e.message), []));
  if (!found.length) return app.say("nobody has to judge any more of this cluster");
  const out = new Set();
  const grid = made("div", "", "grid");
  const go = made("button", "", "primary");
  const count = () => (go.textContent = `Accept ${found.length - out.size}`);
  for (const { event, strip, length_ms } of found) {
    const button = made("button");
    const canvas = made("canvas");
    button.append(canvas, made("span", `${event.primitive}: ${event.text}`));
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      if (!out.delete(event)) out.add(event);
      button.setAttribute("aria-pressed", String(!out.has(event)));
      count();
    });
    if (strip) picture(`/${strip}`).then((image) => tile(canvas, image, (event.start_ms + event.end_ms) / 2 / length_ms, 96)).catch(() => {});
    grid.append(button);
  }
  const shown = performance.now();
  go.addEventListener("click", async () => {
    go.disabled = true;
    const chosen = found.map((f) => f.event).filter((e) => !out.has(e));
    const spent = Math.round((performance.now() - shown) / chosen.length);
    box.close();
    await acceptAll(app, chosen, spent);
  });
  const leave = made("button", "Leave (Esc)");
  leave.addEventListener("click", () => box.close());
  count();
  const words = made("span", `Cluster ${now.vl}, ${found.length} that nobody has judged. Click those that are not right: they stay in the queue.`);
  const top = made("div", "", "top");
  top.append(go, leave, words);
  box.replaceChildren(top, grid);
  box.showModal();
}

async function acceptAll(app, events, spent) {
  let [done, refused] = [0, 0];
  for (const event of events) {
    const { episode, level, track } = event;
    const body = { episode, level, track, at_ms: event.start_ms, action: "accept", seen: [event.seen], spent_ms: spent, decision_id: drawn(), comment: "contact sheet" };
    const answer = await post("decide", body);
    if (answer.ok) {
      done++;
      app.written(body, answer.body);
    } else refused++;
    app.say(`accepted ${done} of ${events.length}`);
  }
  app.say(`accepted ${done}${refused ? `; ${refused} were not as they were shown, or others are at them` : ""}`);
  await app.queue.changed();
}
