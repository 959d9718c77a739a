// From here the page begins.

function shardTable() {
  const names = ["Shard", "Clips", "Done", "Skipped", "Failed", "Sound", "Time", "Exit"];
  const head = make("tr", {}, ...names.map((name) => make("th", { scope: "col", textContent: name })));
  const body = DATA.shards.map((cells) => make("tr", {}, ...cells.map((text, column) => {
    const bad = (column === 4 && Number(text) > 0) || (column === 7 && text !== "0");
    return make("td", { className: bad ? "bad" : "", textContent: text });
  })));
  byId("shards").append(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
  byId("shards").hidden = false;
}

byId("title").textContent = DATA.shards ? "Report" : "Review";
byId("where").textContent = DATA.folder;
byId("render").hidden = !SERVED;
byId("save").textContent = SERVED ? "Save cues" : "Download cues";
byId("words").append(...DATA.words.map((value) => make("option", { value })));
if (DATA.shards) shardTable();
wire();
buildList();
showPicks();
requestAnimationFrame(tick);
