// Ruler, motion, waveform, spectrogram and the handles of the cues, all on one axis of time.

const axis = byId("axis"), LANE = 22;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function sized(id) {
  const canvas = byId(id), ratio = Math.min(2, devicePixelRatio || 1);
  const width = Math.min(8192, Math.round(axis.clientWidth * ratio)), height = Math.round(Number(canvas.dataset.height || canvas.height) * ratio);
  if (!canvas.dataset.height) canvas.dataset.height = canvas.height;
  canvas.style.height = `${canvas.dataset.height}px`;
  canvas.width = width;
  canvas.height = height;
  return [canvas.getContext("2d"), width, height, ratio];
}

function drawAxis() {
  axis.style.width = `${100 * 2 ** Number(byId("zoom").value)}%`;
  drawRuler();
  drawMotion();
  drawSound();
  drawCues();
}

function drawRuler() {
  const [pen, width, height, ratio] = sized("ruler");
  const wanted = current.seconds * 90 * ratio / width;
  const every = [1 / rateOf(current), 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600].find((one) => one >= wanted) || wanted;
  pen.fillStyle = pen.strokeStyle = colour("--soft");
  pen.font = `${11 * ratio}px system-ui, sans-serif`;
  for (let index = 0; index * every < current.seconds; index += 1) {
    const x = index * every / current.seconds * width;
    pen.fillRect(x, height * 0.55, ratio, height);
    pen.fillText(labelAt(index * every, current), x + 3 * ratio, height * 0.72);
  }
}

function bars(pen, values, top, width, height, fill, mirrored) {
  pen.fillStyle = fill;
  values.forEach((value, index) => {
    const left = index * width / values.length, tall = value / top * (height - 2);
    pen.fillRect(left, mirrored ? (height - tall) / 2 : height - tall, Math.max(1, width / values.length - 0.3), Math.max(1, tall));
  });
}

async function drawMotion() {
  const clip = current;
  const [pen, width, height] = sized("motion");
  const found = await seenPictures(clip).catch(() => ({}));
  if (clip !== current || !found.motion) return;
  pen.clearRect(0, 0, width, height);
  bars(pen, [...asBytes(found.motion)], 255, width, height, colour("--motion"), false);
}

async function drawSound() {
  const clip = current, take = clip.takes[taken - 1];
  const [pen, width, height] = sized("wave");
  bars(pen, take.peaks, loudest(clip), width, height, colour("--wave"), true);
  const found = await heardPictures(clip).catch(() => ({}));
  if (clip !== current || take !== clip.takes[taken - 1]) return;
  const drawn = (found.sounds || []).find((one) => one.number === take.number);
  byId("mel").replaceChildren(...(drawn ? [make("img", { src: asImage(drawn.image), alt: "" })] : []));
  if (!drawn) return;
  pen.clearRect(0, 0, width, height);
  bars(pen, [...asBytes(drawn.outline)], 255 * loudest(clip), width, height, colour("--wave"), true);
}

/** All takes are drawn on one scale. */
const loudest = (clip) => Math.max(1e-4, ...clip.takes.flatMap((take) => take.peaks));

function told(cue) {
  const parts = [labelAt(cue.seconds, current), `${cue.seconds.toFixed(3)} s`];
  if (cue.strength !== null) parts.push(`strength ${cue.strength.toFixed(2)}`);
  if (cue.sound) parts.push(cue.sound);
  if (cue.confidence !== null) parts.push(`found with confidence ${cue.confidence.toFixed(2)}`);
  return parts.join(", ");
}

function drawCues() {
  const place = byId("cues"), focused = place.contains(document.activeElement);
  while (place.children.length > cues().length) place.lastElementChild.remove();
  while (place.children.length < cues().length) place.append(handle(place.children.length));
  cues().forEach((cue, index) => dress(place.children[index], cue, index));
  if (focused && selected >= 0) place.children[selected].focus();
  byId("known").replaceChildren(...(current.sheet.known || []).map(([from, to]) => {
    const part = make("i");
    part.style.left = `${100 * from / current.seconds}%`;
    part.style.width = `${100 * (to - from) / current.seconds}%`;
    return part;
  }));
  drawLasting();
  showEditor();
}

/** What goes on, as spans; those at one time have their words in lanes, from the bottom up. */
function drawLasting() {
  const ends = [], part = (seconds) => `${100 * seconds / current.seconds}%`;
  byId("lasting").replaceChildren(...current.sheet.lasting.map(([from, to, sound]) => {
    const free = ends.findIndex((end) => end <= from), lane = free < 0 ? ends.length : free;
    ends[lane] = to;
    const bar = make("i"), words = make("b", { textContent: sound });
    bar.style.bottom = `${LANE * lane}px`;
    words.style.bottom = `${LANE * lane + 4}px`;
    const label = `${sound} from ${labelAt(from, current)} to ${labelAt(to, current)}, ${from.toFixed(3)} s to ${to.toFixed(3)} s`;
    const span = make("span", { role: "img", "aria-label": label }, bar, words);
    span.style.left = part(from);
    span.style.width = part(to - from);
    return span;
  }));
}

function handle(index) {
  const made = make("button", { type: "button", className: "cue", role: "slider", "aria-valuemin": 0 }, make("b"), make("i"));
  made.addEventListener("focus", () => selected !== index && select(index));
  made.addEventListener("pointerdown", (event) => grab(event, index));
  return made;
}

function dress(button, cue, index) {
  button.style.left = `${100 * cue.seconds / current.seconds}%`;
  button.classList.toggle("on", index === selected);
  button.setAttribute("aria-label", `Cue ${index + 1} of ${cues().length}`);
  button.setAttribute("aria-valuemax", current.seconds.toFixed(3));
  button.setAttribute("aria-valuenow", cue.seconds.toFixed(3));
  button.setAttribute("aria-valuetext", told(cue));
  button.children[0].textContent = cue.sound;
  button.children[0].hidden = !cue.sound;
  button.children[1].style.height = `${(cue.strength === null ? DEFAULT_STRENGTH : cue.strength) * 70}%`;
}

function secondsAt(event) {
  const box = axis.getBoundingClientRect();
  return (event.clientX - box.left) / box.width * current.seconds;
}

/** Drag a cue: it snaps to pictures, and with Alt, Control or Command held it does not. */
function grab(event, index) {
  if (event.button !== 0) return;
  event.preventDefault();
  event.stopPropagation();
  select(index);
  byId("cues").children[index].focus({ preventScroll: true });
  const from = event.clientX, off = secondsAt(event) - cues()[index].seconds;
  let moved = false;
  const move = (next) => {
    if (!moved && Math.abs(next.clientX - from) < 3) return;
    const to = secondsAt(next) - off;
    moveCue(next.altKey || next.ctrlKey || next.metaKey ? inside(to) : snapped(to), moved);
    moved = true;
  };
  const drop = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", drop);
    removeEventListener("pointercancel", drop);
    if (moved) say(`Cue moved to ${labelAt(cues()[selected].seconds, current)}`);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", drop);
  addEventListener("pointercancel", drop);
}

axis.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !current) return;
  seek(secondsAt(event));
  if (event.pointerType !== "mouse") return;
  const move = (next) => seek(secondsAt(next));
  addEventListener("pointermove", move);
  addEventListener("pointerup", () => removeEventListener("pointermove", move), { once: true });
});
byId("zoom").addEventListener("input", () => {
  drawAxis();
  byId("scroller").scrollLeft = now() / current.seconds * axis.clientWidth - byId("scroller").clientWidth / 2;
});
addEventListener("resize", () => current && current.takes.length && drawAxis());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => current && current.takes.length && drawAxis());

function showEditor() {
  const cue = cues()[selected], history = historyOf(current);
  byId("one").hidden = !cue;
  byId("undo").disabled = !history.past.length;
  byId("redo").disabled = !history.future.length;
  byId("save").disabled = SERVED ? !isUnsaved(current) : !saysSomething(current) && !isChanged(current);
  if (!cue) return;
  byId("at").textContent = labelAt(cue.seconds, current);
  byId("strength").value = cue.strength === null ? DEFAULT_STRENGTH : cue.strength;
  byId("strong").textContent = cue.strength === null ? "not said" : cue.strength.toFixed(2);
  if (document.activeElement !== byId("word")) byId("word").value = cue.sound;
}
