// Posters, motion, spectrograms and outlines: nothing of a clip is read before it is in view.

const seenOf = new Map(), heardOf = new Map();

/** The poster and the motion of a clip, as a promise. */
const seenPictures = (clip) => pictures(clip, seenOf, "seen");
/** The spectrograms and outlines of its takes. */
const heardPictures = (clip) => pictures(clip, heardOf, "heard");

function pictures(clip, cache, part) {
  const key = `${clip.id} ${clip.hash}`;
  if (!cache.has(key)) cache.set(key, load(clip, part));
  return cache.get(key);
}

async function load(clip, part) {
  if (SERVED) {
    if (!clip.takes.length) return {};
    const answer = await fetch(`pictures/${clip.id}/${part}`);
    return answer.ok ? answer.json() : {};
  }
  const block = byId(`pictures-${clip.id}`);
  return block ? JSON.parse(block.textContent)[part] : {};
}

const asImage = (base64) => `data:image/jpeg;base64,${base64}`;
const asBytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

const inView = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) showPoster(entry.target);
  }
}, { root: null, rootMargin: "200px" });

/** Put its poster into a row, once. */
async function showPoster(row) {
  inView.unobserve(row);
  const clip = row.clip;
  const found = await seenPictures(clip).catch(() => ({}));
  if (!found.poster) return;
  const image = make("img", { src: asImage(found.poster), alt: "", decoding: "async" });
  image.style.aspectRatio = `${clip.width} / ${clip.height}`;
  row.querySelector(".poster").replaceChildren(image);
}
