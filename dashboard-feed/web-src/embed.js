/* The page for an iframe: a bar of what the address asks for, whose height its parent is told as it changes. */
const asked = new URLSearchParams(location.search);
const bar = document.createElement('tally-reactions');
for (const name of ['article', 'kinds', 'labels', 'lang', 'compact']) {
  asked.has(name) && bar.setAttribute(name, asked.get(name));
}
new ResizeObserver(() => {
  parent.postMessage({ tally: 'height', article: asked.get('article'), height: Math.ceil(bar.getBoundingClientRect().height) }, '*');
}).observe(bar);
document.body.append(bar);
