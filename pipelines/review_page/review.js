// The review page. Every text of a row is shown by textContent, so no row can write markup.
"use strict";

const $ = (id) => document.getElementById(id);
const KINDS = {
  judgement: "judgement", multiple_choice: "multiple choice", short_vqa: "short answer",
  long_vqa: "long answer", multi_round: "several rounds", caption: "caption",
};
const CAPTIONS = {
  caption_en: "Caption", caption_zh: "Caption, Chinese", image_caption: "Caption on the page",
  image_alt: "Alternative text",
};
const FEW_ROWS = 5; // that say nothing about pace
const RETRY_MS = 2000;
const LOOK_AGAIN_MS = 5000;

let config = {};
let reviewer = "";
let mode = "start"; // start, row, edit, manual or end
let current = null; // the row that is seen
let following = null; // the one after it, with its picture already loaded
let written = null; // the row that is written by hand
let skipped = 0;

// ---- Elements ---------------------------------------------------------------------------------

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const key = (text) => make("kbd", {}, text);
const letter = (index) => String.fromCharCode(65 + index);
const tongue = (lang) => (lang === "zh" ? "zh-Hans" : lang);
const fresh = () => crypto.randomUUID();
const say = (text) => { $("said").textContent = text; };

// ---- Time: seconds of work, long pauses left out ----------------------------------------------

const clock = {
  worked: 0,
  last: performance.now(),
  moved() {
    const now = performance.now();
    this.worked += Math.min(now - this.last, 1000 * config.idle_seconds);
    this.last = now;
  },
  restart() { this.worked = 0; this.last = performance.now(); },
  seconds() { this.moved(); return this.worked / 1000; },
};
for (const event of ["keydown", "pointermove", "pointerdown", "wheel", "input"]) {
  addEventListener(event, () => clock.moved(), { passive: true, capture: true });
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clock.moved();
  else clock.last = performance.now();
});

// ---- The server -------------------------------------------------------------------------------

async function ask(path, body) {
  const answer = await fetch(path, body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ reviewer, ...body }),
  });
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.problem), { status: answer.status });
  return said;
}

// Decisions leave in order, and stay in the browser until the server has them on its disk. A line
// that is sent twice has the same entry and counts once, so what another page left is sent too.
const PREFIX = "omniloom-review-outbox ";
const outbox = {
  name: PREFIX + fresh(),
  lines: [],
  sending: null,
  adopt() {
    const others = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
    for (const name of others) {
      this.lines.push(...JSON.parse(localStorage.getItem(name)));
      localStorage.removeItem(name);
    }
    this.keep();
    if (this.lines.length) this.send();
  },
  put(line) {
    this.lines.push({ reviewer, ...line });
    this.keep();
    return this.send();
  },
  keep() {
    if (this.lines.length) localStorage.setItem(this.name, JSON.stringify(this.lines));
    else localStorage.removeItem(this.name);
  },
  send() {
    this.sending ??= this.sendAll().finally(() => { this.sending = null; });
    return this.sending;
  },
  async sendAll() {
    while (this.lines.length) {
      try {
        progress((await ask("api/decide", this.lines[0])).progress);
        trouble("");
      } catch (error) {
        if (error.status !== 422) {
          const waiting = this.lines.length === 1 ? "1 decision" : `${this.lines.length} decisions`;
          const cause = error.status === 401 ? "open the printed address again" : "no answer";
          trouble(`${waiting} not saved yet: ${cause}`);
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
          continue;
        }
        refusal = `Not taken: ${error.message}`;
        trouble("");
      }
      this.lines.shift();
      this.keep();
    }
  },
};

let refusal = ""; // stays in sight until the next decision
function trouble(text) {
  const shown = text || refusal;
  if ($("saved").textContent !== shown) $("saved").textContent = shown;
}

const held = () => [current, following, ...outbox.lines].filter(Boolean).map((item) => item.id);

let filling = null;
function fill() {
  filling ??= fillUp().finally(() => { filling = null; });
  return filling;
}

async function fillUp() {
  while (!current || !following) {
    let said;
    try {
      said = await ask("api/next", { have: held() });
    } catch (error) {
      // That a decision waits is the weightier news, and is told by the outbox.
      if (!outbox.lines.length) {
        trouble(error.status === 401 ? error.message : "The server does not answer");
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      continue;
    }
    progress(said.progress);
    if (!outbox.lines.length) trouble("");
    if (!said.item && outbox.lines.length) {
      await outbox.send(); // the answer did not know of these decisions yet
      continue;
    }
    const news = skipped !== said.skipped;
    skipped = said.skipped;
    if (!said.item) {
      if (!current && (mode === "start" || mode === "row" || (mode === "end" && news))) showEnd();
      return;
    }
    load(said.item);
    if (current) following = said.item;
    else {
      current = said.item;
      if (mode === "start" || mode === "end") showRow();
    }
  }
}

// A row that is only held needs a sign of life; a page that nobody looks at gives none.
setInterval(() => {
  const idle = performance.now() - clock.last > 1000 * config.lease_seconds;
  if (reviewer && !idle && !document.hidden && held().length) {
    ask("api/next", { have: held(), want: false }).catch(() => {});
  }
}, 60000);
setInterval(() => {
  if (mode === "end" && !$("main").inert && !document.querySelector("dialog[open]")) fill();
}, LOOK_AGAIN_MS);

addEventListener("pagehide", () => {
  const have = [current, following].filter(Boolean).map((item) => item.id);
  if (!reviewer || !have.length) return;
  const body = new Blob([JSON.stringify({ reviewer, have })], { type: "application/json" });
  navigator.sendBeacon("api/release", body);
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

function load(item) {
  item.image = new Image();
  item.image.alt = `Picture that the question is about (${item.domain})`;
  item.image.src = `api/image/${encodeURIComponent(item.id)}`;
  item.image.decode().catch(() => {});
}

// ---- What is seen -----------------------------------------------------------------------------

function progress(now) {
  const share = now.planned ? now.done / now.planned : 0;
  $("bar").setAttribute("aria-valuemax", now.planned);
  $("bar").setAttribute("aria-valuenow", now.done);
  $("bar").firstElementChild.style.width = `${100 * share}%`;
  const pace = now.mine >= FEW_ROWS && now.seconds ? ` · ${Math.round(3600 * now.mine / now.seconds)} rows an hour` : "";
  const second = now.waiting ? ` · ${now.waiting} need another person` : "";
  $("progress").textContent = `${now.done} of ${now.planned} done${second} · ${now.mine} by you${pace}`;
}

function showPicture(item) {
  const missing = () => $("picture").replaceChildren(
    make("p", { className: "missing" }, "The picture cannot be shown."),
  );
  item.image.onerror = missing;
  const frame = make("button", {
    type: "button", className: "frame", "aria-label": "Enlarge the picture", onclick: zoom,
  }, item.image);
  const title = item.page_title ? make("p", { dir: "auto" }, item.page_title) : null;
  $("picture").replaceChildren(...[frame, title].filter(Boolean));
  if (item.image.complete && !item.image.naturalWidth) missing();
}

function tags(item) {
  const names = [item.domain.replaceAll("_", " "), KINDS[item.kind] ?? item.kind,
    { en: "English", zh: "Chinese" }[item.lang] ?? item.lang];
  return make("p", { className: "tags" }, ...names.map((name) => make("span", {}, name)));
}

function showRow() {
  mode = "row";
  const item = current;
  showPicture(item);
  const parts = [tags(item), ...item.turns.map((turn, index) => turnOf(item, turn, index))];
  if (item.answer_prompt) {
    parts.push(make("p", { className: "small", dir: "auto" }, `Asked for: ${item.answer_prompt}`));
  }
  if (item.verdicts.length) {
    const verdicts = [...item.verdicts].sort((a, b) => a.passed - b.passed);
    parts.push(make("ul", { className: "verdicts", "aria-label": "Verdicts" },
      ...verdicts.map(verdictOf)));
  }
  parts.push(folded("captions", "Captions", "c", item.captions.map(([name, text]) =>
    make("p", { dir: "auto", lang: name === "caption_zh" ? "zh-Hans" : "" },
      make("span", { className: "label" }, CAPTIONS[name] ?? name), text))));
  parts.push(folded("ocr", "Text in the picture", "o",
    item.image_text ? [make("p", { dir: "auto" }, item.image_text)] : []));
  $("row").replaceChildren(...parts.filter(Boolean));
  $("row").scrollTop = 0;
  actions([
    ["a", "Accept", "accept"], ["e", "Edit", ""], ["r", "Reject", "reject"], ["s", "Skip", ""],
    ["u", "Undo", "push"],
  ]);
  $("row").querySelector("h2").focus();
  clock.restart();
}

function turnOf(item, turn, index) {
  const lang = tongue(item.lang);
  const number = item.turns.length > 1 ? `Question ${index + 1} of ${item.turns.length}` : "Question";
  const parts = [make("div", {}, make("span", { className: "label" }, number),
    make("h2", { className: "question", lang, dir: "auto", tabIndex: -1 }, turn.question))];
  if (item.options.length) {
    parts.push(make("ol", { className: "options", lang, "aria-label": "Options" },
      ...item.options.map((text, place) => optionOf(text, place, turn.answer))));
  }
  parts.push(make("div", {}, make("span", { className: "label" }, "Answer"),
    make("p", { className: "answer", lang, dir: "auto" }, turn.answer)));
  return make("div", { className: "turn" }, ...parts);
}

function optionOf(text, place, answer) {
  const right = answer.trim() === letter(place);
  return make("li", { className: right ? "right" : "", dir: "auto" },
    make("b", {}, letter(place)), make("span", {}, text),
    right ? make("span", { className: "mark", lang: "en" }, "✓ answer") : null);
}

function verdictOf(verdict) {
  const name = verdict.rule.replaceAll("_", " ");
  const value = verdict.value ? `: ${verdict.value}` : "";
  return make("li", { className: verdict.passed ? "" : "failed" },
    `${verdict.passed ? "✓" : "✗"} ${name}${value}`);
}

// What was folded stays so from row to row.
const folds = { captions: false, ocr: false };
function folded(name, title, shortcut, parts) {
  if (!parts.length) return null;
  return make("details", {
    id: name, open: folds[name], ontoggle: (event) => { folds[name] = event.target.open; },
  }, make("summary", {}, `${title} `, key(shortcut)), ...parts);
}

function actions(list) {
  $("actions").replaceChildren(...list.map(([shortcut, text, name]) =>
    make("button", { type: "button", className: name, "data-key": shortcut },
      text, make("span", {}, ...shortcut.split(" ").map(key)))));
}

function showEnd() {
  mode = "end";
  $("picture").replaceChildren();
  const parts = [make("h2", { tabIndex: -1 }, "Nothing is left for you")];
  parts.push(make("p", {}, "Rows that others hold, and new opinions that are asked for, appear here by themselves."));
  const list = [["u", "Undo", "push"]];
  if (skipped) {
    parts.push(make("p", {}, skipped === 1 ? "You skipped 1 row." : `You skipped ${skipped} rows.`));
    list.unshift(["Enter", "Look at what you skipped", "accept"]);
  }
  parts.push(make("p", { className: "small" }, "Thank you. You can close the page: all is saved."));
  $("row").replaceChildren(make("div", { className: "end" }, ...parts));
  actions(list);
  say("Nothing is left for you");
}

// ---- Decisions --------------------------------------------------------------------------------

function decide(action, more = {}) {
  const line = { entry: fresh(), id: current.id, action, seconds: clock.seconds(), ...more };
  refusal = "";
  outbox.put(line);
  const done = { accept: "Accepted", edit: "Edited", reject: "Rejected", skip: "Skipped" }[action];
  current = following;
  following = null;
  if (current) {
    showRow();
    say(`${done}. Next: ${current.turns[0].question}`);
  } else {
    mode = "start";
    $("row").replaceChildren(make("p", { className: "end" }, "One moment …"));
    actions([]);
    say(done);
  }
  fill();
}

let undoing = false;
async function undo() {
  if (undoing) return;
  undoing = true;
  try {
    await outbox.send();
    await filling;
    const { item, progress: now } = await ask("api/undo", { entry: fresh() });
    progress(now);
    if (!item) return say("There is nothing to undo");
    load(item);
    if (current && current.id !== item.id) following = current;
    current = item;
    showRow();
    say("Taken back");
  } catch (error) {
    trouble(error.message);
  } finally {
    undoing = false;
  }
}

async function unskip() {
  try {
    await outbox.send();
    await ask("api/unskip", { entry: fresh() });
    fill();
  } catch (error) {
    trouble(error.message);
  }
}

// ---- Editing, and writing by hand -------------------------------------------------------------

function editor(item, hint) {
  const form = make("form", { className: "editor", onsubmit: (event) => event.preventDefault() });
  form.append(tags(item), make("p", { className: "small" }, hint));
  item.turns.forEach((turn, index) => form.append(turnFields(item, turn, index)));
  if (item.kind === "multi_round") {
    form.append(make("p", {}, make("button", {
      type: "button", onclick: (event) => {
        const count = form.querySelectorAll("fieldset").length;
        event.target.parentElement.before(turnFields(item, { question: "", answer: "" }, count));
        form.querySelectorAll("textarea.q")[count].focus();
      },
    }, "Add a round")));
  }
  form.append(make("p", { className: "trouble", role: "alert" }));
  $("row").replaceChildren(form);
  $("row").scrollTop = 0;
  actions([["Ctrl Enter", "Save", "accept"], ["Esc", "Cancel", ""]]);
  const first = form.querySelector("textarea");
  first.focus();
  first.setSelectionRange(first.value.length, first.value.length);
}

function turnFields(item, turn, index) {
  const lang = tongue(item.lang);
  const round = item.turns.length > 1 || item.kind === "multi_round" ? ` ${index + 1}` : "";
  const fields = [make("label", {}, make("span", { className: "label" }, `Question${round}`),
    make("textarea", { className: "q", lang, dir: "auto", value: turn.question }))];
  if (item.kind === "multiple_choice") {
    fields.push(make("div", { role: "radiogroup", "aria-label": "Options; the marked one is right" },
      make("span", { className: "label" }, "Options; mark the right one"),
      ...item.options.map((text, place) => make("div", { className: "choice" },
        make("input", {
          type: "radio", name: `answer${index}`, value: letter(place),
          checked: turn.answer.trim() === letter(place), "aria-label": `${letter(place)} is right`,
        }),
        make("b", {}, letter(place)),
        make("input", { className: "option", lang, dir: "auto", value: text, "aria-label": `Option ${letter(place)}` })))));
  } else if (item.kind === "judgement") {
    const words = item.lang === "zh" ? ["是", "否"] : ["yes", "no"];
    fields.push(make("div", { className: "either", role: "radiogroup", "aria-label": "Answer", lang },
      ...words.map((word) => make("label", {}, make("input", {
        type: "radio", name: `answer${index}`, value: word,
        checked: turn.answer.trim().toLowerCase() === word,
      }), word))));
  } else {
    fields.push(make("label", {}, make("span", { className: "label" }, `Answer${round}`),
      make("textarea", { className: "a", lang, dir: "auto", value: turn.answer })));
  }
  if (item.kind === "multi_round" && index > 0) {
    fields.push(make("p", {}, make("button", {
      type: "button", onclick: (event) => event.target.closest("fieldset").remove(),
    }, "Remove this round")));
  }
  return make("fieldset", {}, ...fields);
}

function fieldsSaid(item) {
  const turns = [...$("row").querySelectorAll("fieldset")].map((set) => {
    const marked = set.querySelector("input[type=radio]:checked");
    const answer = set.querySelector("textarea.a");
    const said = answer ? answer.value : marked ? marked.value : "";
    return {
      question: set.querySelector("textarea.q").value.trim().toWellFormed(),
      answer: said.trim().toWellFormed(),
    };
  });
  const options = [...$("row").querySelectorAll("input.option")].map(
    (field) => field.value.trim().toWellFormed());
  if (turns.some((turn) => !turn.question)) return { problem: "A question is empty." };
  if (turns.some((turn) => !turn.answer)) {
    return { problem: item.kind === "multiple_choice" || item.kind === "judgement"
      ? "Mark the right answer." : "An answer is empty." };
  }
  if (options.some((option) => !option)) return { problem: "An option is empty." };
  if (new Set(options).size < options.length) return { problem: "Two options are the same." };
  return { turns, options };
}

function edit() {
  mode = "edit";
  editor(current, "Change what is wrong. Saving without a change accepts the row.");
}

async function manual() {
  let said;
  try {
    said = await ask("api/manual", {});
  } catch (error) {
    return trouble(error.message);
  }
  if (!said.item) return say("You have seen all pictures: none is left to write about by hand");
  mode = "manual";
  written = said.item;
  load(written);
  showPicture(written);
  editor(written, "Written from nothing, and timed: a question and an answer for this picture, "
    + `${KINDS[written.kind]}, in ${written.lang === "zh" ? "Chinese" : "English"}. `
    + "It measures what review saves; it does not become a row.");
  clock.restart();
}

function save() {
  const item = mode === "edit" ? current : written;
  const { problem, turns, options } = fieldsSaid(item);
  if (problem) {
    $("row").querySelector(".trouble").textContent = problem;
    return;
  }
  if (mode === "edit") return decide("edit", { turns, options });
  outbox.put({ entry: fresh(), id: item.id, action: "manual", seconds: clock.seconds(), turns, options });
  written = null;
  if (current) showRow();
  else showEnd();
  say("Saved. The time was noted.");
}

function cancel() {
  const seconds = mode === "edit" ? clock.worked : 0;
  written = null;
  if (!current) return showEnd();
  showRow();
  clock.worked = seconds; // what an edit took that was dropped was still work on the row
}

// ---- Dialogs ----------------------------------------------------------------------------------

function zoom() {
  const image = (mode === "manual" ? written : current)?.image;
  if (!image?.naturalWidth) return;
  const fit = Math.min(innerWidth / image.naturalWidth, innerHeight / image.naturalHeight);
  const copy = make("img", { src: image.src, alt: image.alt });
  copy.width = image.naturalWidth * Math.max(fit, Math.min(1.6 * fit, 4), 1);
  $("zoomed").replaceChildren(copy);
  $("zoom").showModal();
  $("zoomed").scrollTo((copy.width - innerWidth) / 2, 0);
}
$("zoom").addEventListener("click", () => $("zoom").close());

function reject() {
  $("reasons").replaceChildren(...Object.entries(config.reasons).map(([reason, text], index) =>
    make("li", {}, make("button", {
      type: "button", onclick: () => { $("reject").close(); decide("reject", { reason }); },
    }, key(String(index + 1)), text))));
  $("reject").showModal();
}

async function showFigures() {
  let found;
  try {
    found = await ask("api/figures");
  } catch (error) {
    return trouble(error.message);
  }
  $("figures-body").replaceChildren(...figureParts(found));
  $("figures").showModal();
}

const percent = (share) => (share === null ? "–" : `${Math.round(100 * share)}%`);
const number = (value, digits = 0) => (value === null ? "–" : value.toFixed(digits));

function grid(head, rows) {
  const cell = (tag) => (value, index) => value instanceof Node
    ? make(tag, {}, value) : make(tag, { className: index ? "number" : "" }, String(value));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head.map(cell("th")))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell("td"))))));
}

function figureParts(found) {
  const agreement = found.judged_twice
    ? `Two or more people judged ${found.judged_twice} rows: ${percent(found.agreement)} of their `
      + `decisions are the same, Krippendorff's alpha ${number(found.alpha, 2)}.`
    : "No row was judged by two people yet.";
  const returned = found.batches.filter((batch) => batch.returned);
  const parts = [
    make("h3", {}, "People"),
    grid(["", "rows", "rows an hour", "median s", "accept", "edit", "reject", "agree", "minutes"],
      found.reviewers.map((one) => [one.name, one.rows, number(one.rows_per_hour),
        number(one.median_seconds, 1), one.decisions.accept ?? 0, one.decisions.edit ?? 0,
        one.decisions.reject ?? 0, percent(one.agreement), number(one.seconds / 60, 1)])),
    make("p", { className: "hint" }, agreement),
    found.pairs.length ? grid(["", "rows of both", "agree", "Cohen's kappa"],
      found.pairs.map((pair) => [`${pair.first}, ${pair.second}`, pair.rows,
        percent(pair.agreement), number(pair.kappa, 2)])) : "",
  ];
  if (returned.length) {
    parts.push(make("h3", {}, "Returned batches"), grid(["batch", "rows", "times returned"],
      returned.map((batch) => [batch.batch + 1, batch.rows, batch.returned])));
  }
  parts.push(
    make("h3", {}, "Domains and kinds"),
    grid(["", "", "decided", "kept"], found.cells.map((cell) => [
      `${cell.domain.replaceAll("_", " ")}, ${KINDS[cell.kind] ?? cell.kind}`,
      make("meter", { max: cell.planned, value: cell.decided }),
      `${cell.decided} of ${cell.planned}`, percent(cell.accept_rate)])),
  );
  return parts;
}

function askName() {
  $("name-field").value = reviewer;
  $("name").showModal();
  $("name-field").select();
}
$("name").addEventListener("cancel", (event) => { if (!reviewer) event.preventDefault(); });
$("name").querySelector("form").addEventListener("submit", () => {
  const name = $("name-field").value.trim().toWellFormed();
  if (name) begin(name);
});
$("who").addEventListener("click", askName);

// ---- Keys -------------------------------------------------------------------------------------

function fold(name) {
  const details = $(name);
  if (details) details.open = !details.open;
}

const inRow = {
  a: () => decide("accept"), e: edit, r: reject, s: () => decide("skip"), u: undo, z: zoom,
  c: () => fold("captions"), o: () => fold("ocr"), p: showFigures, m: manual,
  "?": () => $("help").showModal(),
};
const atEnd = { u: undo, p: showFigures, "?": inRow["?"], m: manual, Enter: () => skipped && unskip() };
const inEditor = { "Ctrl Enter": save, Esc: cancel };
const keysOf = () => ({ row: inRow, end: atEnd, edit: inEditor, manual: inEditor })[mode] ?? {};

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.repeat) return; // an input method's keys, a key that is held
  const open = document.querySelector("dialog[open]");
  if (open) return inDialog(event, open);
  if (mode === "edit" || mode === "manual") {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
    else if (event.key === "Escape") cancel();
    else return;
  } else {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (pressed === "Enter" && event.target.closest("button, summary")) return;
    if (!keysOf()[pressed]) return;
    keysOf()[pressed]();
  }
  event.preventDefault();
});

function inDialog(event, open) {
  if (open.id === "reject") {
    const button = $("reasons").querySelectorAll("button")[Number(event.key) - 1];
    if (!button) return;
    event.preventDefault();
    button.click();
  } else if ((open.id === "zoom" && event.key === "z") || (open.id === "help" && event.key === "?")
    || (open.id === "figures" && event.key === "p")) {
    event.preventDefault();
    open.close();
  }
}

document.addEventListener("click", (event) => {
  const shortcut = event.target.closest("[data-key]")?.dataset.key;
  if (shortcut) keysOf()[shortcut]?.();
});

// ---- Start ------------------------------------------------------------------------------------

function begin(name) {
  const other = reviewer && reviewer !== name;
  reviewer = name;
  sessionStorage.setItem("omniloom-reviewer", name);
  localStorage.setItem("omniloom-reviewer", name);
  if (other) return location.reload(); // what the page holds is the other's
  $("who").textContent = name;
  fill();
}

async function start() {
  try {
    config = await ask("api/config");
  } catch (error) {
    return trouble(error.message);
  }
  outbox.adopt();
  const known = config.reviewer ?? sessionStorage.getItem("omniloom-reviewer")
    ?? localStorage.getItem("omniloom-reviewer");
  if (known) begin(known);
  else askName();
}

start();
