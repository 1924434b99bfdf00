import * as z from "zod/mini";
import { isBase64url } from "./base64url.ts";
import { privateMembers } from "./private-keys.ts";
import { isOfSmallOrder } from "./small-order.ts";

/** The signature algorithms of tokens and proofs: FAPI 2.0 §5.4.1. */
export const tokenAlgorithms = ["PS256", "ES256", "EdDSA", "Ed25519"] as const;

/** All signature algorithms that a caller may use: the profile of SMART's clients has two more. */
const algorithms = [...tokenAlgorithms, "RS384", "ES384"] as const;
export type Algorithm = (typeof algorithms)[number];

// A single spelling only: a thumbprint is over the text, so a second spelling of a key would be a second
// key.
const base64url = z.string().check(z.regex(/^[A-Za-z0-9_-]+$/u), z.refine(isBase64url));
const common = {
  kid: z.optional(z.string().check(z.minLength(1), z.maxLength(256))),
  use: z.optional(z.literal("sig")),
  alg: z.optional(z.enum(algorithms)),
  key_ops: z.optional(z.array(z.literal("verify"))),
  ext: z.optional(z.boolean()),
};

// RFC 7518 §6.3.1.1: no leading zero octets. 342 characters are 256 octets; their first bit makes them 2048
// bits.
const modulus = base64url.check(
  z.minLength(342),
  z.maxLength(1366),
  z.refine((n) => (n.length === 342 ? /^[g-z0-9_-]/u.test(n) : !/^A[A-P]/u.test(n))),
);

const exponent = base64url.check(
  z.maxLength(16),
  z.refine((e) => !/^A[A-P]/u.test(e)),
);

/**
 * A public key that may verify signatures (RFC 7517). Strict: a private member makes the key unreadable.
 * FAPI 2.0 §5.4.1: RSA of 2048 bits or more.
 */
export const publicJwk = z.discriminatedUnion("kty", [
  z.strictObject({ ...common, kty: z.literal("RSA"), n: modulus, e: exponent }),
  z
    .strictObject({
      ...common,
      kty: z.literal("EC"),
      crv: z.literal(["P-256", "P-384"]),
      x: base64url.check(z.maxLength(64)),
      y: base64url.check(z.maxLength(64)),
    })
    .check(z.refine(({ crv, x, y }) => [x, y].every(({ length }) => length === (crv === "P-256" ? 43 : 64)))),
  z.strictObject({
    ...common,
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    x: base64url.check(
      z.length(43),
      z.refine((x) => !isOfSmallOrder(x)),
    ),
  }),
]);

export type PublicJwk = z.infer<typeof publicJwk>;

// A private or a shared key in a public document is compromised: it must not pass for a key that only
// verifies.
const neverPublic = z.optional(z.never({ error: "is part of a private key, which has no place here" }));
const inTheWild = z.looseObject({
  kty: z.enum(["RSA", "EC", "OKP"]),
  ...Object.fromEntries(privateMembers.map((name) => [name, neverPublic])),
});

/**
 * A key set as issuers publish it. Unknown members (`x5c`, `x5t`) are ignored (RFC 7517 §4, §5), and so are
 * keys for a different use (encryption, an unknown curve or algorithm); a set without any usable key is
 * refused. Each remaining key must be complete.
 */
export const publicJwks = z.pipe(
  z.object({ keys: z.array(inTheWild).check(z.minLength(1), z.maxLength(32)) }),
  z.transform((set, { issues }) => {
    const problem = (message: string, path: PropertyKey[]) =>
      issues.push({ code: "custom", message, path, input: set });
    const keys: PublicJwk[] = [];
    for (const [index, key] of set.keys.entries()) {
      if (isForSomethingElse(key)) continue;
      const known = Object.fromEntries(Object.entries(key).filter(([name]) => members.has(name)));
      const read = publicJwk.safeParse(known);
      if (read.success) keys.push(read.data);
      else for (const { path, message } of read.error.issues) problem(message, ["keys", index, ...path]);
    }
    // Each key may be tried against a signature that names no key.
    if (keys.length > 16) problem("at most 16 keys that verify signatures", ["keys"]);
    if (keys.length === 0) problem("no key that verifies signatures here", ["keys"]);
    return { keys };
  }),
);

const members: ReadonlySet<string> = new Set([...Object.keys(common), "kty", "crv", "n", "e", "x", "y"]);

function isForSomethingElse({ use, alg, crv, kty }: z.infer<typeof inTheWild>): boolean {
  const otherCurve = kty !== "RSA" && typeof crv === "string" && !["P-256", "P-384", "Ed25519"].includes(crv);
  const otherAlgorithm = typeof alg === "string" && !common.alg.safeParse(alg).success;
  return use === "enc" || otherCurve || otherAlgorithm;
}

/**
 * True if a key may verify a signature by this algorithm: by its type and curve, then by the members that
 * the key states itself.
 */
export function fits(key: PublicJwk, algorithm: Algorithm): boolean {
  const isAllowed =
    key.alg === undefined || key.alg === algorithm || (eddsa.has(key.alg) && eddsa.has(algorithm));
  return isAllowed && kindOf(key) === kindFor[algorithm];
}

// RFC 9864: `Ed25519` is the fully specified name of `EdDSA` with that curve.
const eddsa: ReadonlySet<Algorithm> = new Set(["EdDSA", "Ed25519"]);

const kindFor = {
  PS256: "RSA",
  RS384: "RSA",
  ES256: "P-256",
  ES384: "P-384",
  EdDSA: "Ed25519",
  Ed25519: "Ed25519",
} as const satisfies Record<Algorithm, string>;

function kindOf(key: PublicJwk): (typeof kindFor)[Algorithm] {
  return key.kty === "RSA" ? "RSA" : key.crv;
}
