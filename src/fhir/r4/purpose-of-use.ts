import { purposeOfUse } from "./purpose-of-use.gen.ts";

export const isPurposeOfUse = (code: string): boolean => Object.hasOwn(purposeOfUse, code);

/** A purpose and the purposes above it, narrowest first (v3-ActReason: BTG, ETREAT, TREAT). */
export function* purposesAbove(purpose: string): Generator<string> {
  for (
    let code: string | undefined = purpose;
    code;
    code = isPurposeOfUse(code) ? purposeOfUse[code] : undefined
  )
    yield code;
}

/** Answers whether a purpose is the requested purpose or above it. A narrower purpose never covers a wider. */
export function coversPurpose(purpose: string, requested: string): boolean {
  for (const code of purposesAbove(requested)) if (code === purpose) return true;
  return false;
}
