// The keyboard, and the same by buttons.

const KEYS = [
  ["Space", "play and pause"], ["K", "pause"], ["L", "play; again: twice, four times as fast"], ["J", "backwards; again: faster"],
  ["Left, Right", "one picture; with a cue's handle in focus, the cue"], ["1 to 9", "choose a take"], ["P", "pick the take that is heard"],
  ["A", "the take or the clip's own sound"], ["M", "cue at the picture that is shown; with Alt, at the exact time"],
  ["Tab", "from cue to cue"], ["Up, Down", "strength of the selected cue"], ["W", "word for its sound"], ["Delete", "remove it"],
  ["Drag", "move it from picture to picture; with Alt or Control held, freely"], ["Ctrl Z, Ctrl Shift Z", "undo, redo"],
  ["S", "save or download the cues"], ["R", "render (where the page is served)"], ["Page Up, Page Down", "previous, next clip"], ["Escape", "back to the list"],
];

const DEEDS = {
  " ": toggle, k: () => run(0), l: faster, j: slower, a: compare, p: () => !byId("pick").hidden && !byId("pick").disabled && pick(),
  ArrowUp: () => strengthen(STEP), ArrowDown: () => strengthen(-STEP), Delete: removeCue, Backspace: removeCue,
  s: () => !byId("save").disabled && saveCues(), r: () => SERVED && !byId("render").disabled && render(), w: () => cues()[selected] && byId("word").focus(),
};

function pressed(event) {
  if (byId("keys").open) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const field = event.target.closest("input, select, textarea");
  if (key === "Escape" && current) return field && field.id === "word" ? byId("stage").focus() : close();
  if (field && !(field.type === "range" && (key === " " || /^[a-z1-9]$/.test(key)))) return undefined;
  if (key === "?") return byId("keys").showModal();
  if (!current) return undefined;
  if (key === "PageDown" || key === "PageUp") return act(event, () => neighbour(key === "PageDown" ? 1 : -1));
  if (!current.takes.length) return undefined;
  if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
    const again = key === "y" || event.shiftKey;
    return act(event, () => travel(again ? "future" : "past", again ? "past" : "future"));
  }
  if (event.ctrlKey || event.metaKey) return undefined;
  const onCue = event.target.classList.contains("cue");
  const onButton = event.target.matches("button:focus-visible") && !onCue;
  if (onButton && (key === " " || key === "Enter")) return undefined;
  if (event.target.closest("#takes") && key.startsWith("Arrow")) return act(event, () => nextTake(key));
  if (key === "m") return act(event, () => addCue(event.altKey));
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const by = key === "ArrowRight" ? 1 : -1;
    return act(event, () => (onCue ? stepCue(by) : step(by)));
  }
  if (/^[1-9]$/.test(key) && Number(key) <= current.takes.length) return act(event, () => choose(Number(key)));
  return DEEDS[key] ? act(event, DEEDS[key]) : undefined;
}

function act(event, deed) {
  event.preventDefault();
  deed();
}

function nextTake(key) {
  const by = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  for (let number = taken + by; current.takes[number - 1]; number += by) {
    if (soundOf(current, number) !== null) {
      choose(number);
      byId("takes").children[number - 1].focus();
      return;
    }
  }
}

function wire() {
  const clicks = {
    close, previous: () => neighbour(-1), next: () => neighbour(1), play: toggle, back: () => step(-1), forth: () => step(1), ab: compare,
    add: (event) => addCue(event.altKey), heard: fromSound, undo: () => travel("past", "future"), redo: () => travel("future", "past"),
    remove: removeCue, pick, save: saveCues, render, "save-picks": downloadPicks, help: () => byId("keys").showModal(),
  };
  for (const [id, deed] of Object.entries(clicks)) byId(id).addEventListener("click", deed);
  let dragging = false;
  byId("strength").addEventListener("input", (event) => {
    edit({ strength: Number(event.target.value) }, dragging);
    dragging = true;
  });
  byId("strength").addEventListener("change", () => { dragging = false; });
  byId("word").addEventListener("change", (event) => edit({ sound: event.target.value.trim() }));
  byId("word").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    edit({ sound: event.target.value.trim() });
    byId("stage").focus();
  });
  document.addEventListener("keydown", pressed);
  addEventListener("beforeunload", (event) => {
    if (SERVED && clips.some(isChanged)) event.preventDefault();
  });
  byId("key-list").append(...KEYS.flatMap(([key, text]) => [make("dt", { textContent: key }), make("dd", { textContent: text })]));
}
