// What is asked in a window of its own: keys, a primitive, a comment, what to do about a conflict.

import { ACTIONS, DIGITS, named, shown } from "./keys.js";

const $ = (id) => document.getElementById(id);

export function made(name, text = "", kind = "") {
  const element = document.createElement(name);
  element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

export function showHelp(keys, changed) {
  const box = $("help");
  let told = "";
  const draw = () => {
    const columns = [made("div"), made("div"), made("div")];
    box.replaceChildren(...columns);
    for (const [title, rows] of ACTIONS) {
      const section = made("section");
      const table = made("table");
      section.append(made("h2", title), table);
      for (const [name, , words] of rows) {
        const row = table.insertRow();
        const button = made("button");
        button.append(made("kbd", shown(keys.key(name))));
        button.setAttribute("aria-label", `${words}: ${shown(keys.key(name))}. Choose another key`);
        button.addEventListener("click", () => {
          button.textContent = "press";
          addEventListener("keydown", (event) => {
            event.preventDefault();
            event.stopImmediatePropagation();
            const other = event.key === "Escape" ? null : keys.set(name, named(event));
            told = other ? `${other[2]}: ${shown(keys.key(other[0]))} now.` : "";
            draw();
            changed();
          }, { once: true, capture: true });
        });
        row.insertCell().append(button);
        row.insertCell().textContent = words;
      }
      columns[{ Correct: 1, Go: 2 }[title] ?? 0].append(section);
    }
    const words = `1 to 9 and 0: ${DIGITS.join(", ")}. A tap names the event; held while it plays, it labels what plays until you let go. ` +
      "Drag an edge on the timeline to move it; the wheel zooms. A click on a key here gives it to another one (a foot pedal is a key).";
    const bottom = made("p", words, "bottom");
    const reset = made("button", "All keys as they were");
    reset.addEventListener("click", () => (keys.reset(), (told = ""), draw(), changed()));
    const close = made("button", "Close (Esc)", "primary");
    close.addEventListener("click", () => box.close());
    const last = made("p", "", "bottom");
    last.append(close, " ", reset, " ", told);
    box.append(bottom, last);
  };
  draw();
  box.showModal();
}

// A primitive, by typing some of it and Enter; null where it is left.
export function askPrimitive(all, current) {
  const box = $("choose");
  const input = $("filter");
  const list = box.querySelector("ul");
  let at = 0;
  let found = all;
  const draw = () => {
    found = all.filter((p) => p.startsWith(input.value)).concat(all.filter((p) => p.includes(input.value) && !p.startsWith(input.value)));
    at = Math.min(Math.max(at, 0), Math.max(0, found.length - 1));
    list.replaceChildren(...found.map((name, n) => {
      const item = made("li", name, n === at ? "now" : "");
      item.addEventListener("click", () => box.close(name));
      return item;
    }));
  };
  input.value = "";
  at = all.indexOf(current);
  draw();
  return new Promise((answer) => {
    input.oninput = () => ((at = 0), draw());
    input.onkeydown = (event) => {
      const by = { ArrowDown: 3, ArrowUp: -3, ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) event.preventDefault(), (at += by), draw();
      else if (event.key === "Enter") event.preventDefault(), box.close(found[at] ?? "");
    };
    box.onclose = () => answer(box.returnValue || null);
    box.returnValue = "";
    box.showModal();
    input.focus();
  });
}

export function askComment() {
  const box = $("remark");
  const text = box.querySelector("textarea");
  text.value = "";
  return new Promise((answer) => {
    text.onkeydown = (event) => { // (a handler that returns false takes the key away)
      if ((event.ctrlKey || event.metaKey) && event.key === "Enter") box.close("save");
    };
    box.onclose = () => answer(box.returnValue === "save" ? text.value.trim() : "");
    box.returnValue = "";
    box.showModal();
    text.focus();
  });
}

// Nothing was written: what was asked, and what is there now.
export function showConflict(asked, answer, before, take) {
  const box = $("conflict");
  const now = answer.events.find((e) => e.start_ms <= asked.at_ms && asked.at_ms < e.end_ms);
  const both = made("div", "", "both");
  const told = (e) => (e ? `${e.primitive}, ${(e.start_ms / 1000).toFixed(2)} to ${(e.end_ms / 1000).toFixed(2)} s${e.state ? `, ${e.state}` : ""}: ${e.text}` : "it is not there any more");
  const yours = made("div");
  const what = [asked.action, asked.text, asked.primitive, asked.to_ms ? `${(asked.to_ms / 1000).toFixed(2)} s` : ""].filter(Boolean).join(": ");
  yours.append(made("h2", "What you saw, and asked"), made("p", told(before)), made("p", what));
  const theirs = made("div");
  theirs.append(made("h2", answer.by ? `What ${answer.by} has made of it` : "What is there now"), made("p", told(now)));
  both.append(yours, theirs);
  const go = made("button", answer.kind === "leased" ? "Leave it" : "Show what is there now", "primary");
  go.addEventListener("click", () => box.close());
  box.onclose = take;
  box.replaceChildren(made("p", answer.detail), both, go);
  box.showModal();
}
