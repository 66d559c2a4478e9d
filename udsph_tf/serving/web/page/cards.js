// Arrow keys among the cards of results; up from the first row leads to `before`.

export function moveAmongCards(event, grid, before) {
  const cards = [...grid.querySelectorAll(".card")];
  const top = cards[0].getBoundingClientRect().top;
  const columns = cards.filter((each) => Math.abs(each.getBoundingClientRect().top - top) < 2).length;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const target = cards.indexOf(event.target) + steps[event.key];
  if (target < 0) before.focus();
  else if (target < cards.length) cards[target].focus();
}
