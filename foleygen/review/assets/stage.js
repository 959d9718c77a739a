// The clip that is open.

function open(clip) {
  if (current) leave();
  current = clip;
  selected = -1;
  byId("stage").hidden = false;
  document.body.classList.add("opened");
  byId("name").textContent = clip.name;
  const why = notes({ ...clip, warnings: [] });
  byId("reason").textContent = why;
  byId("reason").className = `reason ${clip.state}`;
  byId("reason").hidden = !why;
  byId("player").hidden = !clip.takes.length;
  byId("unplayable").hidden = true;
  say("");
  showFacts();
  if (clip.takes.length) show(clip);
  settle();
  markSeen(clip);
  for (const row of shownRows()) row.setAttribute("aria-current", String(row.clip === clip));
  byId("stage").scrollTop = 0;
  byId("stage").focus({ preventScroll: true });
  rows.get(clip.id).scrollIntoView({ block: "nearest" });
}

function show(clip) {
  taken = clip.picked;
  broken = false;
  video.src = mediaOf(clip, "video");
  video.style.aspectRatio = `${clip.width} / ${clip.height}`;
  hear("clip");
  showSpeed();
  seenPictures(clip).then((found) => {
    if (clip === current && found.poster) video.poster = asImage(found.poster);
  }, () => {});
  drawAxis();
}

function leave() {
  run(0);
  video.removeAttribute("src");
  video.removeAttribute("poster");
  video.load();
  other.pause();
  other.removeAttribute("src");
  byId("mel").replaceChildren();
}

function close() {
  if (!current) return;
  leave();
  const row = rows.get(current.id).firstElementChild;
  current = null;
  byId("stage").hidden = true;
  document.body.classList.remove("opened");
  for (const each of shownRows()) each.setAttribute("aria-current", "false");
  row.focus();
}

function neighbour(by) {
  const all = shownRows(), at = all.findIndex((row) => row.clip === current);
  const row = all[at + by];
  if (row) open(row.clip);
  else say(by > 0 ? "This is the last one." : "This is the first one.");
}

function showFacts() {
  const clip = current, facts = [];
  if (clip.seconds !== null) facts.push(["Timecode", `${label(clip.first, clip)}, ${rateOf(clip).toFixed(3).replace(/\.?0+$/, "")} pictures a second, ${length(clip.seconds)}, ${clip.width}\u00d7${clip.height}`]);
  if (clip.takes.length) facts.push(["Level", `${levels(clip)}, ${clip.channels === 2 ? "stereo" : "mono"}`]);
  if (clip.model) facts.push(["Engine", clip.model], ["Licence", licenceOf(clip)]);
  for (const warning of clip.warnings) facts.push(["Warning", make("span", { className: "warned", textContent: warning })]);
  if (clip.sheet.file) facts.push(["Cues", `${clip.sheet.file}${clip.sheet.tag === "none" ? " (not there yet)" : ""}`]);
  facts.push(["File", clip.output]);
  byId("facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", {}, value)]));
}

function markSeen(clip) {
  if (isSeen(clip)) return;
  if (SERVED) {
    clip.seen = true;
    noteSeen(clip);
  } else {
    memory.seen[clip.id] = 1;
    remember();
  }
  refresh(clip);
  count();
}

const pickOf = (clip) => memory.picks[clip.id] || clip.picked;

function pick() {
  if (SERVED) return pickServed();
  if (taken === current.picked) delete memory.picks[current.id];
  else memory.picks[current.id] = taken;
  remember();
  showTakes();
  showPicks();
  return say(`Take ${taken} is picked; download the picks when you are done.`);
}

function showPicks() {
  const count = Object.keys(memory.picks).length;
  byId("save-picks").hidden = SERVED || !count;
  byId("save-picks").textContent = `Download ${plural(count, "pick")}`;
}

/** As files name it; a name that is not text is told as well as it can be. */
function pathOf(clip) {
  try {
    return decodeURIComponent(clip.path);
  } catch {
    return clip.output;
  }
}

function downloadPicks() {
  const picks = clips.filter((clip) => memory.picks[clip.id]).map((clip) => ({ output: pathOf(clip), take: memory.picks[clip.id] }));
  download("picks.json", `${JSON.stringify({ picks }, null, 2)}\n`, "application/json");
  say("Put picks.json beside the page and run: foleygen pick --from picks.json");
}

function saveCues() {
  if (SERVED) return saveServed();
  download(current.sheet.file, table(current, cues()), "text/csv");
  return say(`Put ${current.sheet.file} beside the clip and run 'foleygen add-sound' again, or name it with --cues${silence(current)}.`);
}
