import type { Access } from "./row-access.ts";

/** The beginning of the ids that the gateway gives to creates under a key. */
export const createdIdPrefix = "w-";

/**
 * Answers whether a client may create a resource under an id of its choice: the id begins with the client's own prefix.
 * The answer to any other id would tell whether it is taken: a label may hide a row of every type, under every policy.
 */
export const mayChooseId = ({ idPrefix }: Access, id: string): boolean =>
  idPrefix !== undefined && id.startsWith(idPrefix);
