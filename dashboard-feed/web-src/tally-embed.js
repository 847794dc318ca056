/*
 * The page for an iframe: a bar of what the address asks for, whose height its parent is told as it changes, an AMP page in AMP's words too.
 * The files of this page are named `tally…`, as those are for any origin: in a sandbox without `allow-same-origin` the page has none.
 */
const asked = new URLSearchParams(location.search);
const bar = document.createElement('tally-reactions');
for (const name of ['article', 'kinds', 'labels', 'lang', 'compact']) {
  asked.has(name) && bar.setAttribute(name, asked.get(name));
}
const tell = (message) => parent.postMessage(message, '*');
new ResizeObserver(() => {
  const height = Math.ceil(bar.getBoundingClientRect().height);
  tell({ tally: 'height', article: asked.get('article'), height });
  tell({ sentinel: 'amp', type: 'embed-size', height });
}).observe(bar);
document.body.append(bar);
tell({ sentinel: 'amp', type: 'embed-ready' });
