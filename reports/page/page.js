// The page reads without this; it adds a filter and "open all".
document.documentElement.classList.add("scripted");
const find = document.getElementById("find");
const state = document.getElementById("state");
const shown = document.getElementById("shown");
const items = [...document.querySelectorAll("details.item")];

function apply() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const item of items) {
    const text = item.textContent.toLowerCase();
    const fits = words.every((word) => text.includes(word)) &&
      (!state.value || item.dataset.state === state.value);
    item.hidden = !fits;
    count += fits;
  }
  for (const group of document.querySelectorAll("section.group"))
    group.hidden = !group.querySelector("details.item:not([hidden])");
  shown.textContent = `${count} of ${items.length} shown`;
}

if (find) {
  find.addEventListener("input", apply);
  state.addEventListener("change", apply);
  document.getElementById("open").addEventListener("click", () => {
    const visible = items.filter((item) => !item.hidden);
    const open = visible.some((item) => !item.open);
    for (const item of visible) item.open = open;
  });
}
