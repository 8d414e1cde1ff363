// What was known before, with the answers of this page, which take the place of older ones on the same pair.
function merged(known, answers) {
  const key = (pair) => JSON.stringify([...pair].sort());
  const last = new Map(answers.map((answer) => [key(answer.pair), answer]));  // of two on one pair the later counts
  const result = { must: [], cannot: [] };
  for (const kind of ["must", "cannot"]) {
    const kept = (known[kind] || []).filter((pair) => !last.has(key(pair)));
    const fresh = [...last.values()].filter((answer) => answer.kind === kind).map((answer) => answer.pair);
    result[kind] = kept.concat(fresh);
  }
  return result;
}

if (typeof document !== "undefined") {
  const known = JSON.parse(document.getElementById("known").textContent);
  const cards = [...document.querySelectorAll(".link")];
  const pressed = (card) => card.querySelector('[aria-pressed="true"]');
  const added = [];
  const answers = () => cards.filter(pressed).map(
    (card) => ({ pair: [card.dataset.left, card.dataset.right], kind: pressed(card).dataset.answer })).concat(added);
  const count = () => {
    document.getElementById("count").textContent = `${answers().length} answers`;
  };
  for (const button of document.querySelectorAll(".more button")) {
    button.addEventListener("click", () => {
      const pair = ["one", "other"].map((id) => document.getElementById(id).value);
      if (pair[0] === pair[1]) return;
      added.push({ pair, kind: button.dataset.kind });
      const line = document.createElement("li");
      line.textContent = `${pair.join(" and ")}: ${button.textContent.toLowerCase()}`;
      document.getElementById("added").append(line);
      count();
    });
  }
  for (const button of document.querySelectorAll(".answer button")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") === "true";
      for (const one of button.parentElement.children) one.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-pressed", String(!on));
      count();
    });
  }
  document.getElementById("save").addEventListener("click", () => {
    const text = JSON.stringify(merged(known, answers()), null, 2);
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    anchor.download = "known.json";
    anchor.click();
    URL.revokeObjectURL(anchor.href);
  });
  count();
}
