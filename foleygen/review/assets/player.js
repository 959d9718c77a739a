// Picture and sound: the video leads, another take or the clip's own sound follows it.

const video = byId("video");
const other = new Audio();
other.preload = "auto";
const DRIFT_S = 0.06;
let heard = "clip";
let shuttle = 0;
let turned = 0;
// A file that this browser cannot show: then a take's wav leads, if there is one.
let broken = false;

const leader = () => (broken ? other : video);
const now = () => leader().currentTime || 0;
const isPlaying = () => shuttle !== 0;

/** What can be heard besides the finished clip: `take-N` and `own`. */
function hear(what) {
  heard = what;
  video.muted = what !== "clip";
  if (what === "clip") {
    other.pause();
  } else {
    const address = new URL(mediaOf(current, what), document.baseURI).href;
    if (other.src !== address) other.src = address;
    const take = current.takes.find((one) => `take-${one.number}` === what);
    other.volume = take ? Math.min(1, 10 ** (take.gain / 20)) : 1;
    follow(true);
  }
  showTakes();
}

/** Bring the other sound to where the picture is. */
function follow(exactly = false) {
  if (heard === "clip" || broken) return;
  if (exactly || Math.abs(other.currentTime - now()) > DRIFT_S) other.currentTime = now();
  other.playbackRate = Math.max(0.25, video.playbackRate);
  const wanted = shuttle > 0 && !video.paused && !video.seeking;
  if (wanted && other.paused && !other.ended) other.play().catch(() => say("This sound cannot be played here.", true));
  if (!wanted && !other.paused) other.pause();
}

/** -4 to 4 times real time; 0 stops. Backwards there is no sound. */
function run(speed) {
  shuttle = current && current.takes.length ? speed : 0;
  if (shuttle > 0) {
    if (leader().ended || now() >= current.seconds - 0.01) leader().currentTime = 0;
    leader().playbackRate = shuttle;
    leader().play().catch(() => { shuttle = 0; showSpeed(); });
  } else {
    leader().pause();
    follow();
  }
  turned = performance.now();
  showSpeed();
}

function showSpeed() {
  byId("play").textContent = isPlaying() ? "Pause" : "Play";
  byId("play").setAttribute("aria-label", isPlaying() ? "Pause" : "Play");
  byId("speed").textContent = Math.abs(shuttle) > 1 || shuttle < 0 ? `${shuttle}\u00d7`.replace("-", "\u2212") : "";
}

const toggle = () => run(isPlaying() ? 0 : 1);
const faster = () => run(shuttle > 0 ? Math.min(4, shuttle * 2) : 1);
const slower = () => run(shuttle < 0 ? Math.max(-4, shuttle * 2) : -1);

function seek(seconds) {
  leader().currentTime = Math.max(0, Math.min(current.seconds, seconds));
  follow(true);
}

/** To the middle of a picture, so that rounding cannot show its neighbour. */
function step(pictures) {
  run(0);
  const to = Math.max(0, Math.min(lastPicture(current), pictureAt(now(), current) + pictures));
  seek((to + 0.5) / rateOf(current));
}

function tick(time) {
  if (current && current.takes.length) {
    if (shuttle < 0) {
      seek(now() + shuttle * (time - turned) / 1000);
      if (now() <= 0) run(0);
    }
    showTime();
  }
  turned = time;
  requestAnimationFrame(tick);
}

function showTime() {
  const at = Math.min(now(), current.seconds);
  const text = `${labelAt(at, current)}  ${at.toFixed(2)} / ${current.seconds.toFixed(2)} s`;
  if (byId("clock").textContent !== text) byId("clock").textContent = text;
  byId("playhead").style.left = `${100 * at / current.seconds}%`;
}

for (const event of ["playing", "pause", "seeked", "ratechange", "timeupdate", "waiting"]) video.addEventListener(event, () => follow());
video.addEventListener("ended", () => run(0));
other.addEventListener("ended", () => broken && run(0));
video.addEventListener("error", () => {
  if (!video.getAttribute("src")) return;
  byId("unplayable").textContent = "This browser cannot show this file; its takes and cues are below. Open it in a player to see it.";
  byId("unplayable").hidden = false;
  broken = true;
  run(0);
  const take = current.takes.find((one) => one.number === taken && one.file) || current.takes.find((one) => one.file);
  if (take) choose(take.number);
  else showTakes();
});

/** The takes as buttons; the one that is heard is checked. */
function showTakes() {
  const clip = current, picked = pickOf(clip);
  byId("takes").replaceChildren(...clip.takes.map((take) => {
    const what = soundOf(clip, take.number), can = what !== null;
    const notes = [take.number === clip.picked ? "in the clip" : "", take.number === picked && picked !== clip.picked ? "picked" : "", can ? "" : "no wav"];
    const text = `${notes.filter(Boolean).map((note) => `${note}, `).join("")}${levels(take)}`;
    const button = make("button", { type: "button", role: "radio", disabled: !can, "aria-checked": String(take.number === chosenTake()) });
    button.append(`Take ${take.number}`, make("small", { textContent: text }));
    button.tabIndex = take.number === chosenTake() ? 0 : -1;
    button.dataset.take = take.number;
    button.addEventListener("click", () => take.number && choose(take.number));
    return button;
  }));
  byId("ab").hidden = !clip.own;
  byId("ab").setAttribute("aria-pressed", String(heard === "own"));
  const take = chosenTake();
  byId("pick").hidden = clip.takes.length < 2;
  byId("pick").disabled = take === (SERVED ? clip.picked : picked) || soundOf(clip, take) === null;
  byId("pick").textContent = `Pick take ${take}`;
}

let taken = 1;
const chosenTake = () => taken;

/** What to play for a take: the finished clip has one, the wavs have the others. */
function soundOf(clip, number) {
  if (number === clip.picked && !broken) return "clip";
  const take = clip.takes[number - 1];
  return take && take.file ? `take-${number}` : null;
}

function choose(number) {
  const what = soundOf(current, number);
  if (what === null) return say(`Take ${number} has no wav beside the clip.`, true);
  taken = number;
  hear(what);
  drawSound();
  return say(`Take ${number}`);
}

/** Between the take and the sound that the clip had before. */
function compare() {
  if (!current.own) return say("The clip has no sound of its own.", true);
  hear(heard === "own" ? soundOf(current, taken) || "own" : "own");
  return say(heard === "own" ? "The clip's own sound" : `Take ${taken}`);
}
