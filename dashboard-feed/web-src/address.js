/** The broker's address: as given, else what the server of this file put here. `:PORT…` is on the host that this file came from. */
export default (given) => (given || '@TALLY_BROKER@').replace(/^:/, import.meta.url.replace(/^http(s?:\/\/.*?)(:\d+)?\/.*/, 'ws$1:'));
