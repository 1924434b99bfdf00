import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from "jose";
import { test } from "vitest";
import * as z from "zod";
import { publicJwk } from "#identity/jose/jwk";
import { mustFit } from "#kernel/value-shape";
import { thumbprint } from "#identity/jose/thumbprint";

const file = join(import.meta.dirname, "../../../../shared/data/security/rfc9421/vectors.json");
const vectors = z.array(z.object({ jwk: z.string(), thumbprint: z.string() }));

test.skipIf(!existsSync(file))(
  "the vectors of RFC 7638 §3.1 and RFC 8037 A.3 (needs ../shared/data)",
  async ({ expect }) => {
    for (const vector of vectors.parse(JSON.parse(readFileSync(file, "utf8")))) {
      const { kty, n, e, crv, x } = JSON.parse(vector.jwk);
      expect(await thumbprint(mustFit(publicJwk(kty === "RSA" ? { kty, n, e } : { kty, crv, x })))).toBe(
        vector.thumbprint,
      );
    }
  },
);

test.for(["ES256", "ES384", "Ed25519", "PS256"])(
  "a key for %s has the thumbprint that jose computes, whatever further members it has",
  async (alg, { expect }) => {
    const { publicKey } = await generateKeyPair(alg, { extractable: true });
    const jwk = await exportJWK(publicKey);
    expect(await thumbprint(mustFit(publicJwk({ ...jwk, kid: "name", use: "sig" })))).toBe(
      await calculateJwkThumbprint(jwk),
    );
  },
);
