import { env } from "cloudflare:workers";
import { test } from "vitest";
import * as z from "zod";
import { assertionRules } from "#identity/assertion";
import { readJwsHeader } from "#identity/compact-jws";
import { publicJwk } from "#identity/jwk";
import { proveSignature } from "#platform/jose/verify-signature";

const absent = env.WYCHEPROOF_JWS === "";
const vectors = z.object({
  testGroups: z.array(
    z.object({
      comment: z.string(),
      public: z.record(z.string(), z.unknown()).optional(),
      tests: z.array(z.object({ tcId: z.number(), comment: z.string(), jws: z.unknown(), result: z.enum(["valid", "invalid"]) })),
    }),
  ),
});
const { algorithms } = assertionRules.smart; // the widest list that any signature here is held to

// A header that says PS384 over a key that says PS256: RFC 7520 figure 20 as the vectors carry it. Refusing it is right.
const excluded: ReadonlySet<number> = new Set([346, 350]);

test.skipIf(absent)("the JWS vectors of Wycheproof get their verdict (skipped where ../shared/data is not at hand)", async ({ expect }) => {
  const { testGroups } = vectors.parse(JSON.parse(env.WYCHEPROOF_JWS));
  let [taken, refused] = [0, 0];
  for (const group of testGroups) {
    // A key that the registry would not take (symmetric, for encryption, an algorithm that is not allowed) verifies nothing here.
    const key = publicJwk.safeParse(group.public);
    for (const { tcId, comment, jws, result } of group.tests) {
      const header = readJwsHeader(String(jws));
      const proven = header.ok && key.success && (await proveSignature(String(jws), header.value, [key.data], algorithms)).ok;
      const empty = String(jws).split(".")[1] === ""; // may be signed, but holds no claims: refused before its signature
      expect(proven, `${group.comment} ${tcId} ${comment}`).toBe(result === "valid" && key.success && !empty && !excluded.has(tcId));
      if (proven) taken += 1;
      else refused += 1;
    }
  }
  expect(taken, "vectors that are taken: without any, the refusals would say nothing").toBeGreaterThanOrEqual(5);
  expect(refused).toBeGreaterThan(150);
});
