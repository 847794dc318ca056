/*
 * What the bar says, in English. Keys begin with a capital, as a kind's name, which may stand here too, never does. A reason for a refusal
 * has the key of its first word: `rate_reader` is `Rate`.
 */
export default {
  Title: 'What’s your reaction?',
  Sum: 'Reactions: ',
  Counted: 'Counted: ',
  Later: 'Your later reaction counts: ',
  Kept: 'Kept here, and sent once connected.',
  Received: 'Received, soon to be counted.',
  Away: 'Not connected: the numbers may be old',
  Hidden: 'Results come after closing',
  Refused: 'Not counted. ',
  Busy: 'Busy: try again later.',
  Rate: 'Too many reactions: try again later.',
  Closed: 'Closed',
  Unknown: 'Not offered here.',
  Forbidden: 'Not allowed here.',
  Too: 'Over a week old.',
  Bad: 'The service did not take it.',
  none: 'no reaction',
};
