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

/**
 * Codes that stand below treatment, payment or operations in v3-ActReason and are none of these three by 45 CFR
 * 164.501. Most have a permission of their own.
 */
export const purposesOutsideCare = [
  "DONAT", // 164.512(h)
  "GOV", // 164.512(k)
  "HDECD", // 164.512(g)
  "HDIRECT", // 164.510(a)
  "HLEGAL", // 164.512(e), unless the legal services are the entity's own: the code cannot say so
  "MILCDM", // 164.512(k)(1)
  "MILDCRG", // 164.512(k)(1)
  "MLTRAINING", // no permission names it
] as const;

/** Answers whether a purpose is the requested purpose or above it. A narrower purpose never covers a wider. */
export function coversPurpose(purpose: string, requested: string): boolean {
  let code: string | undefined = requested;
  while (code && code !== purpose) code = isPurposeOfUse(code) ? purposeOfUse[code] : undefined; // as purposesAbove
  return code === purpose;
}
