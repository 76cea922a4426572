// The interactive page: a table that sorts, a scatter of any two columns, and parallel coordinates whose brushes choose
// the trials of both. The page's data are `columns` (name, kind, is_log) and `rows` (a value per column, and the place in the sweep).
"use strict";

const page = JSON.parse(document.getElementById("data").textContent);
const { columns, rows } = page;
const MOST_ROWS = 500; // more would be slow to sort; what is brushed comes first
const MOST_COLOURS = 12; // of names in the legend
const MOST_TICKS = 9;
const MOST_DRAWN = 2000; // points as SVG, which is sharper and slower than WebGL
// Without the button that sends the chart to a server of Plotly's.
const CONFIG = { responsive: true, displaylogo: false, typesetMath: false, showSendToCloud: false, plotlyServerURL: "" };
const chosen = { brushed: null, circled: null }; // numbers of rows; null: all
const order = { column: -1, isUp: true };
const brushes = new Map(); // column → its constraint ranges
const at = (id) => document.getElementById(id);
const number = (name) => columns.findIndex((column) => column.name === name);
const isKnown = (value) => value !== null && value !== "";

// Plotly reads a little markup in texts; ours are names.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const short = (text, most = 40) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function shown(value) {
  if (value === null) return "";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(5)));
}

const isShown = (row) => [chosen.brushed, chosen.circled].every((some) => some === null || some.has(row));

// The better end of the metric's colours is the one that stands out: dark on white, bright on black.
const dark = matchMedia("(prefers-color-scheme: dark)");
const isReversed = () => page.is_reversed !== dark.matches;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Table

function inOrder() {
  const kept = rows.map((_, row) => row).filter(isShown);
  if (order.column < 0) return kept;
  const value = (row) => rows[row].values[order.column];
  const sign = order.isUp ? 1 : -1;
  const isNumber = columns[order.column].kind === "number";
  return kept.sort((a, b) => {
    const [first, second] = [value(a), value(b)];
    if (!isKnown(first) || !isKnown(second)) return Number(isKnown(second)) - Number(isKnown(first)); // unknown last
    return sign * (isNumber ? first - second : String(first).localeCompare(String(second), "en", { numeric: true }));
  });
}

function drawTable() {
  const some = inOrder();
  const body = document.createElement("tbody");
  for (const row of some.slice(0, MOST_ROWS)) {
    const line = body.insertRow();
    line.className = rows[row].style;
    columns.forEach((column, place) => {
      const cell = line.insertCell();
      cell.textContent = shown(rows[row].values[place]);
      cell.className = className(column, place);
    });
  }
  at("trials").replaceChild(body, at("trials").tBodies[0]);
  document.querySelectorAll("#trials th").forEach((head, place) => {
    const isIt = place === order.column;
    head.setAttribute("aria-sort", isIt ? (order.isUp ? "ascending" : "descending") : "none");
  });
  const rest = some.length > MOST_ROWS ? `, the first ${MOST_ROWS} shown` : "";
  at("count").textContent = `${some.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} trials${rest}`;
}

function className(column, place) {
  if (place === 0) return "name pin";
  return column.kind === "number" ? "num" : "";
}

function makeTable() {
  const head = at("trials").createTHead().insertRow();
  columns.forEach((column, place) => {
    const cell = document.createElement("th");
    cell.className = className(column, place);
    cell.scope = "col";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.name;
    button.addEventListener("click", () => {
      order.isUp = order.column === place ? !order.isUp : true;
      order.column = place;
      drawTable();
    });
    cell.append(button);
    head.append(cell);
  });
}

// Scatter

function makeChoices() {
  for (const id of ["x", "y", "colour"]) {
    columns.forEach((column, place) => at(id).add(new Option(column.name, place)));
    at(id).value = number(page.scatter[id]);
    at(id).addEventListener("change", () => {
      if (id !== "colour") at(`log-${id}`).checked = columns[at(id).value].is_log;
      drawScatter();
    });
  }
  for (const id of ["x", "y"]) {
    at(`log-${id}`).checked = columns[at(id).value].is_log;
    at(`log-${id}`).addEventListener("change", drawScatter);
  }
  at("reset").addEventListener("click", () => {
    chosen.brushed = chosen.circled = null;
    brushes.clear();
    drawParallel();
    drawScatter();
    drawTable();
  });
}

// The trial's name, its settings and results, as the markup of a hover.
function about(row) {
  const { values } = rows[row];
  const lines = columns
    .map((column, place) => [column, values[place]])
    .filter(([column, value]) => column.is_hovered && value !== null)
    .map(([column, value]) => `${plain(short(column.name))}: ${plain(short(shown(value)))}`);
  return [`<b>${plain(short(String(values[0]), 60))}</b>`, ...lines].join("<br>");
}

function axis(place, isLog) {
  const column = columns[place];
  const names = column.kind === "number" ? null : levels(place);
  const text = plain(short(column.name, 50));
  const grid = { gridcolor: colour("--line"), zerolinecolor: colour("--line"), automargin: true };
  if (names === null) return { title: { text }, type: isLog ? "log" : "linear", ...grid };
  const ticks = { tickvals: names.map((_, i) => i), ticktext: names.map((name) => plain(short(shown(name), 24))) };
  return { title: { text }, type: "linear", range: [-0.5, names.length - 0.5], ...ticks, ...grid };
}

const inSweep = [...rows].sort((a, b) => a.index - b.index);

function levels(place) {
  return [...new Set(inSweep.map((row) => row.values[place]))].filter((value) => value !== null);
}

// Numbers to draw: those of the column, or the places of its names; null where there is none.
function places(place) {
  const values = rows.map((row) => row.values[place]);
  if (columns[place].kind === "number") return values;
  const of = new Map(levels(place).map((name, i) => [name, i]));
  return values.map((value) => (value === null ? null : of.get(value)));
}

function groups(place) {
  const every = rows.map((_, row) => row);
  const names = columns[place].kind === "number" ? [] : levels(place);
  if (names.length === 0 || names.length > MOST_COLOURS) return [[null, every]];
  return names.map((name) => [name, every.filter((row) => rows[row].values[place] === name)]);
}

function drawScatter() {
  const [x, y, hue] = ["x", "y", "colour"].map((id) => Number(at(id).value));
  const [xs, ys, hues] = [places(x), places(y), places(hue)];
  const isAll = rows.every((_, row) => isShown(row));
  const traces = groups(hue).map(([name, members], i) => {
    const some = members.filter((row) => xs[row] !== null && ys[row] !== null);
    const marker = {
      size: 10,
      symbol: some.map((row) => (rows[row].is_ranked ? "circle" : "circle-open")),
      color: name === null ? some.map((row) => hues[row]) : page.palette[i % page.palette.length],
      line: { width: some.map((row) => (rows[row].is_ranked ? 0.5 : 2)), color: name === null ? undefined : "white" },
    };
    if (name === null) {
      const bar = { title: { text: plain(short(columns[hue].name, 30)), side: "right" }, thickness: 12, outlinewidth: 0 };
      Object.assign(marker, { colorscale: "Viridis", showscale: true, colorbar: bar, reversescale: isReversed() });
    }
    return {
      type: rows.length > MOST_DRAWN ? "scattergl" : "scatter",
      mode: "markers",
      name: name === null ? "" : plain(short(shown(name), 40)),
      x: some.map((row) => xs[row]),
      y: some.map((row) => ys[row]),
      marker,
      text: some.map(about),
      customdata: some,
      hovertemplate: "%{text}<extra></extra>",
      selectedpoints: isAll ? null : some.flatMap((row, place) => (isShown(row) ? [place] : [])),
      unselected: { marker: { opacity: 0.08 } },
    };
  });
  const layout = {
    ...look(),
    margin: { l: 60, r: 16, t: 40, b: 50 },
    height: 460,
    xaxis: axis(x, at("log-x").checked),
    yaxis: axis(y, at("log-y").checked),
    showlegend: traces.length > 1,
    legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
    hovermode: "closest",
    dragmode: matchMedia("(pointer: coarse)").matches ? "pan" : "select",
  };
  Plotly.react("scatter", traces, layout, CONFIG);
}

function look() {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--dim"), activecolor: colour("--link") },
    font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 13, color: colour("--text") },
    hoverlabel: { align: "left", bgcolor: colour("--soft"), bordercolor: colour("--line"), font: { color: colour("--text") } },
  };
}

function circle(event) {
  chosen.circled = event && event.points ? new Set(event.points.map((point) => point.customdata)) : null;
  drawTable();
}

// Parallel coordinates. They have no logarithmic axes and no gaps of their own: logarithms are drawn with ticks at the
// numbers, and what a trial lacks is a tick below the others.

const LACKING = "–";
const measured = rows.map((_, row) => row).filter((row) => (rows[row].values[number(page.metric)] ?? null) !== null);

function dimension(name) {
  const place = number(name);
  const column = columns[place];
  const every = places(place);
  const values = measured.map((row) => every[row]);
  const known = values.filter((value) => value !== null);
  const isLog = column.is_log && known.every((value) => value > 0);
  const change = isLog ? Math.log10 : (value) => value;
  const few = [...new Set(known)].sort((a, b) => a - b);
  let numbers = null;
  if (column.kind !== "number" || (column.is_listed && few.length <= MOST_TICKS)) numbers = few;
  else if (isLog || known.length < values.length) numbers = isLog ? powers(few[0], few.at(-1)) : evenly(few[0], few.at(-1));
  const names = levels(place);
  const said = (value) => (column.kind === "number" ? shown(value) : plain(short(shown(names[value]), 18)));
  let [low, high] = [change(few[0]), change(few.at(-1))];
  if (low === high) [low, high] = [low - 1, high + 1];
  const below = low - (high - low) / 8;
  const ticks = numbers && { tickvals: numbers.map(change), ticktext: numbers.map(said) };
  if (known.length < values.length) {
    ticks.tickvals = [below, ...ticks.tickvals];
    ticks.ticktext = [LACKING, ...ticks.ticktext];
    low = below;
  }
  return {
    label: plain(short(name.split(".").pop(), 22)),
    values: values.map((value) => (value === null ? below : change(value))),
    range: [low, high],
    constraintrange: brushes.get(name),
    ...ticks,
  };
}

const evenly = (low, high) => [0, 1, 2, 3, 4].map((step) => Number((low + ((high - low) * step) / 4).toPrecision(3)));

function powers(low, high) {
  const every = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const times of [1, 2, 5]) every.push(Number(`${times}e${power}`));
  }
  const inside = every.filter((value) => value >= low && value <= high);
  const tens = inside.filter((value) => Number.isInteger(Math.log10(value)));
  return tens.length > 1 ? tens : inside.length > 1 ? inside : [low, high];
}

function drawParallel() {
  if (measured.length < 2) return;
  const hues = measured.map((row) => rows[row].values[number(page.metric)]);
  const bar = { title: { text: plain(short(page.metric, 30)), side: "right" }, thickness: 12, outlinewidth: 0 };
  const trace = {
    type: "parcoords",
    dimensions: page.parallel.map(dimension),
    line: { color: hues, colorscale: "Viridis", reversescale: isReversed(), showscale: true, colorbar: bar },
    unselected: { line: { color: colour("--line"), opacity: 0.25 } },
    labelfont: { size: 13 },
  };
  Plotly.react("parallel", [trace], { ...look(), margin: { l: 60, r: 84, t: 48, b: 24 }, height: 400 }, CONFIG);
}

// After a brush: the ranges of each axis choose the trials that every one of them has inside.
function brush() {
  const { dimensions } = at("parallel").data[0];
  brushes.clear();
  const tests = dimensions.flatMap((drawn, i) => {
    if (!drawn.constraintrange || drawn.constraintrange.length === 0) return [];
    brushes.set(page.parallel[i], drawn.constraintrange);
    const ranges = Array.isArray(drawn.constraintrange[0]) ? drawn.constraintrange : [drawn.constraintrange];
    return [(place) => ranges.some(([low, high]) => low <= drawn.values[place] && drawn.values[place] <= high)];
  });
  const inside = measured.filter((_, place) => tests.every((test) => test(place)));
  chosen.brushed = tests.length === 0 ? null : new Set(inside);
  drawScatter();
  drawTable();
}

makeTable();
makeChoices();
drawTable();
drawScatter();
drawParallel();
at("scatter").on("plotly_selected", circle);
at("scatter").on("plotly_deselect", circle);
if (measured.length >= 2) at("parallel").on("plotly_restyle", brush);
else at("parallel-section").hidden = true;
dark.addEventListener("change", () => {
  drawScatter();
  drawParallel();
});
