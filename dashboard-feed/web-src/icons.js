/* The kinds that are known by name, in their usual order. */
export default { like: '👍', dislike: '👎', love: '❤️', funny: '😂', angry: '😡', sad: '😢', wow: '😮' };
