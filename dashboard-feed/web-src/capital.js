export const capital = (name) => ('' + name).replace(/./, (first) => first.toUpperCase());
