"use strict";
// Draws the designs by two of their numbers; all of them lie in the page, and nothing is fetched.
(() => {
  const found = JSON.parse(document.getElementById("data").textContent);
  const plot = document.getElementById("plot"), about = document.getElementById("about");
  const selects = ["across", "up"].map((id) => document.getElementById(id));
  const designs = [
    ...found.evaluated.map((design) => ({ ...design, kind: "other" })),
    ...found.front.map((design) => ({ ...design, kind: "front" })),
  ];
  const names = [...new Set(designs.flatMap((design) => Object.keys(design.figures)))];
  const box = { left: 70, right: 880, top: 12, bottom: 380 };
  // Numbers that lie more than a factor of four apart are read by factors.
  const SPREAD = 4, TICKS = 5;

  const shape = (tag, fields, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(fields)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    plot.append(element);
    return element;
  };
  const short = (value) => {
    const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
    return value.toLocaleString("en", { maximumFractionDigits: digits });
  };

  function scaleOf(name, first, last) {
    const values = designs.filter((d) => d.figures[name]).map((d) => d.figures[name].value);
    const low = Math.min(...values), high = Math.max(...values);
    const log = low > 0 && high / low > SPREAD;
    const by = log ? Math.log : (value) => value, back = log ? Math.exp : (value) => value;
    const from = by(low), width = by(high) - from || 1;
    const place = (value) => first + ((by(value) - from) / width) * (last - first);
    const ticks = [...Array(TICKS).keys()].map((n) => back(from + (n / (TICKS - 1)) * width));
    return { place, ticks, log };
  }

  function choose(design) {
    document.querySelectorAll(".chosen").forEach((element) => element.classList.remove("chosen"));
    plot.querySelectorAll(`[data-name="${design.name}"]`)
      .forEach((element) => element.classList.add("chosen"));
    const row = document.getElementById(`design-${design.name}`);
    if (row) {
      row.classList.add("chosen");
      row.scrollIntoView({ block: "center", behavior: "smooth" });
    }
  }

  function tell(design) {
    const figures = Object.entries(design.figures)
      .map(([name, figure]) => `${name.replace("_", " ")} ${short(figure.value)} (${figure.mark})`);
    about.textContent =
      `${design.name}: ${design.hardware}; terms ${design.terms_text}; ${figures.join(", ")}`;
  }

  function draw() {
    plot.replaceChildren();
    const [x, y] = selects.map((select) => select.value);
    if (!x || !y) return;
    const across = scaleOf(x, box.left, box.right), up = scaleOf(y, box.bottom, box.top);
    for (const tick of across.ticks) {
      const at = across.place(tick);
      shape("line", { class: "axis", x1: at, x2: at, y1: box.top, y2: box.bottom });
      shape("text", { x: at, y: box.bottom + 18, "text-anchor": "middle" }, short(tick));
    }
    for (const tick of up.ticks) {
      const at = up.place(tick);
      shape("line", { class: "axis", x1: box.left, x2: box.right, y1: at, y2: at });
      shape("text", { x: box.left - 8, y: at + 4, "text-anchor": "end" }, short(tick));
    }
    shape("text", { x: box.right, y: box.bottom + 36, "text-anchor": "end" }, x.replace("_", " "));
    for (const design of designs) {
      const [a, b] = [design.figures[x], design.figures[y]];
      if (!a || !b) continue;
      const cx = across.place(a.value), cy = up.place(b.value);
      if (design.kind === "front" && b.low > 0) {
        shape("line", { class: "error", x1: cx, x2: cx, y1: up.place(b.low), y2: up.place(b.high) });
      }
      const size = design.kind === "front" ? 6 : 4;
      const dot = shape("circle", { class: design.kind, cx, cy, r: size, "data-name": design.name });
      dot.addEventListener("mouseenter", () => tell(design));
      dot.addEventListener("click", () => { tell(design); choose(design); });
    }
  }

  selects.forEach((select, number) => {
    for (const name of names) select.add(new Option(name.replace("_", " "), name));
    // The second objective across and the first up: speed or size, and accuracy.
    const wanted = found.objectives[1 - number];
    if (names.includes(wanted)) select.value = wanted;
    select.addEventListener("change", draw);
  });
  draw();
})();
