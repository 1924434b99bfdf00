import { epochSeconds, instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { BreakGlassDemand } from "./break-glass-demand.ts";
import { neverAssumed, type Purpose } from "./purpose.ts";
import { aheadSecondsMax, type AccessToken } from "./token.ts";

/** A declared emergency (45 CFR 164.312(a)(2)(ii), 164.510(b)(3); 42 CFR 2.51). */
export interface DeclaredEmergency {
  /** The nature of the emergency, in the caller's words. */
  readonly justification: string;
  /** The name of the person who declared it, if the token states it. */
  readonly personName: string | undefined;
  readonly signedInAt: Instant;
  readonly until: Instant;
}

/** The first reason is about the client's grant, the last about its issuer; after the others the person states a reason or signs in anew. */
export type BreakGlassRefusal = {
  readonly reason:
    | "break_glass_not_granted"
    | "justification_missing"
    | "justification_malformed"
    | "step_up_missing"
    | "step_up_too_old"
    | "personnel_unnamed";
};

// RFC 9110 §5.5: visible characters and single spaces. Ten characters are "chest pain".
const justificationForm = /^[!-~]+(?: [!-~]+)*$/u;
const [justificationMin, justificationMax] = [10, 500];

/**
 * Judges whether a request may use a break-glass purpose now. Undefined: the purpose is none.
 * @param justification the header `Phylax-Justification`.
 */
export function declaredEmergency(
  purpose: Purpose,
  demand: BreakGlassDemand | undefined,
  { acr, authTime, user, personName }: Pick<AccessToken, "acr" | "authTime" | "user" | "personName">,
  justification: string | undefined,
  at: Instant,
): Result<DeclaredEmergency | undefined, BreakGlassRefusal> {
  if (!neverAssumed.has(purpose)) return ok(undefined);
  if (demand === undefined) return err({ reason: "break_glass_not_granted" });
  if (authTime === undefined || acr === undefined || !demand.acr.includes(acr))
    return err({ reason: "step_up_missing" });
  const now = epochSeconds(at);
  if (authTime > now + aheadSecondsMax) return err({ reason: "step_up_missing" });
  if (now - authTime >= demand.maxSeconds) return err({ reason: "step_up_too_old" });
  // 42 CFR 2.51(c)(1): the name of the medical personnel
  if (user === undefined && personName === undefined) return err({ reason: "personnel_unnamed" });
  if (justification === undefined) return err({ reason: "justification_missing" });
  const { length } = justification;
  if (length < justificationMin || length > justificationMax || !justificationForm.test(justification))
    return err({ reason: "justification_malformed" });
  return ok({
    justification,
    personName,
    signedInAt: instant(authTime * 1_000),
    until: instant((authTime + demand.maxSeconds) * 1_000),
  });
}
