"use strict";
(() => {
  const form = document.getElementById("filters");
  if (!form) return;
  const min = document.getElementById("min");
  const text = document.getElementById("text");
  const pairs = Array.from(document.querySelectorAll(".pair"), (row) => ({
    row,
    score: Number(row.dataset.score),
    verdict: row.dataset.verdict,
    ids: Array.from(row.querySelectorAll(".id"), (id) => id.textContent).join("\n").toLowerCase(),
  }));

  // the address keeps the filters (#verdict=copy&min=0.8&id=cat), so that a view can be bookmarked
  function readAddress() {
    let wanted;
    try { wanted = new URLSearchParams(location.hash.slice(1)); } catch { return; }
    const verdict = wanted.get("verdict");
    form.elements.verdict.value = ["copy", "original"].includes(verdict) ? verdict : "all";
    const score = Number.parseFloat(wanted.get("min"));
    min.value = Number.isFinite(score) ? score : min.min;
    text.value = wanted.get("id") || "";
  }

  function writeAddress() {
    const wanted = new URLSearchParams();
    if (form.elements.verdict.value !== "all") wanted.set("verdict", form.elements.verdict.value);
    if (min.value !== min.min) wanted.set("min", min.value);
    if (text.value) wanted.set("id", text.value);
    history.replaceState(null, "", `#${wanted}`);
  }

  function show() {
    const verdict = form.elements.verdict.value;
    const lowest = min.value === min.min ? -Infinity : Number(min.value);
    const part = text.value.trim().toLowerCase();
    let shown = 0;
    for (const pair of pairs) {
      const fits = (verdict === "all" || pair.verdict === verdict) && pair.score >= lowest && pair.ids.includes(part);
      pair.row.hidden = !fits;
      shown += fits;
    }
    document.getElementById("min-shown").value = Number(min.value).toFixed(3);
    document.getElementById("count").textContent = `${shown} of ${pairs.length} shown`;
    document.getElementById("empty").hidden = shown > 0;
  }

  function step(by) {
    const visible = pairs.filter((pair) => !pair.row.hidden);
    const here = visible.findIndex((pair) => pair.row.contains(document.activeElement));
    const next = visible[here < 0 ? 0 : Math.min(visible.length - 1, Math.max(0, here + by))];
    if (next) next.row.focus();
  }

  form.addEventListener("input", () => { show(); writeAddress(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("reset").addEventListener("click", () => {
    history.replaceState(null, "", "#");
    readAddress();
    show();
  });
  window.addEventListener("hashchange", () => { readAddress(); show(); });
  document.addEventListener("keydown", (event) => {
    const typing = event.target === text;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && typing) text.blur();
    if (typing) return;
    if (event.key === "/") { event.preventDefault(); text.focus(); }
    if (event.key === "j") step(1);
    if (event.key === "k") step(-1);
  });

  form.hidden = false;
  readAddress();
  show();
})();
