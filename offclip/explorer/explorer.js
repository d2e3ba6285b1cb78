// The loss explorer: one batch, its scores, its targets, the gradient of each cell.
//
// One module without dependencies. It is the `_esm` of an anywidget (live in Jupyter) and stands
// inlined in static pages (`mountStatic`). Sections: 1 losses, 2 points on a circle, 3 state,
// 4 drawing, 5 controls, 6 entry. Sections 1 and 2 are pure; a test compares them with
// `offclip.losses` in a browser, to 1e-6 in value and gradient.

// ---------------------------------------------------------------------------------- 1 losses
// A loss is { value, floor, gradient, parts }: nats, the lowest value that the targets allow,
// d value / d logits, and two named parts that sum to the value. Matrices are arrays of rows,
// images in rows, texts in columns. `ignore[i][j]` true: the cell counts nowhere.

const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);
const grid = (n, cell) => Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => cell(i, j)));
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const transpose = (matrix) => grid(matrix.length, (i, j) => matrix[j][i]);
const submatrix = (matrix, chosen) => chosen.map((i) => chosen.map((j) => matrix[i][j]));

/** 1 on the diagonal and on every normal × normal cell, else 0. */
export const pairTargets = (isNormal) =>
  grid(isNormal.length, (i, j) => (i === j || (isNormal[i] && isNormal[j]) ? 1 : 0));

/** Sum of factor × loss over `[name, factor, loss]`; the parts carry the names. */
function weighted(terms) {
  return {
    value: sum(terms.map(([, factor, loss]) => factor * loss.value)),
    floor: sum(terms.map(([, factor, loss]) => factor * loss.floor)),
    gradient: grid(terms[0][2].gradient.length, (i, j) =>
      sum(terms.map(([, factor, loss]) => factor * loss.gradient[i][j]))),
    parts: terms.map(([name, factor, loss]) => ({ name, value: factor * loss.value })),
  };
}

/** Σ_i w_i · cross-entropy of row i; its gradient is w_i (softmax − target). */
function rowCrossEntropy(logits, targets, ignore, rowWeights) {
  const gradient = grid(logits.length, () => 0);
  let value = 0;
  let floor = 0;
  logits.forEach((row, i) => {
    const mass = sum(targets[i]);
    const counted = row.map((score, j) => (ignore[i][j] ? -Infinity : score));
    const top = Math.max(...counted);
    const logSum = top + Math.log(sum(counted.map((score) => Math.exp(score - top))));
    row.forEach((score, j) => {
      if (ignore[i][j]) return;
      const target = targets[i][j] / mass;
      if (target > 0) {
        value -= rowWeights[i] * target * (score - logSum);
        floor -= rowWeights[i] * target * Math.log(target);
      }
      gradient[i][j] = rowWeights[i] * (Math.exp(score - logSum) - target);
    });
  });
  return { value, floor, gradient };
}

/** Symmetric cross-entropy: half over rows, half over columns (`info_nce`). */
export function crossEntropy(logits, targets, ignore, rowWeights) {
  const rows = rowCrossEntropy(logits, targets, ignore, rowWeights);
  const columns = rowCrossEntropy(transpose(logits), transpose(targets), transpose(ignore), rowWeights);
  columns.gradient = transpose(columns.gradient);
  return weighted([["image picks text", 0.5, rows], ["text picks image", 0.5, columns]]);
}

/** Weighted mean over cells of the binary cross-entropy of σ(score) (`sigmoid_loss`). */
export function sigmoidLoss(logits, targets, cellWeights) {
  const total = sum(cellWeights.flat()) || 1;
  const half = (wanted) => {
    const weight = (i, j) => (targets[i][j] === wanted ? cellWeights[i][j] / total : 0);
    const cost = (score) => Math.max(score, 0) - wanted * score + Math.log1p(Math.exp(-Math.abs(score)));
    return {
      value: sum(logits.flatMap((row, i) => row.map((score, j) => weight(i, j) * cost(score)))),
      floor: 0,
      gradient: grid(logits.length, (i, j) => weight(i, j) * (1 / (1 + Math.exp(-logits[i][j])) - wanted)),
    };
  };
  return weighted([["matches", 1, half(1)], ["mismatches", 1, half(0)]]);
}

/** All normal × normal pairs are matches (`off_diagonal_loss`). */
export function offDiagonalLoss(logits, isNormal, ignore, { form, balance }) {
  const targets = pairTargets(isNormal);
  if (form === "soft_ce") return crossEntropy(logits, targets, ignore, rowWeights(isNormal, balance));
  const counted = (wanted) => (i, j) => (!ignore[i][j] && targets[i][j] === wanted ? 1 : 0);
  const size = [0, 1].map((wanted) => sum(grid(logits.length, counted(wanted)).flat()));
  const each = (i, j) => (balance === "classes" ? 1 / size[targets[i][j]] : 1);
  return sigmoidLoss(logits, targets, grid(logits.length, (i, j) => (ignore[i][j] ? 0 : each(i, j))));
}

/** A mean over rows, or with "classes" the mean of the normal and of the abnormal rows' means. */
function rowWeights(isNormal, balance) {
  const n = isNormal.length;
  const normals = isNormal.filter(Boolean).length;
  if (balance === "none" || normals === 0 || normals === n) return isNormal.map(() => 1 / n);
  return isNormal.map((normal) => 0.5 / (normal ? normals : n - normals));
}

/** InfoNCE among the abnormal studies alone; zero where there are fewer than two. */
export function abnormalInfoNce(logits, isNormal, ignore) {
  const abnormal = isNormal.flatMap((normal, i) => (normal ? [] : [i]));
  const gradient = grid(logits.length, () => 0);
  if (abnormal.length < 2) return { value: 0, floor: 0, gradient };
  const none = abnormal.map(() => false);
  const inner = offDiagonalLoss(submatrix(logits, abnormal), none, submatrix(ignore, abnormal), {
    form: "soft_ce", balance: "none",
  });
  abnormal.forEach((i, a) => abnormal.forEach((j, b) => { gradient[i][j] = inner.gradient[a][b]; }));
  return { ...inner, gradient };
}

/** The chosen loss. `options`: loss, form, balance, offDiagonalWeight, abnormalWeight. */
export function lossOf(logits, isNormal, ignore, options) {
  const nothing = isNormal.map(() => false); // with no normal study the targets are the identity
  const plain = (form) => offDiagonalLoss(logits, nothing, ignore, { form, balance: "none" });
  const offDiagonal = (form) => offDiagonalLoss(logits, isNormal, ignore, { form, balance: options.balance });
  switch (options.loss) {
    case "infonce": return plain("soft_ce");
    case "siglip": return plain("bce");
    case "offdiag_bce": return offDiagonal("bce");
    case "offdiag_soft": return offDiagonal("soft_ce");
    case "offclip": return weighted([
      ["off-diagonal", options.offDiagonalWeight, offDiagonal(options.form)],
      ["abnormal", options.abnormalWeight, abnormalInfoNce(logits, isNormal, ignore)],
    ]);
    default: throw new RangeError(`unknown loss ${options.loss}`);
  }
}

// -------------------------------------------------------------------------- 2 points on a circle
// A unit vector in the plane is an angle (radians); the similarity of two is cos(difference).

export const cosinesOf = (images, texts) => images.map((a) => texts.map((b) => Math.cos(a - b)));

/** d loss / d angle of every image and text, from d loss / d logits (logit = scale · cos + bias). */
export function angleGradient(images, texts, gradient, scale) {
  const pull = (i, j) => gradient[i][j] * scale * Math.sin(images[i] - texts[j]);
  return {
    images: images.map((_, i) => -sum(texts.map((_, j) => pull(i, j)))),
    texts: texts.map((_, j) => sum(images.map((_, i) => pull(i, j)))),
  };
}

/** Turn one image and one text by the same amount, so that their cosine becomes `wanted`. */
export function turnPair(images, texts, i, j, wanted) {
  const apart = Math.atan2(Math.sin(images[i] - texts[j]), Math.cos(images[i] - texts[j]));
  const turn = ((apart < 0 ? -1 : 1) * Math.acos(clamp(wanted, -1, 1)) - apart) / 2;
  images[i] += turn;
  texts[j] -= turn;
}

// -------------------------------------------------------------------------------------- 3 state

const FINDINGS = ["effusion", "nodule", "cardiomegaly", "edema", "fracture", "atelectasis", "pneumothorax", "emphysema"];
const START = { // degrees; far enough from any answer that every loss has work to do
  images: [78, 140, 12, 205, 262, 318, 50, 175],
  texts: [118, 52, 330, 248, 190, 300, 96, 228],
};
const SETTINGS = {
  form: "soft_ce", balance: "none", scale: 6, bias: -3, offDiagonalWeight: 1, abnormalWeight: 1,
  ignoreShared: true, source: "points", stepSize: 0.1,
};
export const LOSSES = {
  infonce: ["InfoNCE", "Each image picks its own text out of the batch, and each text its image. Every other pair counts as wrong, even when both are normal."],
  offdiag_bce: ["Off-diagonal, sigmoid (BCE)", "Each cell is a yes-or-no question. The diagonal is a yes, and so is every normal image with every normal text."],
  offdiag_soft: ["Off-diagonal, soft targets (CE)", "Each image spreads its probability over its right texts: its own and, for a normal image, those of all normal studies."],
  offclip: ["OFF-CLIP", "The off-diagonal term makes every normal image match every normal text; two different abnormal studies are a mismatch in it. InfoNCE over the outlined abnormal pairs separates these once more, without the normal studies."],
  siglip: ["SigLIP, sigmoid", "Each cell is a yes-or-no question. Only the diagonal is a yes, even when both are normal."],
};
const isOffClip = ({ loss }) => loss === "offclip";
const isOffDiagonal = ({ loss }) => loss.startsWith("off");
const usesSigmoid = ({ loss, form }) => ["siglip", "offdiag_bce"].includes(loss) || (loss === "offclip" && form === "bce");

/** What each study shows: "normal", or a finding of its own as long as nobody shares one. */
const kindsOf = (isNormal) => {
  let next = 0;
  return isNormal.map((normal) => (normal ? "normal" : FINDINGS[next++]));
};

/** Put the points, and the free similarities, back where they start. */
function startOver(state) {
  const radians = (degrees) => degrees.slice(0, state.kinds.length).map((d) => (d * Math.PI) / 180);
  state.images = radians(START.images);
  state.texts = radians(START.texts);
  state.free = cosinesOf(state.images, state.texts);
  state.history = [];
}

function newState(isNormal, loss) {
  const state = { ...SETTINGS, loss, kinds: kindsOf(isNormal) };
  startOver(state);
  return state;
}

/** Another number of studies: new ones show findings that nobody has yet. */
function resize(state, size) {
  const spare = FINDINGS.filter((finding) => !state.kinds.includes(finding));
  while (state.kinds.length < size) state.kinds.push(spare.shift());
  state.kinds.length = size;
  startOver(state);
}

/** Everything that follows from the state: similarities, scores, targets, ignored cells, loss. */
function evaluate(state) {
  const { kinds } = state;
  const isNormal = kinds.map((kind) => kind === "normal");
  const cosines = state.source === "points" ? cosinesOf(state.images, state.texts) : state.free;
  const bias = usesSigmoid(state) ? state.bias : 0;
  const logits = cosines.map((row) => row.map((c) => state.scale * c + bias));
  const ignore = grid(kinds.length, (i, j) =>
    state.ignoreShared && i !== j && !isNormal[i] && kinds[i] === kinds[j]);
  const targets = pairTargets(isOffDiagonal(state) ? isNormal : isNormal.map(() => false));
  const loss = lossOf(logits, isNormal, ignore, state);
  const turn = angleGradient(state.images, state.texts, loss.gradient, state.scale);
  const outlined = (i, j) => isOffClip(state) && !isNormal[i] && !isNormal[j];
  return { cosines, logits, ignore, targets, outlined, loss, turn };
}

/** One step of plain gradient descent on the angles, or on the free similarities. */
function descend(state) {
  const { loss, turn } = evaluate(state);
  if (state.history.length === 0) state.history.push(loss.value);
  const move = (x, slope) => x - state.stepSize * slope;
  if (state.source === "points") {
    state.images = state.images.map((angle, i) => move(angle, turn.images[i]));
    state.texts = state.texts.map((angle, j) => move(angle, turn.texts[j]));
  } else {
    state.free = state.free.map((row, i) =>
      row.map((c, j) => clamp(move(c, state.scale * loss.gradient[i][j]), -1, 1)));
  }
  state.history.push(evaluate(state).loss.value);
}

/** Bring all normal images and texts to one place: the k interchangeable normals. */
function gatherNormals(state) {
  const normal = state.kinds.flatMap((kind, i) => (kind === "normal" ? [i] : []));
  const angles = normal.flatMap((i) => [state.images[i], state.texts[i]]);
  const middle = Math.atan2(sum(angles.map(Math.sin)), sum(angles.map(Math.cos)));
  for (const i of normal) state.images[i] = state.texts[i] = middle;
  for (const i of normal) for (const j of normal) state.free[i][j] = 1;
}

/** Move one score; from points, its image and its text turn, and their other scores follow. */
function setCosine(state, i, j, wanted) {
  if (state.source === "points") turnPair(state.images, state.texts, i, j, wanted);
  else state.free[i][j] = clamp(wanted, -1, 1);
}

// ------------------------------------------------------------------------------------ 4 drawing
// Blue is normal and orange abnormal, as in every figure of the book. Green and purple say where
// descent moves a score. Colour-blind readers can tell these apart, and every colour comes with a
// number or a shape.

const STYLE = `
:host { display: block; container-type: inline-size; }
.explorer {
  --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --panel: #ffffff; --field: #f6f8fa; --mark: #0969da;
  --normal: #0072b2; --on-normal: #ffffff; --abnormal: #e69f00; --on-abnormal: #1b1f24;
  --pull: #1b7837; --push: #762a83; --score: #44546a;
  box-sizing: border-box; padding: 16px; border: 1px solid var(--line); border-radius: 10px;
  background: var(--panel); color: var(--ink); accent-color: var(--mark); color-scheme: light;
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
.explorer.dark {
  --ink: #e6eaef; --soft: #a3adb8; --line: #3a424c; --panel: #15191f; --field: #20262e; --mark: #6cb6ff;
  --normal: #56b4e9; --on-normal: #10151b; --on-abnormal: #10151b;
  --pull: #55ab5d; --push: #b487c2; --score: #8496aa; color-scheme: dark;
}
*, *::before, *::after { box-sizing: inherit; }
[hidden] { display: none !important; }
h3 { margin: 0 0 2px; font-size: 14px; }
p { margin: 6px 0 0; }
.note { color: var(--soft); font-size: 12.5px; }
button, select, input { font: inherit; color: inherit; }
button, select { padding: 4px 8px; border: 1px solid var(--line); border-radius: 6px; background: var(--field); }
button { cursor: pointer; }
button:hover { border-color: var(--soft); }
button.main { border-color: var(--mark); font-weight: 600; min-width: 4.6em; }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 1px; }
label { display: inline-flex; gap: 6px; align-items: center; }
.row { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; margin-top: 10px; }
.row:first-child, .row .row { margin-top: 0; }
.sliders { display: grid; grid-template-columns: repeat(auto-fit, minmax(154px, 1fr)); gap: 6px 16px; margin-top: 10px; }
.sliders label { display: block; font-size: 13px; }
.sliders output { float: right; color: var(--soft); }
.sliders input { display: block; width: 100%; margin: 2px 0 0; }
.studies { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 6px 10px; margin-top: 8px; }
.studies select { flex: 1; min-width: 0; padding: 3px 4px; }
.badge { flex: none; display: inline-grid; place-items: center; width: 22px; height: 22px; border-radius: 4px;
  font-size: 12px; font-weight: 600; background: var(--abnormal); color: var(--on-abnormal); }
.badge.image { border-radius: 50%; }
.badge.normal { background: var(--normal); color: var(--on-normal); }
.loss { display: grid; grid-template-columns: minmax(0, 1fr) 190px; gap: 0 22px; margin-top: 12px;
  padding: 10px 12px; border-radius: 8px; background: var(--field); }
.loss .floor { grid-column: 1 / -1; }
.term { display: grid; grid-template-columns: 9.5em minmax(0, 1fr) 4em; gap: 8px; align-items: center; }
.term :last-child { text-align: right; }
.term.total { font-weight: 600; }
.bar { position: relative; height: 12px; border-radius: 3px; background: color-mix(in srgb, var(--ink) 9%, transparent); }
.bar i { position: absolute; inset: 0 auto 0 0; border-radius: 3px; background: var(--score); }
.total .bar i { background: var(--ink); }
.bar b { position: absolute; inset: -3px auto -3px 0; width: 2px; background: var(--mark); }
.spark { display: block; width: 100%; height: 46px; }
.spark polyline { fill: none; stroke: var(--mark); stroke-width: 1.8; vector-effect: non-scaling-stroke; }
.figures { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px 22px; margin-top: 14px; }
.figures p { margin: 0; }
.matrix { display: grid; gap: 2px; margin: 6px 0; max-width: 100%; user-select: none; }
.line { display: contents; }
.matrix .badge { place-self: center; }
.cell { display: grid; place-items: center; aspect-ratio: 1; min-width: 0; border-radius: 3px; font-size: 12px;
  background: color-mix(in srgb, var(--tint) var(--amount), var(--field)); }
.wide .cell { font-size: 10.5px; }
.cell[tabindex] { cursor: ew-resize; touch-action: pan-y; }
.cell.outlined { box-shadow: inset 0 0 0 2px var(--abnormal); }
.cell.linked { outline: 2px solid var(--mark); outline-offset: 0; z-index: 1; }
.cell.faint { color: var(--soft); }
.cell.ignored { color: var(--soft); background: repeating-linear-gradient(45deg, var(--field) 0 4px, var(--line) 4px 6px); }
.readout, .targeted { min-height: 2.9em; }
.key { display: flex; gap: 6px; align-items: center; font-size: 12.5px; color: var(--soft); min-height: 2.9em; }
.key span { white-space: nowrap; }
.key i { flex: 0 1 110px; height: 10px; border-radius: 3px; background: linear-gradient(90deg,
  color-mix(in srgb, var(--pull) 62%, var(--field)), var(--field), color-mix(in srgb, var(--push) 62%, var(--field))); }
.circle { display: block; width: 100%; max-width: 360px; margin: 0 auto; }
.rim { fill: none; stroke: var(--line); stroke-width: 1.5; }
.point { cursor: grab; touch-action: none; fill: var(--abnormal); }
.point.normal { fill: var(--normal); }
.point .body { stroke: var(--panel); stroke-width: 1.5; }
.point:focus { outline: none; }
.point:focus-visible .body, .point.linked .body { stroke: var(--mark); stroke-width: 3; }
.point text { font-size: 11px; font-weight: 600; text-anchor: middle; dominant-baseline: central; fill: var(--on-abnormal); }
.point.normal text { fill: var(--on-normal); }
.arrow { stroke: var(--ink); stroke-width: 1.6; }
.tip { fill: var(--ink); }
@container (max-width: 560px) {
  .explorer { padding: 10px; }
  .figures, .loss { grid-template-columns: minmax(0, 1fr); }
  .term { grid-template-columns: 8.6em minmax(0, 1fr) 3.2em; }
}`;

const SLIDERS = [
  { key: "scale", label: "Scale", range: [1, 50, 0.5], print: (x) => `${x.toFixed(1)} = 1 / ${(1 / x).toFixed(2)}`, applies: () => true },
  { key: "bias", label: "Bias", range: [-15, 5, 0.5], print: (x) => minus(x, 1), applies: usesSigmoid },
  { key: "offDiagonalWeight", label: "Off-diagonal weight", range: [0, 4, 0.1], print: (x) => x.toFixed(1), applies: isOffClip },
  { key: "abnormalWeight", label: "Abnormal weight", range: [0, 4, 0.1], print: (x) => x.toFixed(1), applies: isOffClip },
  { key: "stepSize", label: "Step size", range: [0.02, 0.5, 0.02], print: (x) => x.toFixed(2), applies: () => true },
];

const choices = (pairs) => pairs.map(([value, label]) => `<option value="${value}">${label}</option>`).join("");
const slider = ({ key, label, range: [low, high, step] }) => `<label data-for="${key}">${label} <output></output>
  <input type="range" name="${key}" min="${low}" max="${high}" step="${step}"></label>`;
const figure = (title, note, name, role) => `<section><h3>${title}</h3>${note}
  <div class="matrix ${name}" role="${role}" aria-label="${title}"></div>`;

const TEMPLATE = `
<div class="row">
  <label>Loss <select name="loss">${choices(Object.entries(LOSSES).map(([key, [title]]) => [key, title]))}</select></label>
  <label data-for="form">Form <select name="form">${choices([["soft_ce", "soft targets"], ["bce", "sigmoid"]])}</select></label>
  <label data-for="balance">Balance <select name="balance">${choices([["none", "none"], ["classes", "by class"]])}</select></label>
</div>
<p class="note about"></p>
<div class="sliders">${SLIDERS.map(slider).join("")}</div>
<div class="row">
  <label>Studies <select name="size">${choices([2, 3, 4, 5, 6, 7, 8].map((n) => [n, n]))}</select></label>
  <label><input type="checkbox" name="ignoreShared"> Ignore pairs that share a finding</label>
  <div class="row" role="radiogroup" aria-label="Scores"><span>Scores</span>
    <label><input type="radio" name="source" value="points"> from points</label>
    <label><input type="radio" name="source" value="free"> free</label></div>
</div>
<div class="studies" role="group" aria-label="What each study shows"></div>
<p class="note">Two studies with the same finding are no match, since their reports differ, but no mismatch
  either. Ignored, their cells count nowhere.</p>
<div class="row">
  <button class="main" name="step" type="button">Step</button>
  <button class="main" name="play" type="button">Play</button>
  <button name="gather" type="button">Gather the normals</button>
  <button name="over" type="button">Start over</button>
  <button name="reset" type="button">Reset all</button>
</div>
<section class="loss" aria-label="Loss">
  <div class="terms"></div>
  <div><span class="note count"></span>
    <svg class="spark" viewBox="0 0 100 50" preserveAspectRatio="none" aria-hidden="true"><polyline /></svg></div>
  <p class="note floor"></p>
</section>
<div class="figures">
  <section><h3>Points</h3><p class="note where"></p>
    <svg class="circle" viewBox="-150 -150 300 300" role="group" aria-label="Images and texts on a circle"></svg></section>
  ${figure("Scores", '<p class="note">Drag a cell sideways, or focus it: ↑ ↓ change it, ← → go to the next.</p>', "scores", "grid")}
    <p class="note readout" role="status"></p></section>
  ${figure("Targets", '<p class="note targeted"></p>', "targets", "table")}</section>
  ${figure("Gradient", '<div class="key"><span>raise <b></b></span><i></i><span><b></b> lower</span></div>', "gradient", "table")}</section>
</div>`;

const RIM = 92; // radius of the circle of points, in a view of 300 × 300
const zeroAt = (x, digits) => Math.abs(x) < 0.5 * 10 ** -digits;
const minus = (x, digits) => (zeroAt(x, digits) ? "0" : x.toFixed(digits).replace("-", "−"));
const signed = (x, digits) => (x > 0 && !zeroAt(x, digits) ? "+" : "") + minus(x, digits);
const placeOf = ({ dataset }) => [Number(dataset.i), Number(dataset.j)];

/** Empty matrix with a badge for every image (rows) and text (columns). */
function layMatrix(element, isNormal) {
  const role = element.getAttribute("role") === "grid" ? "gridcell" : "cell";
  const badge = (kind, i, header) => `<span class="badge ${kind} ${isNormal[i] ? "normal" : ""}" role="${header}"
    aria-label="${kind} ${i + 1}">${i + 1}</span>`;
  const line = (content) => `<div class="line" role="row">${content.join("")}</div>`;
  element.style.gridTemplateColumns = `24px repeat(${isNormal.length}, minmax(0, 52px))`;
  element.classList.toggle("wide", isNormal.length > 6);
  element.innerHTML = line([`<span role="${role}"></span>`, ...isNormal.map((_, j) => badge("text", j, "columnheader"))])
    + isNormal.map((_, i) => line([badge("image", i, "rowheader"),
      ...isNormal.map((_, j) => `<span class="cell" role="${role}" data-i="${i}" data-j="${j}"></span>`)])).join("");
}

/** Colour and print every cell: `look(i, j)` gives { text, amount (0 to 1), tint, faint }. */
function paintMatrix(element, look, { ignore, outlined }, linked) {
  for (const cell of element.querySelectorAll(".cell")) {
    const [i, j] = placeOf(cell);
    const { text, amount = 0, tint = "score", faint = false } = look(i, j);
    cell.textContent = text;
    cell.style.setProperty("--tint", `var(--${tint})`);
    cell.style.setProperty("--amount", `${(62 * amount).toFixed(1)}%`); // up to 62 % the ink stays readable
    cell.classList.toggle("faint", faint);
    cell.classList.toggle("ignored", element.matches(":not(.scores)") && ignore[i][j]);
    cell.classList.toggle("outlined", outlined(i, j));
    cell.classList.toggle("linked", i === linked[0] && j === linked[1]);
  }
}

/** Scores, targets and gradient; `steepest` is the gradient with the fullest colour. */
function paintMatrices(find, state, now, linked, steepest) {
  const { cosines, logits, targets, ignore, loss } = now;
  const among = (i) => (usesSigmoid(state) ? 1 : sum(targets[i]));
  const share = (i, j) => (targets[i][j] && among(i) > 1 ? `1/${among(i)}` : String(targets[i][j]));
  const slope = (i, j) => signed(loss.gradient[i][j], 3).replace("0.", "."); // a cell has room for "−.123"
  paintMatrix(find(".scores"), (i, j) => ({ text: minus(logits[i][j], 1), amount: (cosines[i][j] + 1) / 2 }), now, linked);
  paintMatrix(find(".targets"), (i, j) => ({
    text: ignore[i][j] ? "–" : share(i, j), amount: targets[i][j], faint: !targets[i][j],
  }), now, linked);
  paintMatrix(find(".gradient"), (i, j) => ({
    text: ignore[i][j] ? "–" : slope(i, j), amount: Math.abs(loss.gradient[i][j]) / steepest,
    tint: loss.gradient[i][j] < 0 ? "pull" : "push", faint: zeroAt(loss.gradient[i][j], 3),
  }), now, linked);
  for (const cell of find(".scores").querySelectorAll(".cell")) cell.setAttribute("aria-label", describe(now, ...placeOf(cell)));
  find(".targeted").textContent = (usesSigmoid(state) ? "1 is a yes, 0 is a no." : "Each row and each column sums to 1.")
    + (isOffClip(state) ? " Outlined: the abnormal pairs of the second term." : "");
  const ends = find(".key").querySelectorAll("b");
  [-steepest, steepest].forEach((end, side) => { ends[side].textContent = signed(end, 3); });
}

/** One pair in words. */
function describe({ logits, targets, ignore, loss }, i, j) {
  const slope = loss.gradient[i][j];
  const answer = zeroAt(slope, 4) ? "descent leaves it alone" : `descent ${slope < 0 ? "raises" : "lowers"} it`;
  return `Image ${i + 1} with text ${j + 1}: score ${minus(logits[i][j], 2)}, ${ignore[i][j]
    ? "ignored, since they share a finding." : `target ${targets[i][j]}, gradient ${signed(slope, 4)}: ${answer}.`}`;
}

/** A mark for every image (disc) and text (square). */
function layPoints(svg, state, isNormal) {
  const shapes = { image: '<circle class="body" r="9.5" />', text: '<rect class="body" x="-9" y="-9" width="18" height="18" rx="3" />' };
  const marks = Object.entries(shapes).flatMap(([kind, shape]) => isNormal.map((normal, i) => `
    <g class="point ${kind} ${normal ? "normal" : ""}" data-i="${i}" tabindex="-1" role="slider"
      aria-label="${kind} ${i + 1}, ${state.kinds[i]}" aria-valuemin="0" aria-valuemax="360">
      <path class="arrow" marker-end="url(#tip)" />${shape}<text>${i + 1}</text></g>`));
  svg.innerHTML = `<marker id="tip" viewBox="0 0 6 6" refX="3" refY="3" markerWidth="5" markerHeight="5" orient="auto">
    <path class="tip" d="M0 0L6 3L0 6Z" /></marker><circle class="rim" r="${RIM}" />${marks.join("")}`;
}

/** Images stand inside the rim, texts outside; marks that would overlap are stacked. */
function placePoints(svg, state, turn) {
  for (const mark of svg.querySelectorAll(".point")) {
    const kind = kindOf(mark);
    const [angles, [i]] = [state[kind], placeOf(mark)];
    const depth = angles.slice(0, i).filter((other) => Math.cos(other - angles[i]) > 0.985).length;
    const radius = RIM + (kind === "images" ? -1 : 1) * (13 + 19 * depth);
    const [x, y] = [Math.cos(angles[i]), -Math.sin(angles[i])];
    const push = clamp(-22 * turn[kind][i], -34, 34); // along the tangent, the way descent turns it
    const degrees = Math.round(((angles[i] * 180) / Math.PI % 360) + 360) % 360;
    mark.setAttribute("transform", `translate(${radius * x} ${radius * y})`);
    mark.setAttribute("aria-valuenow", degrees);
    mark.setAttribute("aria-valuetext", `${degrees} degrees`);
    const [from, to] = [10 * Math.sign(push), 11 * Math.sign(push) + push];
    mark.querySelector(".arrow").setAttribute("d", Math.abs(push) < 1 ? "" : `M${from * y} ${-from * x}L${to * y} ${-to * x}`);
  }
}

const kindOf = (mark) => (mark.matches(".image") ? "images" : "texts");

/** Total and parts as bars on one scale, the loss so far as a line, and the floor in words. */
function drawLoss(find, state, loss, scale) {
  const width = (x) => `${(100 * clamp(x / scale, 0, 1)).toFixed(1)}%`;
  const term = ({ name, value }, kind, mark) => `<div class="term ${kind}"><span>${name}</span>
    <span class="bar"><i style="width:${width(value)}"></i>${mark}</span><span>${value.toFixed(3)}</span></div>`;
  const mark = loss.floor > 0 ? `<b style="left:${width(loss.floor)}"></b>` : "";
  find(".terms").innerHTML = term({ name: "loss (nats)", value: loss.value }, "total", mark)
    + loss.parts.map((part) => term(part, "", "")).join("");
  find(".floor").textContent = floorNote(state, loss.floor);
  const line = state.history.slice(-200);
  const top = Math.max(...line, 1e-9);
  find(".spark polyline").setAttribute("points", line.map((value, i) =>
    `${(100 * i) / Math.max(1, line.length - 1)},${48 - (46 * value) / top}`).join(" "));
  find(".count").textContent = line.length ? `Loss after step ${state.history.length - 1}` : "Step or play to descend";
}

function floorNote(state, floor) {
  const n = state.kinds.length;
  const k = state.kinds.filter((kind) => kind === "normal").length;
  if (k > 1 && state.loss === "infonce") {
    return `Were the ${k} normal studies alike, it could not go below ${((k * Math.log(k)) / n).toFixed(3)}: each would pay log ${k}.`;
  }
  if (floor === 0) return "Its lower bound is 0.";
  return `It cannot go below ${floor.toFixed(3)} (the mark): a normal image shares its probability among ${k} texts and pays log ${k}.`;
}

// ------------------------------------------------------------------------------------ 5 controls

/** ← → move the focus among the items, ↑ ↓ PageUp PageDown call `change(item, ±1 or ±5)`. */
function keyboard(container, selector, change) {
  const focus = (item) => {
    for (const other of container.querySelectorAll(selector)) other.setAttribute("tabindex", other === item ? 0 : -1);
    item.focus();
  };
  container.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const amount = { ArrowUp: 1, ArrowDown: -1, PageUp: 5, PageDown: -5 }[event.key];
    const item = event.target.closest(selector);
    if (!item || !(move || amount)) return;
    event.preventDefault();
    const items = [...container.querySelectorAll(selector)];
    if (move) focus(items.at((items.indexOf(item) + move) % items.length));
    else change(item, amount);
  });
  return focus;
}

/** Pointer drags that begin on an item: `start(item, event)` returns what to do as it moves. */
function draggable(container, selector, start) {
  let move = null;
  container.addEventListener("pointerdown", (event) => {
    const item = event.target.closest(selector);
    if (!item || event.button !== 0) return;
    event.preventDefault();
    container.setPointerCapture(event.pointerId);
    move = start(item, event);
  });
  container.addEventListener("pointermove", (event) => move?.(event));
  for (const end of ["pointerup", "pointercancel"]) container.addEventListener(end, () => { move = null; });
}

/** Show the state in the controls, and only those controls that bear on the chosen loss. */
function showSettings(find, state, playLabel) {
  for (const { key, print, applies } of SLIDERS) {
    find(`[name=${key}]`).value = state[key];
    find(`[data-for=${key}] output`).textContent = print(state[key]);
    find(`[data-for=${key}]`).hidden = !applies(state);
  }
  for (const key of ["loss", "form", "balance"]) find(`[name=${key}]`).value = state[key];
  find("[data-for=form]").hidden = !isOffClip(state);
  find("[data-for=balance]").hidden = !isOffDiagonal(state);
  find(".about").textContent = LOSSES[state.loss][1];
  find("[name=size]").value = state.kinds.length;
  find("[name=ignoreShared]").checked = state.ignoreShared;
  find(`[value=${state.source}]`).checked = true;
  find("[name=play]").textContent = playLabel;
  find(".circle").toggleAttribute("hidden", state.source !== "points");
  find(".where").textContent = state.source === "points"
    ? "Discs are images, squares are texts. Score = scale × cosine + bias. Arrows: where descent turns them. Drag one, or focus it and press ↑ ↓."
    : "No points stand behind free scores. Each moves alone, within bias ± scale.";
}

/** Wire the controls inside `root` to the state; `changed` hears of a new batch or loss. */
function wire(root, state, changed) {
  const find = (selector) => root.querySelector(selector);
  const [scores, circle] = [find(".scores"), find(".circle")];
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let timer = null;
  let linked = [0, 0];
  let tallest, steepest; // what the bars and the colours of the gradient are scaled to

  /** The studies changed: badges, cells and marks anew. */
  function relay() {
    const isNormal = state.kinds.map((kind) => kind === "normal");
    linked = linked.map((i) => Math.min(i, state.kinds.length - 1));
    find(".studies").innerHTML = state.kinds.map((kind, i) => `<label>
      <span class="badge image ${isNormal[i] ? "normal" : ""}">${i + 1}</span>
      <select data-study="${i}" aria-label="Study ${i + 1} shows">${choices(["normal", ...FINDINGS].map((each) => [each, each]))
        .replace(`"${kind}"`, `"${kind}" selected`)}</select></label>`).join("");
    for (const matrix of root.querySelectorAll(".matrix")) layMatrix(matrix, isNormal);
    layPoints(circle, state, isNormal);
    for (const cell of scores.querySelectorAll(".cell")) cell.tabIndex = -1;
    scores.querySelector(".cell").tabIndex = 0;
    circle.querySelector(".point").setAttribute("tabindex", 0);
    restart();
  }

  /** The loss means something else now: its line and the scales begin anew. */
  function restart() {
    state.history = [];
    [tallest, steepest] = [0.1, 1e-3];
    refresh();
  }

  function refresh() {
    const now = evaluate(state);
    tallest = Math.max(tallest, now.loss.value, 1.2 * now.loss.floor);
    steepest = Math.max(steepest, ...now.loss.gradient.flat().map(Math.abs));
    drawLoss(find, state, now.loss, tallest);
    placePoints(circle, state, now.turn);
    paintMatrices(find, state, now, linked, steepest);
    for (const mark of circle.querySelectorAll(".point")) {
      mark.classList.toggle("linked", placeOf(mark)[0] === linked[kindOf(mark) === "images" ? 0 : 1]);
    }
    find(".readout").ariaLive = timer ? "off" : "polite";
    find(".readout").textContent = `${describe(now, ...linked)} Loss ${now.loss.value.toFixed(3)}.`;
    showSettings(find, state, timer ? "Pause" : calm.matches ? "50 steps" : "Play");
  }

  function pause() {
    clearInterval(timer);
    timer = null;
  }

  /** Step until nothing changes any more; who prefers less motion gets 50 steps at once. */
  function play() {
    if (timer) return pause();
    if (calm.matches) return Array.from({ length: 50 }).forEach(() => descend(state));
    timer = setInterval(() => {
      descend(state);
      const [before, after] = state.history.slice(-2);
      if (Math.abs(before - after) < 1e-6) pause();
      refresh();
    }, 60);
  }

  const buttons = {
    step: () => { descend(state); refresh(); },
    play: () => { play(); refresh(); },
    gather: () => { gatherNormals(state); refresh(); },
    over: () => { pause(); startOver(state); restart(); },
    reset: () => { pause(); Object.assign(state, newState(...state.initial)); relay(); changed(); },
  };
  for (const [name, act] of Object.entries(buttons)) find(`button[name=${name}]`).addEventListener("click", act);

  const settings = {
    size: (value) => { resize(state, Number(value)); relay(); },
    source: (value) => { state.source = value; state.free = cosinesOf(state.images, state.texts); restart(); },
    stepSize: (value) => { state.stepSize = Number(value); refresh(); },
  };
  root.addEventListener("input", ({ target }) => {
    const { name, type, value, checked, dataset: { study } } = target;
    if (study) {
      state.kinds[study] = value;
      relay();
      find(`[data-study="${study}"]`).focus();
    } else if (name in settings) settings[name](value);
    else {
      state[name] = type === "range" ? Number(value) : type === "checkbox" ? checked : value;
      restart();
    }
    changed();
  });

  const cosineAt = ([i, j]) => evaluate(state).cosines[i][j];
  const move = (cell, cosine) => { setCosine(state, ...placeOf(cell), cosine); refresh(); };
  const focus = keyboard(scores, ".cell", (cell, amount) => move(cell, cosineAt(placeOf(cell)) + 0.05 * amount));
  draggable(scores, ".cell", (cell, { clientX, clientY }) => {
    const cosine = cosineAt(placeOf(cell));
    focus(cell);
    return (event) => move(cell, cosine + (event.clientX - clientX + clientY - event.clientY) / 120);
  });
  const turn = (mark, angle) => { state[kindOf(mark)][placeOf(mark)[0]] = angle; refresh(); };
  keyboard(circle, ".point", (mark, amount) => turn(mark, state[kindOf(mark)][placeOf(mark)[0]] + 0.05 * amount));
  draggable(circle, ".point", (mark) => ({ clientX, clientY }) => {
    const { left, top, width, height } = circle.getBoundingClientRect();
    turn(mark, Math.atan2(top + height / 2 - clientY, clientX - left - width / 2));
  });
  for (const type of ["pointerover", "focusin"]) {
    find(".figures").addEventListener(type, ({ target }) => {
      const cell = target.closest(".cell");
      if (cell) linked = placeOf(cell);
      if (cell) refresh();
    });
  }
  return { relay, restart, pause };
}

// --------------------------------------------------------------------------------------- 6 entry

/** Dark or light, as Sphinx, JupyterLab or VS Code say, else as the system prefers. */
function isDark(system) {
  const { documentElement: page, body } = document;
  if (page.dataset.theme) return page.dataset.theme === "dark";
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (body.matches(".vscode-light, .vscode-dark")) return body.matches(".vscode-dark");
  return system.matches;
}

function followTheme(root) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => root.classList.toggle("dark", isDark(system));
  const watcher = new MutationObserver(paint);
  for (const element of [document.documentElement, document.body]) watcher.observe(element, { attributes: true });
  system.addEventListener("change", paint);
  paint();
  return () => { watcher.disconnect(); system.removeEventListener("change", paint); };
}

/** anywidget's entry. `model` carries `is_normal` and `loss`; returns what cleans up. */
export function render({ model, el }) {
  const host = el.appendChild(document.createElement("div"));
  host.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves the arrow keys to us
  const shadow = host.attachShadow({ mode: "open" }); // the page's styles stay out, ours stay in
  shadow.innerHTML = `<style>${STYLE}</style><div class="explorer">${TEMPLATE}</div>`;
  const root = shadow.querySelector(".explorer");
  const initial = [[...model.get("is_normal")], model.get("loss")];
  const state = { ...newState(...initial), initial };
  const flags = () => state.kinds.map((kind) => kind === "normal");
  const view = wire(root, state, () => {
    model.set("loss", state.loss);
    model.set("is_normal", flags());
    model.save_changes();
  });
  const followed = { // the Python side chose another batch or loss
    "change:loss": () => {
      if (model.get("loss") === state.loss) return;
      state.loss = model.get("loss");
      view.restart();
    },
    "change:is_normal": () => {
      if (String(model.get("is_normal")) === String(flags())) return;
      state.kinds = kindsOf(model.get("is_normal"));
      startOver(state);
      view.relay();
    },
  };
  for (const [event, follow] of Object.entries(followed)) model.on(event, follow);
  const leaveTheme = followTheme(root);
  view.relay();
  return () => {
    view.pause();
    leaveTheme();
    for (const [event, follow] of Object.entries(followed)) model.off(event, follow);
  };
}

/** Fill every empty `<div class="offclip-explorer" data-state="…">` of a page without a kernel. */
export function mountStatic() {
  for (const el of document.querySelectorAll(".offclip-explorer:empty")) {
    const state = JSON.parse(el.dataset.state);
    render({ el, model: { get: (key) => state[key], set() {}, save_changes() {}, on() {}, off() {} } });
  }
}

export default { render };
