/*
 * What the bar says, in English. Keys begin with a capital, as a kind's name, which may stand here too, never does. Why a reaction was
 * refused stands in reasons.js.
 */
export default {
  Title: 'What’s your reaction?',
  Sum: 'Reactions: ',
  Counted: 'Counted: ',
  Kept: 'Kept here, and sent once connected.',
  Away: 'Not connected: the numbers may be old',
  Hidden: 'Results come after closing',
  Closed: 'Closed',
  none: 'no reaction',
};
