/*
 * How many reactions articles have, for lists of them: no socket, and one request for all of a page (a hundred at most in each).
 *
 *   <script type="module" src="https://…/tally-count.js"></script>
 *   <tally-count article="world/migrant-caravan"></tally-count>
 *
 * It writes the number into the element, in the reader's locale; nothing where results are hidden, and what stood there if it cannot ask
 * or there is no answer: the console shows the reason.
 */
const MOST = 100;
const MOST_BYTES = 6_000; // of a request's list: every server takes a line of 8,000 (RFC 9112, 3)
const LEVEL = '[A-Za-z0-9%][\\w.~%-]*';
const ARTICLE = new RegExp(`^(?=.{1,200}$)${LEVEL}(/${LEVEL}){0,7}$`);
const waiting = new Set();
const { format } = new Intl.NumberFormat();

const complain = (id, why) => console.warn(`tally-count: no count of article ${JSON.stringify(id)}: ${why}`);
const encode = (id) => encodeURIComponent(id).replaceAll('%2F', '/');

async function ask(ids) {
  const answer = await fetch(new URL(`totals?articles=${ids.map(encode)}`, import.meta.url));
  const { totals, error } = await answer.json().catch(() => ({}));
  if (!Array.isArray(totals)) {
    throw new Error(error ?? `the answer ${answer.status} ${answer.statusText} has no totals`);
  }
  return totals.filter((total) => total?.article);
}

async function show(ids, elements) {
  let totals = [];
  try {
    totals = await ask(ids);
  } catch (error) {
    ids.forEach((id) => complain(id, error.message)); // what stood there stays
  }
  for (const total of totals) {
    if (!total.hidden && !Number.isFinite(total.total)) {
      complain(total.article, total.error ?? 'the answer has no number');
      continue;
    }
    for (const element of elements) {
      if (element.getAttribute('article') === total.article) {
        element.textContent = total.hidden ? '' : format(total.total);
        element.dispatchEvent(new CustomEvent('tally:totals', { bubbles: true, composed: true, detail: { article: total.article, value: total } }));
      }
    }
  }
}

// A page's elements come one by one; after this turn all of them are here.
function gather() {
  const elements = [...waiting];
  waiting.clear();
  let [ids, bytes] = [[], 0];
  for (const id of new Set(elements.map((element) => element.getAttribute('article')))) {
    if (!ARTICLE.test(id ?? '')) {
      complain(id, 'it is not an article id: 1 to 8 levels of letters, digits and %._~- with / between, 200 bytes at most');
      continue;
    }
    const more = encode(id).length + 1;
    if (ids.length === MOST || bytes + more > MOST_BYTES) {
      show(ids, elements);
      [ids, bytes] = [[], 0];
    }
    ids.push(id);
    bytes += more;
  }
  ids.length && show(ids, elements);
}

class TallyCount extends HTMLElement {
  static observedAttributes = ['article'];

  connectedCallback() {
    waiting.size || setTimeout(gather);
    waiting.add(this);
  }

  attributeChangedCallback() {
    this.isConnected && this.connectedCallback();
  }
}

customElements.get('tally-count') || customElements.define('tally-count', TallyCount);
