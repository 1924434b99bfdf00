import { epochSeconds, type Instant } from "#kernel/clock";
import { publicJwk, type Algorithm, type PublicJwk } from "#identity/jose/jwk";
import type { Secret } from "#kernel/secret";
import {
  arrayOf,
  eitherOf,
  literalOf,
  mapped,
  mustFit,
  objectOf,
  optional,
  textOf,
  variantOf,
  withDefault,
  type ShapedValue,
} from "#kernel/value-shape";
import { importKey } from "./import-key.ts";
import { signJws } from "./sign-jws.ts";

// FAPI 2.0 §5.3.3.1: the shortest life that clocks and networks allow.
const lifetimeSeconds = 60;

const text = textOf(1);
const common = { kid: optional(textOf(1, 256)), d: text };
const privateJwk = variantOf("kty", {
  EC: objectOf({ ...common, kty: literalOf(["EC"]), crv: literalOf(["P-256", "P-384"]), x: text, y: text }),
  OKP: objectOf({ ...common, kty: literalOf(["OKP"]), crv: literalOf(["Ed25519"]), x: text }),
  RSA: objectOf({
    ...common,
    kty: literalOf(["RSA"]),
    alg: withDefault(literalOf(["PS256", "RS384"]), "PS256"),
    n: text,
    e: text,
    p: text,
    q: text,
    dp: text,
    dq: text,
    qi: text,
  }),
});

export interface AssertionContent {
  readonly clientId: string;
  /**
   * One string, the issuer or the token endpoint, as the server requires: an assertion with several
   * audiences could be used at each of them (FAPI 2.0 §5.3.3.1).
   */
  readonly audience: string;
  /** A private JWK, or a JWK Set of which the first key signs, in JSON. */
  readonly key: Secret;
  readonly at: Instant;
}

/**
 * Signs the assertion that authenticates the gateway as a client of an external server (RFC 7523 §2.2, SMART
 * Backend Services). It is good for a minute, once. The curve of the key gives ES256, ES384 or EdDSA; an RSA
 * key's `alg` is PS256 or RS384. Throws for an invalid key without showing any of it.
 * @returns the request parameters that contain the assertion.
 */
export async function signAssertion({
  clientId,
  audience,
  key,
  at,
}: AssertionContent): Promise<Readonly<Record<string, string>>> {
  const [{ jwk, kid, algorithm }] = parse(key);
  const now = epochSeconds(at);
  const claims = {
    iss: clientId,
    sub: clientId,
    aud: audience,
    jti: Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64url"),
    iat: now,
    exp: now + lifetimeSeconds,
  };
  const signingKey = await importKey(jwk, algorithm, "sign");
  const assertion = await signJws({ alg: algorithm, typ: "JWT", kid }, claims, signingKey);
  return {
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: assertion,
  };
}

/**
 * The public halves of the keys: the signing key first, then those of a change of keys, which are published before and
 * after they sign. Throws for an invalid key without showing any of it.
 */
export const publicKeysOf = (key: Secret): readonly PublicJwk[] =>
  parse(key).map(({ jwk, kid, algorithm }) => {
    const { d: _private, ...shown } = jwk;
    const members = Object.entries(shown).filter(([name]) => publicMembers.has(name));
    return mustFit(
      publicJwk({
        ...Object.fromEntries(members),
        ...(kid !== undefined && { kid }),
        alg: algorithm,
        use: "sig",
      }),
    );
  });

const publicMembers: ReadonlySet<string> = new Set(["kty", "crv", "x", "y", "n", "e"]);

const privateKeys = eitherOf(
  mapped(privateJwk, (one): [PrivateJwk, ...PrivateJwk[]] => [one]),
  // the shape demands the first
  mapped(objectOf({ keys: arrayOf(privateJwk, 1, 4) }), ({ keys }) => keys as [PrivateJwk, ...PrivateJwk[]]),
);

type PrivateJwk = ShapedValue<typeof privateJwk>;

function parse(key: Secret) {
  try {
    const [first, ...others] = mustFit(privateKeys(JSON.parse(key.reveal())));
    return [partsOf(first), ...others.map(partsOf)] as const;
  } catch {
    throw new Error(
      "a key for client assertions is not a private JWK of kty EC (P-256, P-384), OKP (Ed25519) or RSA, nor a set of such keys",
    ); // a cause would quote the key
  }
}

function partsOf(read: PrivateJwk) {
  const { kid, ...jwk } = read;
  return { jwk, kid, algorithm: algorithmOf(read) };
}

function algorithmOf(jwk: PrivateJwk): Algorithm {
  switch (jwk.kty) {
    case "EC":
      return jwk.crv === "P-256" ? "ES256" : "ES384";
    case "OKP":
      return "EdDSA";
    case "RSA":
      return jwk.alg;
  }
}
