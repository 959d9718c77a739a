// What only the server can do: save beside the clips, pick, and make a clip again.

async function ask(path, options = {}) {
  const answer = await fetch(path, options).catch(() => null);
  if (answer === null) return { failed: "The server does not answer; start 'foleygen review --serve' again." };
  const document = answer.headers.get("content-type")?.includes("json") ? await answer.json() : {};
  return answer.ok ? document : { failed: `${document.message || `The server answers ${answer.status}.`}${document.remedy ? `; ${document.remedy}` : ""}`, status: answer.status };
}

/** Take over what the server knows of a clip now. */
function adopt(clip, facts) {
  Object.assign(clip, facts);
  const history = histories.get(clip.id);
  if (history) history.saved = JSON.stringify(clip.sheet.rows);
  refresh(clip);
  count();
  if (clip === current) showFacts();
}

async function noteSeen(clip) {
  const answer = await ask(`seen/${clip.id}`, { method: "PUT" });
  if (answer.failed) say(answer.failed, true);
}

async function saveServed() {
  const clip = current;
  say("Saving");
  const answer = await ask(`cues/${clip.id}`, { method: "PUT", body: table(clip, cues()), headers: { "If-Match": `"${clip.sheet.tag}"`, "Content-Type": "text/csv" } });
  if (answer.failed) {
    say(answer.failed, true);
    return false;
  }
  adopt(clip, answer);
  histories.get(clip.id).rows = clip.sheet.rows;
  if (clip === current) drawCues();
  say(`${plural(clip.sheet.rows.length, "cue")} saved in ${clip.sheet.file}${silence(clip)}`);
  return true;
}

async function pickServed() {
  const clip = current, number = taken;
  say(`Putting take ${number} into the clip`);
  const answer = await ask(`pick/${clip.id}/${number}`, { method: "POST", headers: { "If-Match": `"${clip.hash}"` } });
  if (answer.failed) return say(answer.failed, true);
  adopt(clip, answer);
  if (clip === current) reload(clip);
  return say(`Take ${number} is in the clip`);
}

function reload(clip) {
  const at = now();
  run(0);
  show(clip);
  video.addEventListener("loadedmetadata", () => seek(at), { once: true });
}

async function render() {
  const clip = current;
  if (isUnsaved(clip) && !(await saveServed())) return;
  const answer = await ask(`render/${clip.id}`, { method: "POST", headers: { "If-Match": `"${clip.hash}"` } });
  if (answer.failed) {
    say(answer.failed, true);
    return;
  }
  byId("render").disabled = true;
  byId("progress").hidden = false;
  byId("progress").removeAttribute("value");
  await watch(clip);
  byId("render").disabled = false;
  byId("progress").hidden = true;
}

async function watch(clip) {
  for (;;) {
    await new Promise((done) => setTimeout(done, 300));
    const status = await ask("render");
    if (status.failed) return say(status.failed, true);
    if (status.state === "running") {
      if (status.done > 0) byId("progress").value = status.done;
      say(`Rendering ${clip.name}: ${status.stage}`);
      continue;
    }
    const facts = await ask(`clip/${clip.id}`);
    if (!facts.failed) adopt(clip, facts);
    if (status.state === "failed") return say(`${status.message}${status.remedy ? `; ${status.remedy}` : ""}`, true);
    say(`${clip.name} is made again`);
    if (clip !== current) return undefined;
    open(clip);
    say(`${clip.name} is made again`);
    return run(1);
  }
}
