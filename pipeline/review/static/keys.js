// Which key does what. A person's own choice is kept in this browser; a foot pedal is a key like any other.

export const ACTIONS = [
  ["Judge", [
    ["accept", "a", "Accept, and go to the next"],
    ["reject", "x", "Reject: it never reaches a shard"],
    ["skip", "s", "Skip for now"],
    ["flag", "f", "Flag, or take the flag away"],
    ["comment", "c", "Flag with a comment"],
  ]],
  ["Correct", [
    ["edit", "e", "Edit the caption (Enter saves, Esc leaves)"],
    ["primitive", "t", "Choose the primitive"],
    ["start-earlier", "q", "Start a frame earlier (the neighbour's end moves with it)"],
    ["start-later", "w", "Start a frame later"],
    ["end-earlier", "o", "End a frame earlier"],
    ["end-later", "p", "End a frame later"],
    ["start-snap-back", "Shift+Q", "Start at the candidate before"],
    ["start-snap", "Shift+W", "Start at the next candidate"],
    ["end-snap-back", "Shift+O", "End at the candidate before"],
    ["end-snap", "Shift+P", "End at the next candidate"],
    ["split", "b", "Split at the playhead"],
    ["merge", "m", "Merge with the next"],
    ["undo", "z", "Undo"],
    ["redo", "y", "Redo"],
  ]],
  ["Watch", [
    ["play", " ", "Play or pause"],
    ["back", "ArrowLeft", "A frame back"],
    ["forward", "ArrowRight", "A frame forward"],
    ["loop", "l", "Loop the event, or the whole episode"],
    ["slower", "-", "Slower"],
    ["faster", "=", "Faster"],
    ["home", "Home", "To the event's start"],
  ]],
  ["Go", [
    ["next-open", "n", "Next that nobody has judged"],
    ["next", "ArrowDown", "Next in the queue"],
    ["previous", "ArrowUp", "Previous in the queue"],
    ["right", "]", "Next event of the episode"],
    ["left", "[", "Previous event of the episode"],
    ["sheet", "k", "Contact sheet of its cluster: accept many"],
    ["search", "/", "Search and filter"],
    ["queue", "g", "Show or hide the queue"],
    ["help", "?", "Keys"],
  ]],
];

export const DIGITS = ["reach", "align", "grasp", "lift", "move", "lower", "place", "release", "push", "idle"];
const STORED = "corpus-review-keys";

export class Keys {
  constructor() {
    this.own = {};
    try {
      this.own = JSON.parse(localStorage.getItem(STORED) || "{}");
    } catch {
      // a browser that keeps nothing: the keys are as they were made
    }
    this.learn();
  }

  learn() {
    this.of = new Map();
    for (const [, rows] of ACTIONS) for (const [name, key] of rows) this.of.set(this.own[name] ?? key, name);
  }

  key(name) {
    const row = ACTIONS.flatMap(([, rows]) => rows).find(([n]) => n === name);
    return this.own[name] ?? row?.[1] ?? "";
  }

  // An action whose key that was has the other's from then on, and is returned: [name, key, words].
  set(name, key) {
    const other = ACTIONS.flatMap(([, rows]) => rows).find(([n]) => n !== name && this.key(n) === key);
    if (other) this.own[other[0]] = this.key(name);
    this.own[name] = key;
    try {
      localStorage.setItem(STORED, JSON.stringify(this.own));
    } catch {
      // kept until the page is left
    }
    this.learn();
    return other ?? null;
  }

  reset() {
    this.own = {};
    localStorage.removeItem(STORED);
    this.learn();
  }

  // Name of the action of a key event; Shift is part of a letter's name, as of none other.
  find(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return (event.ctrlKey || event.metaKey) && event.key === "z" ? "undo" : null;
    return this.of.get(named(event)) ?? null;
  }
}

export function named(event) {
  return event.shiftKey && /^[A-Za-z]$/.test(event.key) ? `Shift+${event.key.toUpperCase()}` : event.key;
}

export function shown(key) {
  return { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" }[key] ?? key.replace("Shift+", "⇧");
}
