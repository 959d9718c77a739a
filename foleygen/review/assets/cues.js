// The cues of the open clip: where they are, what was done to them, and the file they become.

const STEP = 0.05, DEFAULT_STRENGTH = 0.5;
const histories = new Map();
let selected = -1;

/** Cues of a clip with their past and what was undone; `saved` is what lies in the file. */
function historyOf(clip) {
  if (!histories.has(clip.id)) {
    const kept = memory.cues[clip.id];
    const begin = clip.sheet.rows;
    histories.set(clip.id, { rows: kept || begin, past: [], future: [], saved: JSON.stringify(begin) });
  }
  return histories.get(clip.id);
}

const cues = () => historyOf(current).rows;
const isChanged = (clip) => histories.has(clip.id) && JSON.stringify(histories.get(clip.id).rows) !== histories.get(clip.id).saved;

/** Whether there is something to save: what was changed, and cues that are in no file yet. */
const isUnsaved = (clip) => isChanged(clip) || (clip.sheet.tag === "none" && saysSomething(clip));
/** Whether there is a cue, or something goes on. */
const saysSomething = (clip) => historyOf(clip).rows.length > 0 || clip.sheet.lasting.length > 0;
/** What a file that says nothing means. */
const silence = (clip) => (saysSomething(clip) ? "" : ": without a cue nothing is heard; delete the file to leave it to the picture");

/** Do something to the cues; `same` joins it to the step before, as while a handle is dragged. */
function change(rows, keep, same = false) {
  const history = historyOf(current);
  const ordered = [...rows].sort((a, b) => a.seconds - b.seconds);
  if (!same) {
    history.past.push(history.rows);
    history.future = [];
  }
  history.rows = ordered;
  selected = keep === null ? -1 : ordered.indexOf(keep);
  noteCues();
}

function noteCues() {
  if (isChanged(current)) memory.cues[current.id] = cues();
  else delete memory.cues[current.id];
  remember();
  drawCues();
}

function travel(from, to) {
  const history = historyOf(current);
  if (!history[from].length) return;
  history[to].push(history.rows);
  history.rows = history[from].pop();
  selected = Math.min(selected, history.rows.length - 1);
  noteCues();
  say(from === "past" ? "Undone" : "Done again");
}

const snapped = (seconds) => startOf(Math.max(0, Math.min(lastPicture(current), Math.round(seconds * rateOf(current)))), current);
const inside = (seconds) => Number(Math.max(0, Math.min(current.seconds - 1e-6, seconds)).toFixed(6));

function addCue(free) {
  const seconds = free ? inside(now()) : startOf(Math.min(lastPicture(current), pictureAt(now(), current)), current);
  const before = cues().find((cue) => Math.abs(cue.seconds - seconds) < 0.01);
  if (before) {
    select(cues().indexOf(before));
    return say("There is a cue already.");
  }
  const cue = { seconds, strength: null, confidence: null, sound: "", name: "" };
  change([...cues(), cue], cue);
  return say(`Cue at ${labelAt(seconds, current)}`);
}

function edit(values, same = false) {
  const old = cues()[selected];
  if (!old) return;
  const cue = { ...old, ...values };
  change(cues().map((each) => (each === old ? cue : each)), cue, same);
}

/** A cue that somebody moved is no longer a guess. */
const moveCue = (seconds, same = false) => edit({ seconds, confidence: null }, same);

function stepCue(pictures) {
  const cue = cues()[selected];
  if (cue) moveCue(startOf(Math.max(0, Math.min(lastPicture(current), pictureAt(cue.seconds, current) + pictures)), current));
}

function strengthen(by) {
  const cue = cues()[selected];
  if (!cue) return;
  const from = cue.strength === null ? DEFAULT_STRENGTH : cue.strength;
  edit({ strength: Number(Math.max(0, Math.min(1, from + by)).toFixed(3)) });
}

function removeCue() {
  const cue = cues()[selected];
  if (!cue) return;
  const index = selected, left = cues().filter((each) => each !== cue);
  change(left, left[Math.min(index, left.length - 1)] || null);
  say(`Cue at ${labelAt(cue.seconds, current)} removed`);
}

function fromSound() {
  const onsets = current.takes[taken - 1].onsets.filter((seconds) => seconds < current.seconds);
  const rows = onsets.map((seconds) => ({ seconds: snapped(seconds), strength: null, confidence: null, sound: "", name: "" }));
  change(rows, null);
  say(`${plural(rows.length, "cue")} where take ${taken} sounds; undo brings the others back`);
}

function select(index) {
  selected = index;
  drawCues();
}

const quoted = (text) => (text ? `"${text.replaceAll('"', '""')}"` : "");
const share = (value) => (value === null ? "" : value.toFixed(3));

/** NAME.cues.csv, as docs/review.md has it. */
function table(clip, rows) {
  const named = rows.some((cue) => cue.name);
  const lines = [["seconds", "timecode", "strength", "confidence", "sound", ...(named ? ["name"] : [])]];
  for (const [from, to, sound] of [...(clip.sheet.known || []), ...clip.sheet.lasting]) {
    lines.push([`${from.toFixed(6)}..${to.toFixed(6)}`, quoted(`${labelAt(from, clip)}..${labelAt(to, clip)}`), "", "", quoted(sound), ...(named ? [""] : [])]);
  }
  for (const cue of rows) {
    const fields = [cue.seconds.toFixed(6), quoted(labelAt(cue.seconds, clip)), share(cue.strength), share(cue.confidence), quoted(cue.sound)];
    lines.push(named ? [...fields, quoted(cue.name)] : fields);
  }
  return lines.map((fields) => `${fields.join(",")}\r\n`).join("");
}
