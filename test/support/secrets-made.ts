/**
 * Keys that test support made for this file. Neither the stack's output nor an error answer may contain
 * them.
 */
const made = new Set<string>();

/** Remembers the private part of a key, as a JWK has it. */
export function rememberSecret(text: string | undefined): void {
  if (text !== undefined) made.add(text);
}

export const secretsMade: ReadonlySet<string> = made;
