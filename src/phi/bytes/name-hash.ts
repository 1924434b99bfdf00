import { utf8 } from "#kernel/encoded";

/** The hash of a member's name. `scanner.ts` computes it byte by byte. */
export function hashOf(name: string): number {
  let hash = 0;
  for (const byte of utf8(name)) hash = (Math.imul(hash, 31) + byte) | 0;
  return hash;
}
