/** The form of an origin's name, as the source of a pattern: the registry names it so, and URLs have it. */
export const originName = "[a-z][a-z0-9-]{0,31}";
