// The viewer of a volume; a block, so that its names are its own.
{
  const volume = facts.volume;
  const planes = volume.planes;
  const layers = Object.keys(volume.layers);
  const AHEAD = 4; // lines to load before they are asked for
  const known = new Map();
  const at = {}; // the line shown, by plane
  let plane = planes[0];
  for (const one of planes) at[one.name] = one.start;
  $("view-truth").parentElement.hidden = !planes.some((one) => one.labelled.some(Boolean));

  // Load a picture once; done when it can be drawn without a flash.
  const load = (name) => {
    if (!known.has(name)) {
      const image = new Image();
      image.onerror = () => ($("volume-missing").hidden = false);
      image.src = `${volume.folder}/${name}.webp`;
      known.set(name, image);
    }
    return known.get(name);
  };
  const checked = (name) => document.querySelector(`#view input[name=${name}]:checked`).value;
  const radios = (place, name, entries) => {
    place.append(...entries.map(([value, text], k) => {
      const label = element("label");
      const input = element("input");
      Object.assign(input, { type: "radio", name, value, checked: k === 0 });
      label.append(input, text);
      return label;
    }));
    place.hidden = entries.length < 2;
  };
  const text = (id, value) => ($(id).textContent = value);
  const amount = (value) => String(Math.round(100 * value) / 100);
  const unit = (name) => (["Time", "Depth"].includes(name) ? ` ${volume.unit}` : "");
  const lineName = (k) => `${plane.line} ${amount(plane.numbers[k])}${unit(plane.line)}`;

  const drawn = (file, column, columns) => {
    const made = element("i");
    made.style.setProperty("--columns", columns);
    made.style.backgroundImage = `url("${volume.folder}/${file}.webp")`;
    made.style.backgroundPosition = `${columns > 1 ? (100 * column) / (columns - 1) : 0}% 0`;
    return made;
  };

  const show = async () => {
    const k = at[plane.name];
    const [shown, stem] = [plane, `${plane.name}-${k}`];
    const layer = checked("layer");
    const labelled = plane.labelled[k];
    $("line").max = plane.numbers.length - 1;
    $("line").value = k;
    $("line").setAttribute("aria-valuetext", lineName(k));
    text("line-name", `${lineName(k)}${labelled ? ", labelled" : ""}`);
    const left = plane.total - plane.numbers.length;
    text("line-place", `${k + 1} of ${plane.numbers.length}${left ? `; ${left} are not shown` : ""}`);
    text("shades", volume.layers[layer]);
    $("line-before").disabled = k === 0;
    $("line-after").disabled = k === plane.numbers.length - 1;
    for (const side of ["down", "across"]) {
      const [name, first, last] = plane[side];
      text(`${side}-name`, `${name}${unit(name) && `,${unit(name)}`}`);
      text(`${side}-first`, amount(first));
      text(`${side}-last`, amount(last));
    }
    $("section").style.aspectRatio = plane.aspect;
    // No wider than what fits the height of the window.
    for (const part of [$("section"), $("across")]) part.style.width = `min(100%, ${68 * plane.aspect}vh)`;
    $("section").ariaLabel = `${layer} of ${lineName(k)}`;
    mark();
    for (let next = Math.max(k - AHEAD, 0); next <= k + AHEAD && next < plane.numbers.length; next++) {
      load(`${plane.name}-${next}-grey`);
      load(`${plane.name}-${next}-masks`);
    }
    const images = [load(`${stem}-grey`), load(`${stem}-masks`)];
    await Promise.allSettled(images.map((image) => image.decode()));
    if (plane !== shown || at[plane.name] !== k || checked("layer") !== layer) return;
    const pictures = [drawn(`${stem}-grey`, layers.indexOf(layer), layers.length)];
    if ($("view-truth").checked && labelled) pictures.push(drawn(`${stem}-masks`, 1, 2));
    if ($("view-prediction").checked) pictures.push(drawn(`${stem}-masks`, 0, labelled ? 2 : 1));
    $("section").replaceChildren(...pictures);
    $("section").dataset.shows = `${stem} ${layer}`;
  };

  const go = (k) => {
    at[plane.name] = Math.min(Math.max(k, 0), plane.numbers.length - 1);
    show();
  };
  const turn = (name) => {
    plane = planes.find((one) => one.name === name);
    document.querySelector(`#view input[value=${name}]`).checked = true;
    show();
  };

  // Mark on the map where the line runs; a slice is everywhere.
  const mark = () => {
    const line = document.querySelector("#map b");
    const number = plane.numbers[at[plane.name]];
    const part = ([first, last]) => (last === first ? 0 : (number - first) / (last - first));
    line.hidden = plane.name === "slice";
    const across = plane.name === "crossline";
    line.style.inset = across
      ? `0 auto 0 calc(${100 * part(volume.crosslines)}% - 1px)`
      : `calc(${100 - 100 * part(volume.inlines)}% - 1px) 0 auto 0`;
    line.style.width = across ? "2px" : "auto";
    line.style.height = across ? "auto" : "2px";
  };
  const legend = () => {
    const name = $("map-name").value;
    const map = volume.maps[name];
    const picture = document.querySelector("#map i");
    load(`map-${name}`);
    picture.style.backgroundImage = `url("${volume.folder}/map-${name}.webp")`;
    $("map").ariaLabel = `Map: ${map.title}`;
    const parts = (map.legend || []).map(([colour, name]) => {
      const key = element("span", undefined, "key");
      key.style.background = colour || "none";
      const entry = element("span");
      entry.append(key, ` ${name}`);
      return entry;
    });
    if (map.colours && map.colours.length) {
      const ramp = element("span", undefined, "ramp");
      ramp.style.background = `linear-gradient(90deg, ${map.colours.join(",")})`;
      const ends = element("span", undefined, "ends");
      ends.append(element("span", map.low), element("span", map.high));
      parts.push(ramp, ends);
    } else if (map.colours) parts.push("No salt was predicted.");
    $("map-legend").replaceChildren(...parts);
  };
  const nearest = (numbers, wanted) =>
    numbers.reduce((best, number, k) => (Math.abs(number - wanted) < Math.abs(numbers[best] - wanted) ? k : best), 0);
  const place = (event, box) => {
    const { left, top, width, height } = box.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  };
  const between = ([first, last], part) => first + (last - first) * Math.min(Math.max(part, 0), 1);

  text("volume-summary", volume.summary);
  text("volume-folder", volume.folder);
  radios($("view-plane"), "plane", planes.map(({ name, title }) => [name, title]));
  radios($("view-layer"), "layer", layers.map((name) => [name, name]));
  $("view").addEventListener("submit", (event) => event.preventDefault());
  $("view").addEventListener("change", (event) =>
    event.target.name === "plane" ? turn(event.target.value) : show());
  $("line").addEventListener("input", () => go(Number($("line").value)));
  $("line-before").addEventListener("click", () => go(at[plane.name] - 1));
  $("line-after").addEventListener("click", () => go(at[plane.name] + 1));
  const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
  $("section").addEventListener("keydown", (event) => {
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    go(at[plane.name] + STEPS[event.key]);
  });
  $("section").addEventListener("pointermove", (event) => {
    const [x, y] = place(event, $("section"));
    const [across, down] = [plane.across, plane.down];
    const value = ([name, ...ends], part) => `${name} ${Math.round(between(ends, part))}${unit(name)}`;
    text("pointer", `${value(across, x)}, ${value(down, y)}`);
  });
  $("section").addEventListener("pointerleave", () => text("pointer", "\u00a0"));
  text("pointer", "\u00a0");

  if (Object.keys(volume.maps).length) {
    $("map").style.aspectRatio = volume.aspect;
    options($("map-name"), Object.entries(volume.maps).map(([name, map]) => [name, map.title]));
    $("map").style.width = `min(100%, ${60 * volume.aspect}vh)`;
    const range = (numbers) => numbers.map(amount).join(" to ");
    text("map-axes", `Crosslines ${range(volume.crosslines)} across, inlines ${range(volume.inlines)} upwards`);
    $("map-name").addEventListener("change", legend);
    // To the line through the place; from a slice to an inline.
    $("map").addEventListener("click", (event) => {
      const [x, y] = place(event, $("map"));
      if (plane.name === "slice") turn("inline");
      const wanted = plane.name === "inline" ? between(volume.inlines, 1 - y) : between(volume.crosslines, x);
      go(nearest(plane.numbers, wanted));
    });
    legend();
  } else document.querySelector(".maps").hidden = true;
  show();
}
