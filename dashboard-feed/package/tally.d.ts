/** What Tally's elements are to TypeScript: import 'tally-reactions' and, for counts alone, 'tally-reactions/tally-count.js'. */

/** A kind's name, such as `like`, or `none` for no reaction. */
export type Reaction = string;

export interface Total {
  article: string;
  total: number;
  counts: Record<string, number>;
  /** Only rises. 0 while nobody has reacted. */
  version: number;
  updated_at?: string;
}

export interface ArticleState {
  article: string;
  /** Whether reactions are taken now. */
  open: boolean;
  state: 'open' | 'closed';
  kinds?: Reaction[];
  opens_at?: string;
  closes_at?: string;
  results: 'always' | 'after_close';
  version: number;
}

export type RefusalReason =
  | 'bad_topic' | 'bad_article' | 'unknown_article' | 'bad_payload' | 'unknown_kind' | 'closed' | 'rate_reader' | 'rate_address' | 'busy'
  | 'clock' | 'forbidden' | 'too_old';

/** What an event's `detail` is. */
export interface TallyDetail<Value> {
  article: string;
  value: Value;
}

/** Attributes: article, broker, token, kinds, labels, lang, compact. */
export interface TallyReactions extends HTMLElement {
  /** Makes this the reader's reaction, as a click does; `none` takes it back. The element is in a page, and has an article. */
  react(reaction: Reaction): void;
}

/** Attribute: article. */
export interface TallyCount extends HTMLElement {}

declare global {
  interface HTMLElementTagNameMap {
    'tally-reactions': TallyReactions;
    'tally-count': TallyCount;
  }
  interface HTMLElementEventMap {
    /** The reader's reaction counts: the one in `value`, which differs from the requested one if a later one counts. */
    'tally:reacted': CustomEvent<TallyDetail<Reaction>>;
    /** It does not count, or not yet: after `unknown_article`, `rate_reader`, `rate_address`, `busy` and `clock` it is sent again. */
    'tally:refused': CustomEvent<TallyDetail<RefusalReason>>;
    'tally:totals': CustomEvent<TallyDetail<Total>>;
    'tally:articles': CustomEvent<TallyDetail<ArticleState>>;
  }
}
