// The list of clips: one row each, sorted and filtered.

const FILTERS = {
  failed: ["Failed", (clip) => clip.state === "failed"],
  stale: ["Stale", (clip) => clip.state === "stale"],
  loud: ["Loud", isLoud, `Above ${LOUD_LUFS} LUFS or ${LOUD_PEAK} dBTP`],
  silent: ["Silent", isSilent, `No level, or below ${SILENT_LUFS} LUFS`],
  warnings: ["Warnings", (clip) => clip.warnings.length > 0],
  unseen: ["Not yet seen", (clip) => !isSeen(clip)],
};
const STATES = { failed: 0, stale: 1, done: 2 };
const last = (value) => (value === null ? Infinity : -value);
const byName = new Intl.Collator(undefined, { numeric: true });
const SORTS = {
  name: ["Name", (a, b) => byName.compare(a.output, b.output)],
  state: ["State, failures first", (a, b) => STATES[a.state] - STATES[b.state]],
  loudness: ["Loudness", (a, b) => last(a.lufs) - last(b.lufs)],
  peak: ["True peak", (a, b) => last(a.peak) - last(b.peak)],
  length: ["Length", (a, b) => (b.seconds || 0) - (a.seconds || 0)],
  timecode: ["Timecode", (a, b) => a.first / rateOf(a) - b.first / rateOf(b)],
  warnings: ["Warnings", (a, b) => b.warnings.length - a.warnings.length],
  ...(DATA.shards ? { shard: ["Shard", (a, b) => a.shard - b.shard] } : {}),
};
const chosen = new Set();
const rows = new Map();

function buildList() {
  for (const [key, [text, , title = ""]] of Object.entries(FILTERS)) {
    const button = make("button", { type: "button", textContent: text, title, "aria-pressed": "false" });
    button.dataset.filter = key;
    button.addEventListener("click", () => {
      chosen[chosen.has(key) ? "delete" : "add"](key);
      button.setAttribute("aria-pressed", String(chosen.has(key)));
      arrange();
    });
    byId("filters").append(button);
  }
  for (const [key, [text]] of Object.entries(SORTS)) byId("sort").append(make("option", { value: key, textContent: text }));
  byId("sort").value = DATA.shards ? "state" : "name";
  byId("sort").addEventListener("change", arrange);
  byId("find").addEventListener("input", arrange);
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  for (const clip of clips) rows.set(clip.id, make("li", {}, rowOf(clip)));
  byId("rows").addEventListener("keydown", walk);
  arrange();
}

/** A row: all that is known of a clip, as one button that opens it. */
function rowOf(clip) {
  const row = make("button", { type: "button", className: "row", tabIndex: -1 });
  row.clip = clip;
  row.dataset.id = clip.id;
  fill(row);
  row.addEventListener("click", () => open(clip));
  inView.observe(row);
  return row;
}

function fill(row) {
  const clip = row.clip;
  const time = clip.seconds === null ? [] : [label(clip.first, clip), length(clip.seconds)];
  const place = [clip.shard === null ? "" : `shard ${clip.shard}`, clip.folder ? `${clip.folder}/` : "", ...time];
  const poster = row.querySelector(".poster") || make("span", { className: "poster" });
  row.classList.toggle("unseen", !isSeen(clip));
  row.replaceChildren(
    poster,
    cell("name", make("span", { className: "title", textContent: clip.name }), make("br"), make("span", { className: "small", textContent: place.filter(Boolean).join(" \u00b7 ") })),
    cell("engine", make("span", { textContent: clip.model }), make("br"), licenceOf(clip)),
    cell("level", ...(clip.takes.length ? levels(clip).split(", ").map((text) => make("div", { className: "small", textContent: text })) : [])),
    cell("state", stateOf(clip), " ", make("span", { className: "small", textContent: notes(clip) })),
  );
}

const cell = (name, ...children) => make("span", { className: `cell ${name}` }, ...children);
const stateOf = (clip) => make("span", { className: `badge ${clip.state}`, textContent: clip.state });

function licenceOf(clip) {
  const text = clip.commercial ? clip.licence : `${clip.licence}, non-commercial`;
  return make("span", { className: clip.commercial ? "small" : "nc", textContent: clip.licence ? text : "" });
}

function notes(clip) {
  const found = clip.reason ? [`${clip.reason}${clip.remedy ? `; ${clip.remedy}` : ""}`] : [];
  if (clip.warnings.length) found.push(`${plural(clip.warnings.length, "warning")}: ${clip.warnings[0]}`);
  return found.join(" \u00b7 ");
}

function arrange() {
  const wanted = byId("find").value.trim().toLowerCase();
  const tests = [...chosen].map((key) => FILTERS[key][1]);
  const shown = clips.filter((clip) => clip.output.toLowerCase().includes(wanted) && tests.every((test) => test(clip)));
  const by = SORTS[byId("sort").value][1];
  shown.sort((a, b) => by(a, b) || SORTS.name[1](a, b));
  byId("rows").replaceChildren(...shown.map((clip) => rows.get(clip.id)));
  byId("empty").hidden = shown.length > 0;
  settle();
  count(shown.length);
}

/** Exactly one row can be reached with Tab; the arrows go on from there. */
function settle(wanted = null) {
  const all = shownRows();
  const chosenRow = wanted || all.find((row) => row.clip === current) || all[0];
  for (const row of all) row.tabIndex = row === chosenRow ? 0 : -1;
}

const shownRows = () => [...byId("rows").children].map((item) => item.firstElementChild);

function count(shown = byId("rows").children.length) {
  const seen = clips.filter(isSeen).length;
  const some = shown === clips.length ? plural(clips.length, "clip") : `${shown} of ${plural(clips.length, "clip")}`;
  byId("counts").textContent = `${some} \u00b7 ${seen} of ${clips.length} reviewed`;
}

function walk(event) {
  const all = shownRows(), at = all.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  const row = all[Math.max(0, Math.min(all.length - 1, to))];
  settle(row);
  row.focus();
}

/** Bring a row up to date with its clip. */
function refresh(clip) {
  const row = rows.get(clip.id).firstElementChild;
  row.clip = clip;
  fill(row);
  row.setAttribute("aria-current", String(clip === current));
}
