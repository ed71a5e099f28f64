// A cursor that reads values off the drawings. The page is whole without it.
(() => {
  "use strict";
  const HEIGHT = 500;

  // The corners of a path as the page writes them: M, l, h and v; what closes a shape is not part of it.
  const corners = (path) => {
    const list = [];
    let x = 0, y = 0;
    for (const [, letter, rest] of path.getAttribute("d").matchAll(/([MlhvVHz])([^MlhvVHz]*)/g)) {
      const numbers = (rest.match(/-?\d+/g) || []).map(Number);
      if (letter === "M") { [x, y] = numbers; list.push([x, y, true]); }
      if (letter === "h") { x += numbers[0]; list.push([x, y]); }
      if (letter === "v") { y += numbers[0]; list.push([x, y]); }
      if (letter === "l") {
        for (let i = 0; numbers.length > i + 1; i += 2) { x += numbers[i]; y += numbers[i + 1]; list.push([x, y]); }
      }
    }
    return list;
  };

  // The height of a path at x; nothing where it is broken.
  const heightAt = (list, x) => {
    for (let i = 1; list.length > i; i++) {
      const [from, to] = [list[i - 1], list[i]];
      if (!to[2] && x >= from[0] && to[0] > x) {
        return from[1] + (to[1] - from[1]) * (x - from[0]) / (to[0] - from[0]);
      }
    }
    return null;
  };

  const readings = (svg, x) => {
    const low = Number(svg.dataset.low), high = Number(svg.dataset.high), lines = [];
    let below = 0;
    for (const path of [...svg.querySelectorAll("path[data-name]")].reverse()) {
      path.corners = path.corners || corners(path);
      const height = heightAt(path.corners, x);
      if (height === null) continue;
      const value = low + (1 - height / HEIGHT) * (high - low);
      const own = path.classList.contains("stacked") ? value - below : value;
      below = value;
      lines.push(own.toFixed(Number(svg.dataset.decimals)) + "  " + path.dataset.name);
    }
    return lines;
  };

  const marks = [];
  const clear = () => { for (const mark of marks.splice(0)) mark.remove(); };

  const show = (event) => {
    const svg = event.target.closest("svg[data-from]");
    clear();
    if (!svg) return;
    const box = svg.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    if (!(part >= 0 && 1 > part)) return;
    // Every drawing that is on the same time axis answers.
    const same = `svg[data-from="${svg.dataset.from}"][data-step="${svg.dataset.step}"]`;
    for (const other of document.querySelectorAll(same)) {
      if (!other.clientWidth || other.closest("details") !== svg.closest("details")) continue;
      const width = other.viewBox.baseVal.width, x = part * width;
      const plot = other.parentElement, left = other.getBoundingClientRect().left - plot.getBoundingClientRect().left;
      const cursor = document.createElement("div"), readout = document.createElement("div");
      cursor.className = "cursor";
      readout.className = "readout";
      const at = left + part * other.getBoundingClientRect().width;
      cursor.style.left = `${at}px`;
      cursor.style.height = `${other.getBoundingClientRect().height}px`;
      if (part > 0.5) readout.style.right = `${plot.clientWidth - at + 8}px`;
      else readout.style.left = `${at + 8}px`;
      const second = Number(other.dataset.from) + Math.floor(x / 2) * Number(other.dataset.step);
      const time = new Date(1000 * second).toISOString().slice(0, 16).replace("T", " ");
      readout.textContent = [time, ...readings(other, x)].join("\n");
      readout.setAttribute("aria-hidden", "true");
      plot.append(cursor, readout);
      marks.push(cursor, readout);
    }
  };

  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", clear, { passive: true });
})();
