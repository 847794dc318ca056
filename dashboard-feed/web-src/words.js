/*
 * What the bar says, in English. Keys begin with a capital, which a kind's name, also allowed here, never does. The reasons for a refused
 * reaction are in reasons.js.
 */
export default {
  Title: 'What’s your reaction?',
  Sum: 'Reactions: ',
  Kept: 'Kept here, and sent once connected.',
  Away: 'Not connected: the numbers may be old',
  Hidden: 'Results come after closing',
  Closed: 'Closed',
};
