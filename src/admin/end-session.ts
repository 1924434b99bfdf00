import * as z from "zod";
import type { SignIn } from "#identity/sign-in";
import { signInAgeSecondsMax } from "#identity/sign-in";
import { ok } from "#kernel/result";
import type { Verb } from "./administer.ts";
import { roles } from "./operator.ts";
import type { RegistryDesk } from "./ports.ts";
import { rejectedDenial } from "./revoke.ts";

/**
 * Denies the token of the operator's own sign-in, so that each copy of the session is refused everywhere. Every
 * role may do it: it narrows the operator's own access. The denial lasts for the greatest age that the registry
 * can permit of a sign-in.
 */
export const endSessionVerb = (
  registry: Pick<RegistryDesk, "revoke">,
  {
    issuer,
    tokenId,
    authTime = 0,
  }: Pick<SignIn, "issuer" | "tokenId"> & { readonly authTime?: number | undefined },
): Verb => ({
  interaction: "end-session",
  does: "Ends the operator's own session everywhere within ten seconds.",
  answer: z.object({ ended: z.literal(true) }),
  changes: "repeatably",
  path: "console/sign-out",
  method: "POST",
  roles,
  async act() {
    const until = (authTime + signInAgeSecondsMax) * 1000;
    const revoked = await registry.revoke({ kind: "token", issuer, id: tokenId, until });
    return revoked.ok ? ok({ answer: { ended: true } }) : rejectedDenial(revoked.error);
  },
});
