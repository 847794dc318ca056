/*
 * Tally: what readers feel about an article, counted live.
 *
 *   <script type="module" src="https://…/tally.js"></script>
 *   <tally-reactions article="world/migrant-caravan"></tally-reactions>
 *
 * docs/embedding.md has the attributes, events and what can be themed; INTERFACES.md every topic and payload. The build makes one file of this
 * and what it imports.
 */
import css from 'style';
import brokerAddress from './address.js';
import { capital } from './capital.js';
import { away, join, leave, load, park, react, say, seen } from './hub.js';
import icons from './icons.js';
import english from './words.js';
import { attempt, isArticle, parse, sync, warn, requests } from './requests.js';

const sheet = new CSSStyleSheet();
sheet.replaceSync(css);

// A word that has not changed is not written, as it would be read out again.
const put = (node, text) => node.textContent === text || (node.textContent = text);
const make = (tag, part, ...children) => {
  const node = document.createElement(tag);
  node.part = part;
  node.append(...children);
  return node;
};

// Another copy of this script may have defined it.
attempt(() =>
  customElements.define(
    'tally-reactions',
    class extends HTMLElement {
      static get observedAttributes() {
        return ['article', 'token', 'kinds', 'labels', 'lang'];
      }

      constructor() {
        super();
        const title = make('legend', 'title');
        const bar = make('fieldset', 'bar', title);
        const status = make('output', 'status');
        const info = make('span', 'info');
        const card = make('section', 'card', bar, make('div', 'foot', status, info));
        const root = this.attachShadow({ mode: 'open' });
        const buttons = { __proto__: null };
        const read = (name) => this.getAttribute(name)?.replace(/^false$/, '') ?? ''; // React writes what is not there as `false`
        let article, said, told, words, whole, short, percent, offered, closed; // `said` is of the request `told`
        root.adoptedStyleSheets = [sheet];

        const label = (kind) => words[kind] ?? capital(kind);
        const emit = (name, value) =>
          this.dispatchEvent(new CustomEvent('tally:' + name, { bubbles: true, composed: true, detail: { article, value } }));

        const button = (kind) => {
          const icon = make('i', 'icon', icons[kind] ?? '');
          const parts = [make('span', 'label'), make('b', 'count'), make('small', 'share')];
          const node = make('button', 'button ' + kind, icon, parts[0], ' ', parts[1], ' ', parts[2]);
          icon.ariaHidden = true;
          node.onfocus = node.onpointerenter = load;
          node.onclick = () => this.react(requests.get(article)?.kind === kind ? 'none' : kind);
          return [node, ...parts];
        };

        // A click shows at once, though no total tells whether it has it: the kind requested shows at least, and the one left at most, what the
        // click made of `base`, the total shown before. That ends with the next total after the receipt, or a while after it.
        const count = (kind, totals, { kind: requested, was, base }) => {
          const of = (from) => +from.counts[kind] || 0; // a prototype's value is not a number
          const n = of(totals);
          return !base?.counts || requested === was ? n
            : kind === requested ? Math.max(n, of(base) + 1)
            : kind === was ? Math.max(0, Math.min(n, of(base) - 1))
            : n;
        };

        const render = () => {
          const request = requests.get(article) ?? {};
          const waits = request.settled === 0;
          const totals = seen.get('totals/' + article) ?? {};
          const state = seen.get('articles/' + article) ?? {};
          const kinds = [...new Set(read('kinds').match(/[^\s,]+/g) ?? state.kinds ?? Object.keys(icons))].filter(
            // What a total does not name does not exist.
            (kind) => state.kinds?.includes(kind) ?? (!totals.version || totals.counts?.[kind] >= 0),
          );
          closed = state.open === false;
          const hidden = state.results === 'after_close' && !(closed && totals.version);
          const shown = totals.counts && !hidden;
          if (request.news && say) {
            said = request.news;
            told = request;
            request.news = 0;
            emit(/^[RA]/.test(said) ? 'refused' : 'reacted', said[1]);
            sync(1);
          }
          const counts = kinds.map((kind) => (shown ? count(kind, totals, request) : 0));
          const all = counts.reduce((a, b) => a + b, 0);
          if (offered !== '' + kinds) {
            offered = '' + kinds;
            bar.replaceChildren(title, ...kinds.map((kind) => (buttons[kind] ??= button(kind))[0]));
          }
          kinds.forEach((kind, i) => {
            const part = counts[i] / all || 0;
            const [node, name, number, share] = buttons[kind];
            put(name, label(kind));
            put(number, shown ? (counts[i] < 1e5 ? whole : short)(counts[i]) : '–');
            put(share, shown ? percent(part) : '');
            node.style = '--share:' + part * 100 + '%';
            node.setAttribute('aria-pressed', request.kind === kind);
            node.setAttribute('aria-disabled', closed);
            node.part.toggle('pending', waits && kind === (request.kind === 'none' ? request.was : request.kind));
          });
          put(title, words.Title);
          put(status, (waits && away ? words.Kept : (waits || request === told) && say?.(request, said, words, label)) || '');
          put(info, [shown && words.Sum + whole(all), away && words.Away, closed && words.Closed, hidden && words.Hidden].filter((text) => text).join(' · '));
        };

        const hear = (name, value) => (name ? emit(name, value) : render());

        const id = () => this.getAttribute('article');
        const attach = () => {
          if (isArticle(id())) {
            article = id();
            join(hear, article, brokerAddress(read('broker')), read('token'));
            render();
          }
        };
        const near = new IntersectionObserver(
          (entries) => {
            isArticle(id()) || (this.isConnected && warn('no article id', this));
            entries.at(-1).isIntersecting ? attach() : article && park(hear);
          },
          { rootMargin: '300px' },
        );

        const use = (more) => {
          words = { __proto__: null, ...english, ...more?.default, ...parse(read('labels')) };
          card.dir = words.Dir || 'ltr';
          render();
        };
        this.change = () => {
          near.disconnect();
          article && leave(hear);
          article = told = '';
          const tag = read('lang').replace(/_/g, '-').split(/[.@]/)[0]; // fr_FR.UTF-8
          const locale = attempt(() => Intl.getCanonicalLocales(tag)); // else the reader's
          const lang = /^(fr|es|ar)\b/.exec(locale)?.[0];
          const file = './tally.' + lang + '.js'; // not for a bundler to look into
          [whole, short, percent] = [{}, { notation: 'compact', maximumFractionDigits: 1, roundingMode: 'trunc' }, { style: 'percent' }].map(
            (options) => new Intl.NumberFormat(locale, options).format,
          );
          root.replaceChildren(isArticle(id()) ? card : make('slot', ''));
          near.observe(this); // which never sees one that is in no page
          use();
          const mine = words;
          lang && import(file).then((more) => words === mine && use(more), () => {}); // unless something has changed since
        };
        this.react = (kind) => {
          attach();
          article && !closed && react(hear, article, kind);
        };
      }

      connectedCallback() {
        this.change();
      }

      disconnectedCallback() {
        this.change();
      }

      attributeChangedCallback() {
        this.change();
      }
    },
  ),
);
