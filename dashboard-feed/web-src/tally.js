/*
 * Tally: what readers feel about an article, counted live.
 *
 *   <script type="module" src="https://…/tally.js"></script>
 *   <tally-reactions article="world/migrant-caravan"></tally-reactions>
 *
 * README.md has the attributes, events and what can be themed; INTERFACES.md every topic and payload. The build makes one file of this
 * and what it imports.
 */
import css from 'style';
import brokerAddress from './address.js';
import hub from './hub.js';
import icons from './icons.js';
import english from './words.js';
import { attempt, sync, wishes } from './wishes.js';

// Loosely: the broker says no itself to what is none, but this would end the connection.
const ARTICLE = /^[\w.~%/-]+$/;
const [join, leave, react] = hub();
const sheet = new CSSStyleSheet();
sheet.replaceSync(css);

// In the reader's locale
const format = (options) => new Intl.NumberFormat([], options).format;
const whole = format();
const short = format({ notation: 'compact', maximumFractionDigits: 1 });
const percent = format({ style: 'percent' });

const capital = (name) => name[0].toUpperCase() + name.slice(1);

// A word that has not changed is not written, as it would be read out again.
const put = (node, text) => node.textContent === text || (node.textContent = text);
const make = (tag, part, ...children) => {
  const node = document.createElement(tag);
  node.part = part;
  node.append(...children);
  return node;
};

customElements.get('tally-reactions') ||
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
        const buttons = {};
        const read = (name) => this.getAttribute(name) || '';
        let article, known, base, said, told, words, offered, closed, away; // `said` was of the wish `told`
        root.adoptedStyleSheets = [sheet];

        const label = (kind) => words[kind] ?? capital(kind);
        const emit = (name, value) =>
          this.dispatchEvent(new CustomEvent('tally:' + name, { bubbles: true, detail: { article, value } }));

        const button = (kind) => {
          const icon = make('i', 'icon', icons[kind] ?? '');
          const parts = [make('span', 'label'), make('b', 'count'), make('small', 'share')];
          const node = make('button', 'button ' + kind, icon, parts[0], ' ', parts[1], ' ', parts[2]);
          icon.ariaHidden = true;
          node.onclick = () => this.react(wishes.get(article)?.kind === kind ? 'none' : kind);
          return [node, ...parts];
        };

        // A click shows at once, though no total tells whether it has it: the kind wished shows at least, and the one left at most, what the
        // click made of `base`, the total shown before. That ends with the next total after the receipt, or a while after it.
        const count = (kind, { kind: wished, was }) => {
          const of = (from) => from.counts[kind] || 0;
          const n = of(known.totals);
          return !base || wished === was ? n
            : kind === wished ? Math.max(n, of(base) + 1)
            : kind === was ? Math.max(0, Math.min(n, of(base) - 1))
            : n;
        };

        const render = () => {
          const wish = wishes.get(article) ?? {};
          const waits = wish.settled === 0;
          const { totals, articles: state } = known;
          const kinds = (read('kinds').match(/[^\s,]+/g) ?? state.kinds ?? Object.keys(icons)).filter((kind) => state.kinds?.includes(kind) ?? 1);
          closed = state.open === false;
          const hidden = state.results === 'after_close' && !(closed && totals.version);
          const shown = totals.counts && !hidden;
          if (wish.news) {
            const [key, about] = wish.news;
            const refused = key === 'Refused';
            said = words[key] + (refused ? words[capital(about.split('_')[0])] ?? words.Bad : label(about) + '.');
            told = wish;
            wish.news = 0;
            key === 'Counted' || (base = 0);
            emit(refused ? 'refused' : 'reacted', about);
            sync(1);
          }
          const counts = kinds.map((kind) => (shown ? count(kind, wish) : 0));
          const all = counts.reduce((a, b) => a + b, 0);
          if (offered !== '' + kinds) {
            offered = '' + kinds;
            bar.replaceChildren(title, ...kinds.map((kind) => (buttons[kind] ??= button(kind))[0]));
          }
          kinds.forEach((kind, i) => {
            const [node, name, number, share] = buttons[kind];
            const part = counts[i] / all || 0;
            put(name, label(kind));
            put(number, shown ? (counts[i] < 1e5 ? whole : short)(counts[i]) : '–');
            put(share, shown ? percent(part) : '');
            node.style.setProperty('--share', part * 100 + '%');
            node.setAttribute('aria-pressed', wish.kind === kind);
            node.setAttribute('aria-disabled', closed);
            node.part.toggle('pending', waits && kind === (wish.kind === 'none' ? wish.was : wish.kind));
          });
          put(title, words.Title);
          put(status, (wish === told ? said : waits && (away ? words.Kept : wish.slow && words.Received)) || '');
          put(info, [shown && words.Sum + whole(all), away && words.Away, closed && words.Closed, hidden && words.Hidden].filter((text) => text).join(' · '));
        };

        const hear = (isAway, what, of, value) => {
          away = isAway;
          if (!what) {
            render();
          } else if (!of) {
            settled();
            known.totals.counts || (known.totals = { counts: {}, version: 0 }); // nobody has reacted
          } else if (of === article && !(value.version < known[what].version)) {
            value.version > known[what].version && settled();
            known[what] = value;
            emit(what, value);
          }
        };
        const settled = () => wishes.get(article)?.settled && (base = 0);

        const attach = () => {
          near.disconnect();
          if (!article && ARTICLE.test(read('article'))) {
            article = read('article');
            join(hear, article, brokerAddress(read('broker')), read('token'));
            render();
          }
        };
        const near = new IntersectionObserver(([entry]) => entry.isIntersecting && attach(), { rootMargin: '300px' });

        this.change = () => {
          const lang = /^(fr|es|ar)\b/.exec(read('lang'))?.[0];
          const file = './tally.' + lang + '.js';
          const use = (more) => {
            words = { ...english, ...more?.default, ...attempt(() => JSON.parse(read('labels'))) };
            card.dir = words.Dir ?? 'ltr';
            render();
          };
          near.disconnect();
          article && leave(hear, article);
          article = base = 0;
          known = { totals: {}, articles: {} };
          told = 0;
          root.replaceChildren(ARTICLE.test(read('article')) ? card : '');
          near.observe(this); // which never sees one that is in no page
          use();
          lang && import(file).then(use);
        };
        this.react = (kind) => {
          attach();
          if (article && !closed) {
            base = known.totals.counts && known.totals;
            react(hear, article, kind);
          }
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
  );
