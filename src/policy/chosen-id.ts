import type { CompiledPolicy } from "./compile.ts";
import type { Access } from "./row-access.ts";
import { actorMembers } from "./self-widening.ts";

/** The beginning of the ids that the gateway gives to creates under a key. */
export const createdIdPrefix = "w-";

/**
 * Answers whether a client may create a resource under an id of its choice: the id begins with the client's own prefix.
 * The answer to any other id would tell whether it is taken: a label may hide a row of every type, under every policy. A
 * Consent on file may name the id of an absent actor.
 */
export const mayChooseId = (policy: CompiledPolicy, access: Access, type: string, id: string): boolean =>
  access.idPrefix !== undefined &&
  id.startsWith(access.idPrefix) &&
  actorMembers(policy, access, type) === undefined;
