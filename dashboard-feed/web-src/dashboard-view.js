/*
 * What somebody chose to see on the dashboard: the order, the hidden columns, the pins. The browser keeps it, if its storage works;
 * what that contains may be anything. Bounded.
 */
const PINS_KEY = 'tally.pins'; // ids
const VIEW_KEY = 'tally.view'; // {by, down, hidden}
const PINS_MOST = 50;
const ID_MOST = 200;
const HIDDEN_MOST = 20;
const COLUMN = /^(hot|article|total|gained|rate|spark|kind:[a-z][a-z0-9_-]{0,15})$/;

function stored(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function keep(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    /* kept until the page is closed */
  }
}

const list = (value, most, good) => new Set((Array.isArray(value) ? value : []).filter((one) => typeof one === 'string' && good(one)).slice(0, most));
const isColumn = (name) => COLUMN.test(name);

export const pins = list(stored(PINS_KEY), PINS_MOST, (id) => id.length <= ID_MOST);

const kept = stored(VIEW_KEY) ?? {};
export const hidden = list(kept.hidden, HIDDEN_MOST, isColumn);
export const order = isColumn(kept.by) && kept.by !== 'spark' ? { by: kept.by, down: kept.down !== false } : { by: 'hot', down: true };

const keepView = () => keep(VIEW_KEY, { ...order, hidden: [...hidden] });

/** Whether it is pinned now. */
export function togglePin(id) {
  const pinned = !pins.delete(id);
  if (pinned) {
    pins.add(id);
    if (pins.size > PINS_MOST) {
      pins.delete(pins.values().next().value);
    }
  }
  keep(PINS_KEY, [...pins]);
  return pinned;
}

export function showColumn(name, shown) {
  shown ? hidden.delete(name) : hidden.size < HIDDEN_MOST && hidden.add(name);
  keepView();
}

/** The same column once more turns the order round. Numbers begin with the largest, ids with the first. */
export function orderBy(by, down = by === order.by && by !== 'hot' ? !order.down : by !== 'article') {
  Object.assign(order, { by, down });
  keepView();
}

/** `model`: {id, total, opened, counts}; `heat`: now */
function valueOf(model, heat) {
  switch (order.by) {
    case 'article': return model.id;
    case 'total': return model.total;
    case 'gained': return model.total - model.opened;
    default: return order.by.startsWith('kind:') ? (model.counts[order.by.slice(5)] ?? 0) : heat;
  }
}

/** Sorted for display: pins first, then by the order; what is equal by heat, total and id. `heatOf`: of a model, now. */
export function sorted(models, heatOf) {
  const turn = order.down ? -1 : 1;
  return models
    .map((model) => {
      const heat = heatOf(model);
      return { model, heat, pinned: pins.has(model.id) ? 1 : 0, value: valueOf(model, heat) };
    })
    .sort(
      (a, b) =>
        b.pinned - a.pinned || (a.value < b.value ? -turn : a.value > b.value ? turn : 0) ||
        b.heat - a.heat || b.model.total - a.model.total || (a.model.id < b.model.id ? -1 : 1),
    )
    .map(({ model }) => model);
}
