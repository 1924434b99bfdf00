import type { OriginTraits } from "#fhir/ports";

/**
 * By the registered behaviour of an origin: whether it reads a row in the form in which it answered the write. Servers
 * that store members in an order of their own do not (PostgreSQL's JSONB). The first write of an isolate learns it, and
 * the first write after the entry was read anew: a renewed probe may be one of another server.
 */
const formsKept = new WeakMap<OriginTraits, boolean>();

/** Undefined: no write has shown it yet. */
export const keepsForm = (traits: OriginTraits | undefined): boolean | undefined =>
  traits && formsKept.get(traits);

/** A single row in another form decides: rows that are alike by chance come after it. */
export function learnForm(traits: OriginTraits | undefined, isKept: boolean): void {
  if (traits !== undefined) formsKept.set(traits, isKept && formsKept.get(traits) !== false);
}
