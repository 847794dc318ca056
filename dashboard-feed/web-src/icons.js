/* The kinds that are known by name, in their usual order. */
export default { __proto__: null, like: '👍', dislike: '👎', love: '❤️', funny: '😂', angry: '😡', sad: '😢', wow: '😮' };
