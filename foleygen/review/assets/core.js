"use strict";

// What the page was given, what it remembers, and how times and levels are told.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SERVED = DATA.served;
const LOUD_LUFS = -14, LOUD_PEAK = -1, SILENT_LUFS = -60;

const byId = (id) => document.getElementById(id);
const clips = DATA.clips;
let current = null;

/** An element with properties, attributes (in `data`) and children; text is text, never markup. */
function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// Served, what is saved lies on the disk of the server. From the disk, this browser remembers it.
const STORE = `foleygen.review.${DATA.id}`;
const memory = { seen: {}, picks: {}, cues: {}, ...recalled() };

function recalled() {
  try {
    return SERVED ? {} : JSON.parse(localStorage.getItem(STORE) || "{}");
  } catch {
    return {};
  }
}

function remember() {
  if (SERVED) return;
  try {
    localStorage.setItem(STORE, JSON.stringify(memory));
  } catch {
    say("This browser does not let the page remember anything; download before you close it.", true);
  }
}

const isSeen = (clip) => Boolean(clip.seen || memory.seen[clip.id]);
const rateOf = (clip) => clip.rate[0] / clip.rate[1];

/** SMPTE label of picture `number`, counted from midnight. */
function label(number, clip) {
  const base = Math.round(rateOf(clip));
  let count = number;
  if (clip.drop) {
    const dropped = Math.round(base / 15), minute = base * 60 - dropped, ten = minute * 10 + dropped;
    const rest = count % ten;
    count += Math.floor(count / ten) * 9 * dropped;
    if (rest >= base * 60) count += dropped * (1 + Math.floor((rest - base * 60) / minute));
  }
  const two = (value) => String(value).padStart(2, "0");
  const seconds = Math.floor(count / base);
  const parts = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map(two);
  return `${parts.join(":")}${clip.drop ? ";" : ":"}${two(count % base)}`;
}

/** Number of the picture on the screen at `seconds`, from 0. */
const pictureAt = (seconds, clip) => Math.max(0, Math.floor((seconds + 1e-6) * rateOf(clip)));
const labelAt = (seconds, clip) => label(clip.first + pictureAt(seconds, clip), clip);
const lastPicture = (clip) => Math.max(0, Math.ceil(clip.seconds * rateOf(clip) - 1e-6) - 1);
const startOf = (picture, clip) => Number((picture / rateOf(clip)).toFixed(6));

function length(seconds) {
  if (seconds === null) return "";
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`;
}

const decibels = (value, unit) => (value === null ? `no ${unit}` : `${value.toFixed(1)} ${unit}`.replace("-", "\u2212"));
const levels = (one) => (one.lufs === null && one.peak === null ? "silent" : `${decibels(one.lufs, "LUFS")}, ${decibels(one.peak, "dBTP")}`);
const isLoud = (clip) => (clip.lufs !== null && clip.lufs > LOUD_LUFS) || (clip.peak !== null && clip.peak > LOUD_PEAK);
const isSilent = (clip) => clip.takes.length > 0 && (clip.lufs === null || clip.lufs < SILENT_LUFS);
const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

function say(text, bad = false) {
  const place = byId("said");
  place.textContent = text;
  place.classList.toggle("bad", bad);
}

function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Addresses of a clip's media: files beside the page, or what the server gives. */
function mediaOf(clip, what) {
  if (SERVED) return `files/${clip.id}/${what}?v=${clip.hash}`;
  if (what === "video") return clip.path;
  if (what === "own") return clip.own;
  const stem = clip.path.replace(/\.[^./]*$/, "");
  return `${stem}.t${what.slice(5).padStart(2, "0")}.wav`;
}
