/*
 * What is said of requests once the sending code is there, in English; other languages have it among their words. A reason (INTERFACES.md 2.1,
 * and `too_old`) has the key of its name with a capital, and `Bad` is for any other.
 */
export default {
  __proto__: null,
  none: 'no reaction',
  Counted: 'Counted: ',
  Received: 'Received, soon to be counted.',
  Later: 'Your later reaction counts: ',
  Refused: 'Not counted. ',
  Again: 'Not counted yet, and sent again. ',
  Bad_topic: 'It names no article.',
  Bad_article: 'The article’s id is not valid.',
  Unknown_article: 'The article is not known here yet.',
  Bad_payload: 'The service could not read it.',
  Unknown_kind: 'Not offered here.',
  Rate_reader: 'Too many reactions of yours.',
  Rate_address: 'Too many reactions from your network.',
  Busy: 'Busy.',
  Clock: 'The service’s clock is wrong.',
  Forbidden: 'Not allowed here.',
  Too_old: 'Over a week old.',
  Bad: 'The service did not take it.',
};
