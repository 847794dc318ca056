/*
 * The articles whose totals grow fastest, in bounded memory: as `tally watch` has them (cli/hot.h), by Space-Saving with decaying weights.
 * An article that is not in the full table takes the place of the least one, and inherits its weight as its possible error.
 */
const ENTRIES_MOST = 1_000;
const HALF_LIFE_S = 5;
const LEAST_SHOWN = 0.05;

const sumOf = (counts) => Object.values(counts).reduce((sum, n) => sum + n, 0);

// Counts that rose are reactions; those that fell are not.
const grown = (before, after) => Object.entries(after).reduce((sum, [kind, n]) => sum + Math.max(0, n - (before[kind] ?? 0)), 0);

export default () => {
  const places = new Map(); // article → its place in these
  const weights = new Float64Array(ENTRIES_MOST); // apart, as the least is looked for often
  const entries = []; // {article, error, counts}

  const least = () => {
    let at = 0;
    for (let i = 1; i < entries.length; i++) {
      if (weights[i] < weights[at]) {
        at = i;
      }
    }
    return at;
  };

  return {
    /** A published total. The first of an article counts as one reaction. */
    take(article, counts) {
      const known = places.get(article);
      if (known !== undefined) {
        weights[known] += grown(entries[known].counts, counts);
        entries[known].counts = counts;
        return;
      }
      const full = entries.length === ENTRIES_MOST;
      const place = full ? least() : entries.length;
      const error = full ? weights[place] : 0;
      if (full) {
        places.delete(entries[place].article);
      }
      places.set(article, place);
      entries[place] = { article, error, counts };
      weights[place] = error + 1;
    },

    /** Time passes. */
    pass(seconds) {
      const factor = 2 ** (-seconds / HALF_LIFE_S);
      entries.forEach((entry, i) => {
        weights[i] *= factor;
        entry.error *= factor;
      });
    },

    /** The hottest, hottest first: [{article, perS, total}]. A steady rate r keeps the weight at r × half-life / ln 2. */
    top(n) {
      return entries
        .map(({ article, error, counts }, i) => ({ article, perS: ((weights[i] - error) * Math.LN2) / HALF_LIFE_S, counts }))
        .filter(({ perS }) => perS >= LEAST_SHOWN)
        .sort((a, b) => b.perS - a.perS)
        .slice(0, n)
        .map(({ article, perS, counts }) => ({ article, perS, total: sumOf(counts) }));
    },

    clear() {
      places.clear();
      entries.length = 0;
    },
  };
};
