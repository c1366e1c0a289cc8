// Paper is white: a page is printed in its light colours, whatever the reader has chosen for the screen.
(() => {
  const page = document.documentElement;
  let chosen;
  addEventListener('beforeprint', () => { chosen = page.dataset.theme; page.dataset.theme = 'light'; });
  addEventListener('afterprint', () => { page.dataset.theme = chosen; });
})();
