/** A member of a resource that a decision reads, or a member of its `meta`. */
export type FactPath = readonly [member: string] | readonly ["meta", member: string];

/** A decision that reads more is left to the plain engine. */
export const factsMax = 64;
