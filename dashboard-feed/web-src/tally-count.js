/*
 * How many reactions articles have, for lists of them: no socket, and one request for all of a page (a hundred at most in each).
 *
 *   <script type="module" src="https://…/tally-count.js"></script>
 *   <tally-count article="world/migrant-caravan"></tally-count>
 *
 * It writes the number into the element, in the reader's locale; nothing where results are hidden, and what stood there where it cannot ask.
 */
const MOST = 100;
const waiting = new Set();
const { format } = new Intl.NumberFormat();

async function show(elements) {
  const ids = [...new Set(elements.map((element) => element.getAttribute('article')))];
  const answer = await fetch(new URL(`totals?articles=${ids.map(encodeURIComponent)}`, import.meta.url));
  const { totals } = answer.ok ? await answer.json() : { totals: [] };
  for (const total of totals) {
    for (const element of elements) {
      if (element.getAttribute('article') === total.article) {
        element.textContent = total.hidden ? '' : format(total.total);
        element.dispatchEvent(new CustomEvent('tally:totals', { bubbles: true, detail: { article: total.article, value: total } }));
      }
    }
  }
}

// A page's elements come one by one; after this turn all of them are here.
function gather() {
  const elements = [...waiting];
  waiting.clear();
  while (elements.length) {
    show(elements.splice(0, MOST)).catch(() => {}); // offline: what stood there stays
  }
}

class TallyCount extends HTMLElement {
  static observedAttributes = ['article'];

  connectedCallback() {
    // One bad id would have the whole request refused.
    if (/^[\w.~%/-]{1,200}$/.test(this.getAttribute('article') ?? '')) {
      waiting.size || setTimeout(gather);
      waiting.add(this);
    }
  }

  attributeChangedCallback() {
    this.isConnected && this.connectedCallback();
  }
}

customElements.get('tally-count') || customElements.define('tally-count', TallyCount);
