"use strict";
// Sorting and filtering of leaderboards. Without it, they are tables, best first.

const valueOf = (row, column) => row.cells[column].textContent.trim();

// Numbers by size, then texts by the alphabet; what is empty comes last, whichever way.
function compare(one, other, sign) {
  if (one === "" || other === "") return (one === "") - (other === "");
  const [first, second] = [Number(one), Number(other)];
  const numbers = !Number.isNaN(first) && !Number.isNaN(second);
  if (numbers) return sign * (first - second);
  if (Number.isNaN(first) !== Number.isNaN(second)) return Number.isNaN(first) - Number.isNaN(second);
  return sign * one.localeCompare(other);
}

function sort(table, head) {
  const column = head.cellIndex;
  const descending = head.getAttribute("aria-sort") === "ascending";
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => compare(valueOf(a, column), valueOf(b, column), descending ? -1 : 1));
  table.tBodies[0].append(...rows);
}

function filter(table, input, output) {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = [...row.cells].map((cell) => cell.textContent.toLowerCase()).join("\n");
    row.hidden = !words.every((word) => text.includes(word));
    shown += !row.hidden;
  }
  output.textContent = words.length ? `${shown} of ${table.tBodies[0].rows.length} rows` : "";
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(table, head));
    head.replaceChildren(button);
  }
  table.tHead.rows[0].cells[0].setAttribute("aria-sort", "ascending");
  const form = table.closest("section").querySelector(".filter");
  const [input, output] = [form.querySelector("input"), form.querySelector("output")];
  input.addEventListener("input", () => filter(table, input, output));
  form.hidden = false;
}
