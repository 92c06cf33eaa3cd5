"use strict";
// Charts carry colour tokens ("@series1"); they are drawn again whenever the theme changes, and for paper.
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

function resolved(part) {
  if (typeof part === "string") return part.startsWith("@") ? style(part.slice(1)) : part;
  if (Array.isArray(part)) return part.map(resolved);
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, resolved(value)]));
}

function draw() {
  for (const figure of document.querySelectorAll("figure.chart")) {
    const drawn = resolved(JSON.parse(figure.querySelector("script").textContent));
    drawn.layout.font.family = style("font");
    Plotly.react(figure.querySelector(".plot"), drawn.data, drawn.layout, { displayModeBar: false, responsive: true });
  }
}

const root = document.documentElement;
const asked = new URLSearchParams(location.search).get("theme");
if (asked === "dark" || asked === "light") root.dataset.theme = asked;

function toPaper() {
  root.dataset.screenTheme = root.dataset.theme || "";
  root.dataset.theme = "light";
  document.body.style.width = "700px"; // the text width of A4: charts have no print layout of their own
  document.querySelectorAll("details.panel").forEach((panel) => (panel.open = true));
  draw();
}

function toScreen() {
  document.body.style.width = "";
  if (root.dataset.screenTheme) root.dataset.theme = root.dataset.screenTheme;
  else delete root.dataset.theme;
  draw();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
addEventListener("beforeprint", toPaper);
addEventListener("afterprint", toScreen);
draw();
