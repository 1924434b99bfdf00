import { env } from "cloudflare:workers";
import { test } from "vitest";
import * as z from "zod";
import { assertionRules } from "#identity/assertion";
import { readJwsHeader } from "#identity/jose/compact-jws";
import { publicJwk, publicJwks, type PublicJwk } from "#identity/jose/jwk";
import { fitting } from "#kernel/value-shape";
import { proveSignature } from "#platform/keys/verify-signature";

const { algorithms } = assertionRules.smart; // the widest list that any signature here must fit

const group = z.object({
  comment: z.string(),
  private: z.unknown().optional(),
  public: z.unknown().optional(),
  tests: z.array(
    z.object({
      tcId: z.number(),
      comment: z.string(),
      jws: z.unknown().optional(),
      jwe: z.unknown().optional(),
      result: z.enum(["valid", "invalid"]),
    }),
  ),
});
const vectors = z.object({ numberOfTests: z.number(), testGroups: z.array(group) });

interface Suite {
  readonly file: string;
  readonly text: string;
  /**
   * Ids of vectors that the suite calls valid and this code refuses, by reason. Every remaining id gets its
   * verdict.
   */
  readonly excluded: Readonly<Record<string, readonly number[]>>;
  readonly taken: number;
  readonly refused: number;
}

const suites: readonly Suite[] = [
  {
    file: "json_web_signature_test",
    text: env.WYCHEPROOF_JWS,
    excluded: {
      "an algorithm that no caller of this gateway may use (FAPI 2.0 §5.4.1)": [
        260, 262, 268, 270, 320, 322, 326, 328,
      ],
      "a symmetric key: the registry holds none": [348, 352, 358, 372, 376],
      "an empty payload holds no claims": [264, 272],
      "the header says PS384 over a key that says PS256: RFC 7520 figure 20 as the vectors carry it": [
        346, 350,
      ],
    },
    taken: 5,
    refused: 195,
  },
  {
    file: "json_web_key_test",
    text: env.WYCHEPROOF_JWK,
    excluded: { "a symmetric key: the registry holds none": [2, 14] },
    taken: 0,
    refused: 14,
  },
  {
    file: "json_web_crypto_test",
    text: env.WYCHEPROOF_CRYPTO,
    excluded: {
      "a symmetric key: the registry holds none": [48],
      "encrypted: no JWE is taken from any caller": [50],
    },
    taken: 1,
    refused: 40,
  },
];

/** Key sets as the registry reads them: a set with a refused key is invalid. */
function registered(material: unknown): readonly PublicJwk[] {
  const set = fitting(publicJwks(material));
  if (set !== undefined) return set.keys;
  const one = fitting(publicJwk(material));
  return one === undefined ? [] : [one];
}

test.for(suites)(
  "$file of Wycheproof: every id gets its verdict or is excluded for a reason",
  async (suite, { expect, skip }) => {
    skip(suite.text === "", "the vectors are not at hand beside the project");
    const { numberOfTests, testGroups } = vectors.parse(JSON.parse(suite.text));
    const excluded = new Set(Object.values(suite.excluded).flat());
    const seen = { taken: 0, refused: 0 };
    for (const { comment, tests, ...keys } of testGroups) {
      const candidates = registered(keys.public ?? keys.private);
      for (const { tcId, comment: what, jws, jwe, result } of tests) {
        const text = String(jws ?? jwe);
        const header = readJwsHeader(text);
        const proven = header.ok && (await proveSignature(text, header.value, candidates, algorithms)).ok;
        expect(proven, `${comment} ${tcId} ${what}`).toBe(result === "valid" && !excluded.has(tcId));
        expect(excluded.has(tcId) && result === "invalid", `${tcId} is excluded for nothing`).toBe(false);
        seen[proven ? "taken" : "refused"] += 1;
      }
    }
    expect(seen).toEqual({ taken: suite.taken, refused: suite.refused });
    expect(seen.taken + seen.refused).toBe(numberOfTests);
  },
);
