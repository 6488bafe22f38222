// Where an address leads: `#event=source/000003/L1/0004250` to what lies where that event begins or began, also when
// people have moved its edges since; `#episode=source/000003` to the first event of an episode.

const EPISODE = /^[\w-]+\/\w+$/;
const EVENT = /^([\w-]+\/\w+)\/(L[0-3])(?:\.(left|right))?\/(-?\d+)$/;
const $ = (id) => document.getElementById(id);

// {episode, level, track, start_ms} that an address names; null: none
export function named(hash) {
  const found = new URLSearchParams(hash.slice(1));
  const event = EVENT.exec(found.get("event") ?? "");
  if (event) return { episode: event[1], level: event[2], track: event[3] ?? "all", start_ms: Number(event[4]) };
  const episode = found.get("episode");
  return EPISODE.test(episode) ? { episode, level: $("level").value, track: "all", start_ms: 0 } : null;
}

// Show what the address names; false where it names nothing that is there.
export async function openNamed(app) {
  const wanted = named(location.hash);
  if (!wanted) return location.hash.length > 1 && app.say("The address names no event."), false;
  app.setBlind(false);
  if ($("state").value === "second") $("state").value = "open";
  if ($("level").value !== wanted.level) $("level").value = wanted.level;
  await app.queue.search();
  await app.show(wanted);
  return app.now?.episode === wanted.episode;
}
