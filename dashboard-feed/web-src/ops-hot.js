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
  const entries = new Map(); // article → {weight, error, counts}

  const least = () => {
    let found = null;
    for (const [article, { weight }] of entries) {
      if (!found || weight < found.weight) {
        found = { article, weight };
      }
    }
    return found;
  };

  return {
    /** A published total. The first of an article counts as one reaction. */
    take(article, counts) {
      const entry = entries.get(article);
      if (entry) {
        entry.weight += grown(entry.counts, counts);
        entry.counts = counts;
        return;
      }
      let error = 0;
      if (entries.size >= ENTRIES_MOST) {
        const place = least();
        error = place.weight;
        entries.delete(place.article);
      }
      entries.set(article, { weight: error + 1, error, counts });
    },

    /** Time passes. */
    pass(seconds) {
      const factor = 2 ** (-seconds / HALF_LIFE_S);
      for (const entry of entries.values()) {
        entry.weight *= factor;
        entry.error *= factor;
      }
    },

    /** The hottest, hottest first: [{article, perS, total}]. A steady rate r keeps the weight at r × half-life / ln 2. */
    top(n) {
      return [...entries]
        .map(([article, { weight, error, counts }]) => ({ article, perS: ((weight - error) * Math.LN2) / HALF_LIFE_S, counts }))
        .filter(({ perS }) => perS >= LEAST_SHOWN)
        .sort((a, b) => b.perS - a.perS)
        .slice(0, n)
        .map(({ article, perS, counts }) => ({ article, perS, total: sumOf(counts) }));
    },

    clear: () => entries.clear(),
  };
};
