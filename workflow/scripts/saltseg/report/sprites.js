// The browser of tiles.
const PAGE = 24;
const CLASSES = ["0", ">0-10", ...Array.from({ length: 9 }, (_, k) => `${10 * k + 10}-${10 * k + 20}`)];
const REASONS = ["", ...Object.keys(facts.reasons)];
const number = (value, digits = 0) => (value === null || value === undefined ? "-" : value.toFixed(digits));
const percent = (thousandths) => `${number(thousandths === null ? null : thousandths / 10, 1)} %`;

for (const part of ["labelled", "test"]) {
  facts[part].ids = facts[part].ids === "" ? [] : facts[part].ids.split(" ");
}

// A survey need not have test tiles.
if (!facts.test.ids.length) $("part").querySelector("[value=test]").remove();

// Sort keys of the tile orders, ascending; tiles without a key (null) come last.
const ORDERS = {
  labelled: {
    "worst first": (tiles) => (k) => (tiles.score[k] < 0 ? null : k),
    "best first": (tiles) => (k) => (tiles.score[k] < 0 ? null : -tiles.score[k] - tiles.iou[k] / 1e4),
    "typical first": (tiles) => {
      const sorted = tiles.iou.filter((_, k) => bounded(tiles, k)).sort((a, b) => a - b);
      const middle = sorted[sorted.length >> 1];
      return (k) => (bounded(tiles, k) ? Math.abs(tiles.iou[k] - middle) : null);
    },
    "members disagree most": disagreeing,
    "most salt first": (tiles) => (k) => -tiles.coverage[k],
    "shallow first": (tiles) => (k) => tiles.depth[k],
  },
  test: {
    "submission order": () => (k) => k,
    "members disagree most": disagreeing,
    "most salt first": (tiles) => (k) => -tiles.predicted[k],
    "shallow first": (tiles) => (k) => tiles.depth[k],
  },
};

function disagreeing(tiles) {
  return (k) => (tiles.disagreement[k] === null ? null : -tiles.disagreement[k]);
}

function bounded(tiles, k) {
  return tiles.score[k] >= 0 && tiles.coverage[k] > 0 && tiles.coverage[k] < 1000;
}

let shown = [];
let first = 0;
let opened = 0;

// Fill the menus for the selected part, with the number of tiles for each option.
function fillControls() {
  const part = $("part").value;
  const tiles = facts[part];
  const orders = Object.keys(ORDERS[part]).filter(
    (name) => name !== "members disagree most" || tiles.disagreement.some((value) => value !== null),
  );
  options($("order"), orders.map((name) => [name, name]));
  const counts = CLASSES.map((_, k) => tiles.class.filter((value) => value === k).length);
  options($("class"), [["", "any"], ...CLASSES.map((name, k) => [String(k), `${name} (${counts[k]})`])]);
  $("reason-label").hidden = part === "test";
  if (part === "labelled") {
    const found = REASONS.map((_, k) => tiles.reason.filter((value) => value === k).length);
    const named = REASONS.map((name, k) => [String(k), `${name.replaceAll("_", " ") || "nothing"} (${found[k]})`]);
    options($("reason"), [["", "any"], ...named.slice(1), named[0]]);
  }
}

function choose() {
  const part = $("part").value;
  const tiles = facts[part];
  const wanted = $("search").value.trim().toLowerCase();
  const kind = $("class").value;
  const reason = part === "labelled" ? $("reason").value : "";
  const key = ORDERS[part][$("order").value](tiles);
  shown = [];
  for (let k = 0; k < tiles.ids.length; k++) {
    if (kind !== "" && tiles.class[k] !== Number(kind)) continue;
    if (reason !== "" && tiles.reason[k] !== Number(reason)) continue;
    if (wanted && !tiles.ids[k].toLowerCase().includes(wanted)) continue;
    shown.push([key(k), k]);
  }
  shown.sort(([a, k], [b, l]) => (a === null) - (b === null) || a - b || k - l);
  shown = shown.map(([, k]) => k);
  first = 0;
  render();
}

function render() {
  const part = $("part").value;
  const last = Math.min(first + PAGE, shown.length);
  const total = facts[part].ids.length;
  $("count").textContent = shown.length
    ? `${shown.length} of ${total} ${part} tiles; showing ${first + 1} to ${last}`
    : `None of ${total} ${part} tiles match`;
  $("cards").replaceChildren(...shown.slice(first, last).map((k, at) => card(part, k, first + at)));
  $("previous").disabled = first === 0;
  $("next").disabled = last >= shown.length;
}

function describe(part, k) {
  const tiles = facts[part];
  if (part === "test") return `${percent(tiles.predicted[k])} predicted salt`;
  if (tiles.score[k] < 0) return "not predicted by any member";
  const reason = REASONS[tiles.reason[k]];
  return `score ${number(tiles.score[k] / 10, 1)}${reason ? `, ${facts.reasons[reason]}` : ""}`;
}

function card(part, k, at) {
  const item = element("li");
  const button = element("button");
  button.type = "button";
  button.append(element("span", facts[part].ids[k], "name"), element("span", describe(part, k), "what"));
  const drawn = element("span", undefined, "panels");
  drawn.append(...panels(part, k));
  drawn.style.setProperty("--across", drawn.childElementCount);
  // Screen readers get the name and the result; the images would only add noise.
  drawn.ariaHidden = "true";
  button.append(drawn);
  button.addEventListener("click", () => open(at));
  item.append(button);
  return item;
}

// Each panel: its name, and its layers as [kind of sheet, column].
function panels(part, k) {
  const errors = [["grey", 0], ["masks", 2]];
  const all = [["image", [["grey", 0]]], ["truth", [["masks", 0]]], ["probability", [["grey", 1]]]];
  all.push(["prediction", [["masks", 1]]], [part === "test" ? "outline" : "errors", errors]);
  return all
    .filter(([name]) => part !== "test" || name !== "truth")
    .map(([name, layers]) => {
      const panel = element("span");
      const picture = element("span", undefined, "panel");
      picture.role = "img";
      picture.ariaLabel = `${name} of tile ${facts[part].ids[k]}`;
      const [height, width] = facts[part].size;
      picture.style.aspectRatio = `${width} / ${height}`;
      picture.append(...layers.map(([kind, column]) => layer(part, k, kind, column)));
      panel.append(picture, name);
      return panel;
    });
}

const COLUMNS = { grey: 2, masks: 3 };
const probed = new Map();

function layer(part, k, kind, column) {
  const sheet = Math.floor(k / facts.rows);
  const rows = Math.min(facts.rows, facts[part].ids.length - sheet * facts.rows);
  const source = `tiles/${part}-${sheet}-${kind}.webp`;
  const made = element("i");
  made.style.setProperty("--columns", COLUMNS[kind]);
  made.style.backgroundImage = `url("${source}")`;
  // background-position is a percentage of the sheet beyond one panel.
  const down = rows > 1 ? (100 * (k % facts.rows)) / (rows - 1) : 0;
  made.style.backgroundPosition = `${(100 * column) / (COLUMNS[kind] - 1)}% ${down}%`;
  if (!probed.has(source)) {
    const probe = new Image();
    probed.set(source, probe);
    probe.onerror = () => ($("missing").hidden = false);
    probe.src = source;
  }
  return made;
}

function open(at) {
  const part = $("part").value;
  const tiles = facts[part];
  const k = shown[at];
  opened = at;
  $("detail-title").textContent = `Tile ${tiles.ids[k]}`;
  const told = { Result: describe(part, k) };
  if (part === "labelled") {
    told["IoU of the masks"] = number(tiles.iou[k] === null ? null : tiles.iou[k] / 1000, 3);
    told["Labelled salt"] = percent(tiles.coverage[k]);
    told["Fold"] = number(tiles.fold[k]);
  }
  told["Predicted salt"] = percent(tiles.predicted[k]);
  told["Depth z"] = number(tiles.depth[k]);
  if (tiles.disagreement[k] !== null) told["Members' disagreement"] = number(tiles.disagreement[k] / 1000, 3);
  told["Position"] = `${at + 1} of ${shown.length}`;
  const list = element("dl");
  list.id = "detail-facts";
  for (const [name, text] of Object.entries(told)) {
    const row = element("div");
    row.append(element("dt", name), element("dd", text));
    list.append(row);
  }
  $("detail-panels").replaceChildren(...panels(part, k), list);
  $("before").disabled = at === 0;
  $("after").disabled = at === shown.length - 1;
  if (!$("detail").open) $("detail").showModal();
}

function step(by) {
  const at = opened + by;
  if (at >= 0 && at < shown.length) open(at);
}

function turn(by) {
  first += by;
  render();
  $("count").scrollIntoView();
}

$("part").addEventListener("change", () => {
  fillControls();
  choose();
});
for (const id of ["order", "class", "reason"]) $(id).addEventListener("change", choose);
$("search").addEventListener("input", choose);
$("controls").addEventListener("submit", (event) => event.preventDefault());
$("previous").addEventListener("click", () => turn(-PAGE));
$("next").addEventListener("click", () => turn(PAGE));
$("before").addEventListener("click", () => step(-1));
$("after").addEventListener("click", () => step(1));
$("close").addEventListener("click", () => $("detail").close());
$("detail").addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
$("detail").addEventListener("close", () => {
  // Return the focus to the card of the tile last viewed.
  const page = PAGE * Math.floor(opened / PAGE);
  if (page !== first) {
    first = page;
    render();
  }
  $("cards").children[opened - first]?.firstElementChild.focus();
});

fillControls();
choose();
