// The page: what the server tells of the fleet, drawn again whenever it tells. Nothing is asked of anybody else, nothing
// is kept, and whatever is not known, or not known to be so now, looks like that.

const SCHEMA = 1;
const SILENT_MS = 4000; // the server tells once a second, of a large fleet less often
const HISTORY = 240; // points of the drawer's chart: minutes, since the page was opened
const ORDER = ["bad", "unknown", "warning", "good"];
const SVG = "http://www.w3.org/2000/svg";

const at = (id) => document.getElementById(id);
const state = { fleet: null, detail: null, heardAt: null, source: null, rows: new Map(), history: new Map(), opener: null };

// -- small things ------------------------------------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function mark(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

const UNKNOWN = "–";
const group = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
const fixed = (value, digits) => {
  const [whole, rest] = Math.abs(value).toFixed(digits).split(".");
  return (value < 0 && Number(value.toFixed(digits)) !== 0 ? "−" : "") + group(whole) + (rest ? `.${rest}` : "");
};
const money = (text) => (text === null || text === undefined ? UNKNOWN : (Number(text) > 0 ? "+" : "") + fixed(Number(text), 2));
const exact = (text) => (text === null || text === undefined ? UNKNOWN : text.replace("-", "−"));
const rounded = (value, digits) => (value === null || value === undefined ? UNKNOWN : fixed(value, digits));
const direction = (text) => (text === null || Number(text) === 0 ? "" : Number(text) > 0 ? "up" : "down");
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function age(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

const nameOf = (maker) => `${maker.namespace}/${maker.name}`;
const silentMs = () => (state.heardAt === null ? Infinity : performance.now() - state.heardAt);

// -- head --------------------------------------------------------------------------------------------

function tile(title, value, { mood = "", small = "", note = "" } = {}) {
  const dd = make("dd", mood ? { "data-mood": mood } : {}, value);
  if (small) dd.append(make("small", {}, ` ${small}`));
  const box = make("div", {}, make("dt", {}, title), dd);
  if (note) box.append(make("div", { class: "note" }, note));
  return box;
}

function showTotals({ totals, problem }) {
  const every = totals.makers > 0 && totals.quoting === totals.makers;
  const nothing = problem && totals.makers === 0;
  const days = totals.day.map((day) =>
    tile(`PnL today${day.asset ? `, ${day.asset}` : ""}`, day.known ? money(day.value) : UNKNOWN, {
      mood: !day.known || day.known < day.of ? "unknown" : { up: "good", down: "bad" }[direction(day.value)] ?? "",
      note: day.known < day.of ? `of ${day.known} of ${counted(day.of, "maker")}: the rest is not known` : "",
    }),
  );
  at("totals").replaceChildren(
    tile("Quoting", nothing ? UNKNOWN : `${totals.quoting}`, {
      small: nothing ? "" : `of ${totals.makers}`,
      mood: nothing ? "unknown" : every ? "good" : totals.quoting ? "warning" : "bad",
      note: totals.silent ? `${counted(totals.silent, "maker")} silent` : "",
    }),
    tile("Emergency", totals.emergency === "None" ? "none" : totals.emergency === "Unknown" ? "not known" : totals.emergency, {
      mood: totals.mood,
    }),
    ...days,
    tile("Gross exposure", totals.gross === null ? UNKNOWN : fixed(Number(totals.gross), 0), { mood: totals.gross === null ? "unknown" : "" }),
    tile("Fills a minute", rounded(totals.fillsPerMinute, 1)),
    tile("Restarts", totals.restarts === null ? UNKNOWN : `${totals.restarts}`),
  );
}

function use(label, value, limit) {
  const share = limit === null ? 0 : Math.max(0, Number(value) / Number(limit));
  const bar = draw("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" });
  if (share > 1) bar.setAttribute("data-mood", "bad");
  else if (share >= 0.7) bar.setAttribute("data-mood", "warning");
  bar.append(draw("rect", { width: Math.min(100, 100 * share), height: 6 }));
  const text = make("b", {}, fixed(Math.max(0, Number(value)), 0));
  return make("span", { class: "use" }, label, bar, make("span", {}, text, limit === null ? "" : ` / ${fixed(Number(limit), 0)}`));
}

function showAccount(account) {
  const { emergency, exposure } = account;
  const words = { None: "no emergency", Unknown: "emergency not known" };
  const box = make("div", { class: "account" }, make("strong", {}, account.name));
  if (account.environment) box.append(make("span", { class: account.environment === "Production" ? "chip live" : "chip" }, account.environment));
  box.append(
    make("span", { class: "state", "data-mood": emergency.mood }, make("i", { class: "dot" }), words[emergency.level] ?? emergency.level),
  );
  if (exposure === null) box.append(make("span", { class: "use" }, "exposure not known"));
  else {
    box.append(use("long", exposure.long, exposure.netLimit), use("short", exposure.short, exposure.netLimit));
    box.append(use("gross", exposure.gross, exposure.grossLimit));
  }
  if (account.notes.length) box.append(make("span", { class: "notes" }, account.notes.join(" · ")));
  return box;
}

function alertsOf(fleet) {
  const found = [];
  if (fleet.problem) found.push(["bad", `Nothing is known just now: ${fleet.problem}`, ""]);
  for (const account of fleet.accounts) {
    const { level, epoch, reason, source, mood } = account.emergency;
    if (level === "Halt" || level === "Flatten") {
      const who = source ? ` (${source})` : "";
      found.push([mood, `${level.toUpperCase()} ${account.name}: ${reason}${who}`, epoch ? `phoenix resume ${account.name} --epoch ${epoch}` : ""]);
    } else if (level === "Unknown" && account.emergency.reason && !fleet.problem) {
      found.push([mood, `It is not known whether ${account.name} is stopped: ${reason}`, ""]);
    }
    for (const halt of account.halts) {
      const rehearsal = halt.dryRun ? " (rehearsal)" : "";
      found.push(["warning", `${halt.symbol}${rehearsal} halted: ${halt.reason}`, `phoenix resume ${account.name} --symbol ${halt.symbol} --epoch ${halt.epoch}`]);
    }
  }
  return found;
}

function showAlerts() {
  const found = state.fleet === null ? [] : alertsOf(state.fleet);
  if (state.fleet !== null && silentMs() > SILENT_MS) {
    found.unshift(["bad", `STALE: the server has told nothing for ${age(silentMs())}. Nothing below is known to be so now.`, ""]);
  }
  const box = at("alerts");
  const told = JSON.stringify(found.map(([mood, text, command]) => [mood, text.replace(/for \d+ \S+\./, ""), command]));
  if (box.dataset.told === told) {
    if (found.length) say(box.firstChild.firstChild, found[0][1]); // only its age has changed: no new alert to be read out
    return;
  }
  box.dataset.told = told;
  box.replaceChildren(
    ...found.map(([mood, text, command]) =>
      make("p", { class: "alert", "data-mood": mood }, make("span", {}, text), ...(command ? [make("code", {}, command)] : [])),
    ),
  );
}

// -- makers ------------------------------------------------------------------------------------------

// Of a large fleet only what is in sight is drawn again every second; what comes into sight is drawn then.
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const shown = state.rows.get(target.dataset.name);
    if (!shown) continue;
    shown.inSight = isIntersecting;
    const maker = state.fleet.makers.find((each) => nameOf(each) === target.dataset.name);
    if (isIntersecting && maker) showRow(shown, maker);
  }
}, { rootMargin: "300px" });

function makeRow(maker) {
  const button = make("button", { type: "button", class: "open" }, maker.symbol || maker.name);
  const cells = {
    button,
    sub: make("span", { class: "sub" }),
    mode: make("span", { class: "chip" }),
    standbys: make("span", { class: "chip" }),
    word: make("span", { class: "word" }, make("i", { class: "dot" }), make("span")),
    text: make("span", { class: "text" }),
    ladder: draw("svg", { class: "ladder", viewBox: "0 0 250 26", preserveAspectRatio: "none", role: "img" }),
    prices: make("span", { class: "prices" }, make("span", { class: "bid" }), make("span", { class: "muted" }), make("span", { class: "ask" })),
    bar: draw("svg", { class: "position", viewBox: "-100 0 200 8", preserveAspectRatio: "none", "aria-hidden": "true" }),
    position: make("span", { class: "sub figure" }),
    day: make("span", { class: "figure" }),
    total: make("span", { class: "sub figure" }),
    rate: make("span", { class: "figure" }),
    fills: make("span", { class: "sub figure" }),
    restarts: make("span"),
    heard: make("span"),
  };
  const cell = (label, name, ...inside) => make("td", { role: "cell", "data-label": label, ...(name ? { class: name } : {}) }, ...inside);
  const row = make(
    "tr", { role: "row" },
    cell("Maker", "", button, " ", cells.mode, " ", cells.standbys, cells.sub),
    cell("State", "state-cell", cells.word, cells.text),
    cell("Quotes", "", cells.ladder, cells.prices),
    cell("Position", "", cells.bar, cells.position),
    cell("PnL today", "number", cells.day, cells.total),
    cell("Fills", "number", cells.rate, cells.fills),
    cell("Restarts", "number", cells.restarts),
    cell("Heard", "number", cells.heard),
  );
  row.dataset.name = nameOf(maker);
  row.addEventListener("click", () => open(row.dataset.name));
  sight.observe(row);
  return { row, cells, inSight: false };
}

function showRow({ row, cells }, maker) {
  mark(row, "data-mood", maker.mood);
  row.classList.toggle("is-stale", maker.stale || maker.heardMs === null);
  mark(cells.button, "aria-label", `${maker.symbol}, ${nameOf(maker)}: details`);
  say(cells.button, maker.symbol || maker.name);
  say(cells.sub, nameOf(maker));
  say(cells.mode, maker.mode);
  cells.mode.hidden = maker.mode === "";
  cells.mode.classList.toggle("live", maker.mode === "Live");
  say(cells.standbys, `+${counted(maker.standbys, "standby")}`);
  cells.standbys.hidden = maker.standbys === 0;
  mark(cells.word, "data-mood", maker.mood);
  say(cells.word.lastChild, maker.word);
  say(cells.text, maker.text);
  drawLadder(cells.ladder, maker);
  const [ourBid, between, ourAsk] = cells.prices.children;
  say(ourBid, maker.bids.length ? exact(maker.bids[0][0]) : "no bid");
  say(ourAsk, maker.asks.length ? exact(maker.asks[0][0]) : "no ask");
  say(between, maker.bid === null || maker.ask === null ? "no price" : `${maker.bid} – ${maker.ask}`);
  drawPosition(cells.bar, maker);
  say(cells.position, `${exact(maker.position)} of ${maker.netMax}${maker.share === null ? "" : ` · ${fixed(100 * maker.share, 0)} %`}`);
  say(cells.day, money(maker.day));
  cells.day.className = `figure ${direction(maker.day)}`;
  say(cells.total, `all ${money(maker.pnl)}`);
  say(cells.rate, maker.fillsPerMinute === null ? UNKNOWN : `${fixed(maker.fillsPerMinute, 1)}/min`);
  say(cells.fills, maker.fills === null ? "" : `${group(String(maker.fills))} in all`);
  say(cells.restarts, maker.restarts === null ? UNKNOWN : `${maker.restarts}`);
  showHeard(cells.heard, maker);
}

function showHeard(node, maker) {
  const known = maker.heardMs !== null;
  say(node, known ? `${age(maker.heardMs + Math.min(silentMs(), 1e9))} ago` : maker.stale ? "never" : "…");
}

// Our orders around the touch, to one scale: bids to the left, asks to the right, as high as they are large.
function drawLadder(svg, maker) {
  const parts = [draw("line", { class: "axis", x1: 0, x2: 250, y1: 25.5, y2: 25.5 })];
  const bid = Number(maker.bid), ask = Number(maker.ask);
  const ours = [...maker.bids.map((each) => ["bid", ...each.map(Number)]), ...maker.asks.map((each) => ["ask", ...each.map(Number)])];
  if (maker.bid !== null && maker.ask !== null) {
    const mid = (bid + ask) / 2;
    const reach = Math.max(ask - bid, mid / 2000, ...ours.map(([, price]) => Math.abs(price - mid))) * 1.06;
    const x = (price) => 125 + (120 * (price - mid)) / reach;
    const most = Math.max(...ours.map(([, , quantity]) => quantity));
    parts.push(draw("rect", { class: "spread", x: x(bid), width: Math.max(0.5, x(ask) - x(bid)), y: 3, height: 22 }));
    for (const [side, price, quantity] of ours) {
      const height = 5 + (15 * quantity) / most;
      parts.push(draw("rect", { class: side, x: x(price) - 2, width: 4, y: 25 - height, height, rx: 1 }));
    }
    for (const price of [bid, ask]) parts.push(draw("line", { class: "touch", x1: x(price), x2: x(price), y1: 1, y2: 25 }));
  }
  const layers = `${counted(maker.bids.length, "bid")}, ${counted(maker.asks.length, "ask")} of ours`;
  mark(svg, "aria-label", maker.bid === null ? `no price; ${layers}` : `touch ${maker.bid} to ${maker.ask}; ${layers}`);
  svg.replaceChildren(...parts);
}

// Short to the left, long to the right; behind it what every live order of one side would make of it.
function drawPosition(svg, maker) {
  const parts = [draw("rect", { class: "track", x: -100, width: 200, height: 8, rx: 3 })];
  const share = maker.share ?? 0;
  if (maker.worst !== null) {
    const worst = Math.min(100, 100 * maker.worst);
    parts.push(draw("rect", { class: "limit", x: -worst, width: 2 * worst, y: 2.5, height: 3 }));
  }
  const length = share === 0 ? 0 : Math.max(2, Math.min(100, 100 * Math.abs(share)));
  parts.push(draw("rect", { class: "held", x: share < 0 ? -length : 0, width: length, height: 8 }));
  parts.push(draw("line", { class: "zero", x1: 0, x2: 0, y1: 0, y2: 8 }));
  mark(svg, "data-mood", Math.abs(share) > 1 ? "bad" : Math.abs(share) >= 0.7 ? "warning" : null);
  svg.replaceChildren(...parts);
}

function showMakers() {
  const { fleet, rows } = state;
  const wanted = at("filter").value.trim().toLowerCase();
  const fits = (maker) => `${maker.symbol} ${nameOf(maker)} ${maker.account} ${maker.mode} ${maker.word}`.toLowerCase().includes(wanted);
  const makers = fleet.makers.filter(fits).sort((one, other) =>
    ORDER.indexOf(one.mood) - ORDER.indexOf(other.mood) || nameOf(one).localeCompare(nameOf(other)));
  const there = new Set(makers.map(nameOf));
  for (const [name, { row }] of rows) {
    if (there.has(name)) continue;
    sight.unobserve(row);
    row.remove();
    rows.delete(name);
  }
  const body = at("makers");
  makers.forEach((maker, position) => {
    const name = nameOf(maker);
    if (!rows.has(name)) rows.set(name, makeRow(maker));
    const { row, inSight } = rows.get(name);
    if (body.children[position] !== row) body.insertBefore(row, body.children[position] ?? null);
    if (inSight) showRow(rows.get(name), maker);
  });
  at("empty").hidden = makers.length > 0;
  say(at("empty"), fleet.makers.length ? "No maker fits the filter." : fleet.problem ? "Not known." : "There are no makers yet.");
}

// -- drawer ------------------------------------------------------------------------------------------

function remember(fleet) {
  for (const maker of fleet.makers) {
    const name = nameOf(maker);
    const past = state.history.get(name) ?? [];
    const number = (text) => (text === null || text === undefined || maker.stale ? null : Number(text));
    past.push({ bid: number(maker.bid), ask: number(maker.ask), ourbid: number(maker.bids[0]?.[0]), ourask: number(maker.asks[0]?.[0]) });
    if (past.length > HISTORY) past.shift();
    state.history.set(name, past);
  }
}

function chartOf(past) {
  const mid = past.map(({ bid, ask }) => (bid === null || ask === null ? null : (bid + ask) / 2));
  const lines = { mid, ourbid: past.map((each) => each.ourbid), ourask: past.map((each) => each.ourask) };
  const every = Object.values(lines).flat().filter((value) => value !== null);
  const svg = draw("svg", { class: "chart", viewBox: "0 0 240 100", preserveAspectRatio: "none", role: "img", "aria-label": "mid price and our best quotes since this page was opened" });
  if (every.length < 2) return svg;
  const low = Math.min(...every), high = Math.max(...every), height = high - low || 1;
  const step = 240 / (Math.max(past.length, 60) - 1);
  for (const [name, values] of Object.entries(lines)) {
    let path = "", pen = false;
    values.forEach((value, index) => {
      if (value !== null) path += `${pen ? "L" : "M"}${(240 - step * (past.length - 1 - index)).toFixed(1)} ${(94 - (88 * (value - low)) / height).toFixed(1)}`;
      pen = value !== null;
    });
    svg.append(draw("path", { class: name, d: path }));
  }
  return svg;
}

const section = (title, ...inside) => make("section", {}, make("h3", {}, title), ...inside);
const facts = (pairs) => make("dl", { class: "facts" }, ...pairs.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));

function table(heads, rows) {
  const head = make("tr", {}, ...heads.map(([text, name]) => make("th", { scope: "col", class: name }, text)));
  const cells = (row) => row.map(([text, name]) => make("td", { class: name ?? "" }, text));
  return make("table", { class: "plain" }, make("thead", {}, head), make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row)))));
}

function layersOf(maker, quotes) {
  const mid = (Number(maker.bid) + Number(maker.ask)) / 2;
  const away = (price) => (maker.bid === null ? UNKNOWN : `${Number(price) > mid ? "+" : ""}${fixed((10000 * (Number(price) - mid)) / mid, 2)} bps`);
  const row = (side) => (each) => [[exact(each.price), side], [each.qty, "number"], [away(each.price), "number"]];
  const found = table([["Price", ""], ["Quantity", "number"], ["From mid", "number"]], [...quotes.asks.toReversed().map(row("ask")), ...quotes.bids.map(row("bid"))]);
  const touch = make("td", { colspan: "3" }, maker.bid === null ? "no price" : `touch ${maker.bid} – ${maker.ask}`);
  found.tBodies[0].insertBefore(make("tr", { class: "touch-row" }, touch), found.tBodies[0].children[quotes.asks.length] ?? null);
  return found;
}

function fillsOf(detail) {
  if (!detail.recentFills.length) return make("p", { class: "muted" }, "none that this worker has heard of");
  const time = (ms) => new Date(ms).toISOString().slice(11, 19);
  return table(
    [["Time (UTC)", ""], ["Side", ""], ["Price", "number"], ["Quantity", "number"], ["", "number"]],
    detail.recentFills.map((fill) => [
      [time(fill.atMs)], [fill.side, fill.side === "buy" ? "bid" : "ask"], [fill.price, "number"], [fill.qty, "number"], [fill.maker ? "maker" : "taker", "number"],
    ]),
  );
}

function showDetail() {
  const { fleet, detail } = state;
  const name = wantedMaker();
  const maker = fleet?.makers.find((each) => nameOf(each) === name);
  if (!name || !fleet) return;
  at("drawer-title").replaceChildren(maker?.symbol ?? name, make("small", {}, name));
  const box = at("detail");
  if (!maker) return box.replaceChildren(make("p", { class: "muted" }, "There is no such maker (any more)."));
  const parts = [
    make("p", { "data-mood": maker.mood }, make("span", { class: "word", "data-mood": maker.mood }, make("i", { class: "dot" }), maker.word), make("span", { class: "text" }, maker.text)),
    section("Mid and our best quotes, since this page was opened", chartOf(state.history.get(name) ?? []),
      make("div", { class: "legend" }, make("span", {}, make("i"), "mid"), make("span", { class: "bid" }, make("i"), "our bid"), make("span", { class: "ask" }, make("i"), "our ask"))),
  ];
  if (detail && nameOf(detail) === name) parts.push(...partsOf(maker, detail));
  box.replaceChildren(...parts);
}

function partsOf(maker, detail) {
  const { prices, quotes, position, pnl, ages, configuration, tickToOrderUs: latency } = detail;
  const parts = [];
  if (quotes) parts.push(section("Our orders", layersOf(maker, quotes)));
  if (prices) parts.push(section("Last fills", fillsOf(detail)));
  if (position) {
    parts.push(section("Position, and what it could become", facts([
      ["position", `${exact(position.qty)} of ${position.netMax}`], ["entry", rounded(position.entryPrice, 2)],
      ["worst case long", exact(position.worstCaseLong)], ["worst case short", exact(position.worstCaseShort)],
      ["limit", position.worstCaseLimit], ["largest so far", `${fixed(100 * position.maxWorstCaseRatio, 0)} % of netMax`],
    ])));
  }
  if (pnl) {
    parts.push(section("Money", facts([
      ["today", money(pnl.day)], ["realised", money(pnl.realised)], ["unrealised", money(pnl.unrealised)],
      ["fees", pnl.fees === null ? UNKNOWN : money(-pnl.fees)], ["funding", money(pnl.funding)],
      ["volume", rounded(Number(detail.volume), 0)],
    ])));
  }
  if (prices) {
    const bps = (value, digits) => (value === null ? UNKNOWN : `${fixed(1e4 * value, digits)} bps`);
    parts.push(section("Market", facts([
      ["mid", rounded(prices.mid, 2)], ["mark", rounded(prices.mark, 2)], ["σ of 1 s", bps(prices.sigma, 2)],
      ["VPIN", rounded(prices.vpin, 2)], ["predicted funding", bps(prices.predictedFunding, 2)], ["mode", detail.guard || UNKNOWN],
    ])));
    const us = (value) => (value === null ? UNKNOWN : `${fixed(value, 0)} µs`);
    parts.push(section("Worker", facts([
      ["tick to order, p50 / p99", `${us(latency.p50)} / ${us(latency.p99)}`], ["book", ages.book === null ? UNKNOWN : `${ages.book} ms old`],
      ["orders sent", group(String(detail.ordersSent))], ["refused", group(String(detail.ordersRejected))],
      ["memory", `${rounded(detail.rssMib, 0)} MiB`], ["running for", age(ages.running)],
      ["parameters", configuration.hash.slice(0, 12) || UNKNOWN], ["generation", `${configuration.generation}`],
      ...(configuration.refused ? [["refused parameters", configuration.refused]] : []),
    ])));
  }
  const heard = (worker) => (worker.heardMs === null ? "…" : age(worker.heardMs));
  parts.push(section("Who tells of it", detail.workers.length
    ? table([["Worker", ""], ["Role", ""], ["State", ""], ["Heard", "number"]], detail.workers.map((each) => [[each.holder, "wrap"], [each.role], [each.word], [heard(each), "number"]]))
    : make("p", { class: "muted" }, detail.message || "nobody")));
  return parts;
}

function wantedMaker() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return ""; // an address that somebody has cut off
  }
}

function open(name) {
  state.opener = document.activeElement;
  location.hash = encodeURIComponent(name);
}

function follow() {
  const drawer = at("drawer");
  state.detail = null;
  if (wantedMaker() && !drawer.open) drawer.showModal();
  else if (!wantedMaker() && drawer.open) drawer.close();
  showDetail();
  connect();
}

// -- the link ----------------------------------------------------------------------------------------

function connect() {
  state.source?.close();
  const maker = wantedMaker();
  state.source = new EventSource(`api/events${maker ? `?maker=${encodeURIComponent(maker)}` : ""}`);
  state.source.addEventListener("fleet", (event) => heard(JSON.parse(event.data)));
  state.source.addEventListener("maker", (event) => {
    state.detail = JSON.parse(event.data);
    showDetail();
  });
  state.source.addEventListener("error", () => {
    // The browser tries again by itself, unless it was refused: then we do.
    if (state.source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  });
}

function heard(fleet) {
  if (fleet.schema !== SCHEMA) return location.reload(); // the server is of another version than this page
  state.fleet = fleet;
  state.heardAt = performance.now();
  remember(fleet);
  say(at("place"), fleet.place);
  showTotals(fleet);
  at("accounts").replaceChildren(...fleet.accounts.map(showAccount));
  showMakers();
  if (state.detail === null || !fleet.makers.some((maker) => nameOf(maker) === wantedMaker())) showDetail(); // else its own news does
  tick();
}

// Time passes also where nobody tells anything.
function tick() {
  const silent = silentMs() > SILENT_MS;
  const never = state.fleet === null;
  document.body.classList.toggle("no-news", silent && !never);
  mark(at("link"), "data-mood", never ? "unknown" : silent || state.fleet.problem ? "bad" : "good");
  say(at("link-text"), never ? "connecting …" : silent ? `STALE, ${age(silentMs())}` : state.fleet.problem ? "not known" : "connected");
  showAlerts();
  if (never) return;
  const { totals, problem } = state.fleet;
  const head = silent || problem ? "STALE" : totals.emergency === "None" ? `${totals.quoting}/${totals.makers}` : totals.emergency.toUpperCase();
  document.title = `${head} · Phoenix`;
  for (const maker of state.fleet.makers) {
    const shown = state.rows.get(nameOf(maker));
    if (shown?.inSight) showHeard(shown.cells.heard, maker);
  }
}

at("filter").addEventListener("input", () => state.fleet && showMakers());
at("close").addEventListener("click", () => at("drawer").close());
at("drawer").addEventListener("click", (event) => event.target === at("drawer") && at("drawer").close());
at("drawer").addEventListener("close", () => {
  if (wantedMaker()) history.replaceState(null, "", location.pathname);
  state.opener?.focus?.();
  if (state.detail !== null) follow();
});
addEventListener("hashchange", follow);
setInterval(tick, 1000);
follow();
