import * as z from "zod";
import { isBase64url } from "./base64url.ts";
import { isOfSmallOrder } from "./small-order.ts";

// One spelling only: a thumbprint is over the text, so another spelling of a key would be another key.
const base64url = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/u)
  .refine(isBase64url);
const common = {
  kid: z.string().min(1).max(256).optional(),
  use: z.literal("sig").optional(),
  alg: z.enum(["PS256", "ES256", "EdDSA", "Ed25519", "RS384", "ES384"]).optional(),
  key_ops: z.array(z.literal("verify")).optional(),
  ext: z.boolean().optional(),
};

// RFC 7518 §6.3.1.1: no leading zero octets. 342 characters are 256 octets, whose first bit makes them 2048 bits.
const modulus = base64url
  .min(342)
  .max(1366)
  .refine((n) => (n.length === 342 ? /^[g-z0-9_-]/u.test(n) : !/^A[A-P]/u.test(n)));

const exponent = base64url.max(16).refine((e) => !/^A[A-P]/u.test(e));

/** A public key that may verify signatures (RFC 7517). Strict: a private member makes it unreadable. FAPI 2.0 §5.4.1: RSA of 2048 bits or more. */
export const publicJwk = z.discriminatedUnion("kty", [
  z.strictObject({ ...common, kty: z.literal("RSA"), n: modulus, e: exponent }),
  z
    .strictObject({
      ...common,
      kty: z.literal("EC"),
      crv: z.literal(["P-256", "P-384"]),
      x: base64url.max(64),
      y: base64url.max(64),
    })
    .refine(({ crv, x, y }) => [x, y].every(({ length }) => length === (crv === "P-256" ? 43 : 64))), // RFC 7518 §6.2.1.2: the full size
  z.strictObject({
    ...common,
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    x: base64url.length(43).refine((x) => !isOfSmallOrder(x)),
  }),
]);

export type PublicJwk = z.infer<typeof publicJwk>;

// A private or a shared key in a public document has been given away: it must not be taken for a key that only verifies.
const nobodys = z.never({ error: "is part of a private key, which has no place here" }).optional();
const inTheWild = z.looseObject({
  kty: z.enum(["RSA", "EC", "OKP"]),
  ...Object.fromEntries(["d", "p", "q", "dp", "dq", "qi", "oth", "k"].map((name) => [name, nobodys])),
});

/**
 * A key set as issuers publish it. RFC 7517 §4, §5: members that are not understood (`x5c`, `x5t`) are passed over, and keys that are for
 * something else (encryption, another curve or algorithm) are left out; one at least must be of use. A key that is of use must be whole.
 */
export const publicJwks = z.object({ keys: z.array(inTheWild).min(1).max(32) }).transform((set, context) => {
  const keys: PublicJwk[] = [];
  for (const [index, key] of set.keys.entries()) {
    if (isForSomethingElse(key)) continue;
    const known = Object.fromEntries(Object.entries(key).filter(([name]) => members.has(name)));
    const read = publicJwk.safeParse(known);
    if (read.success) keys.push(read.data);
    else
      for (const { path, message } of read.error.issues)
        context.addIssue({ code: "custom", message, path: ["keys", index, ...path] });
  }
  // Each may be tried against a signature that names none.
  if (keys.length > 16)
    context.addIssue({ code: "custom", message: "at most 16 keys that verify signatures", path: ["keys"] });
  if (keys.length === 0)
    context.addIssue({ code: "custom", message: "no key that verifies signatures here", path: ["keys"] });
  return { keys };
});

const members: ReadonlySet<string> = new Set([...Object.keys(common), "kty", "crv", "n", "e", "x", "y"]);

function isForSomethingElse({ use, alg, crv, kty }: z.infer<typeof inTheWild>): boolean {
  const otherCurve = kty !== "RSA" && typeof crv === "string" && !["P-256", "P-384", "Ed25519"].includes(crv);
  const otherAlgorithm = typeof alg === "string" && !common.alg.safeParse(alg).success;
  return use === "enc" || otherCurve || otherAlgorithm;
}

/** Signature algorithms that any caller may use; which of them is a matter of the token's kind and the client's profile. */
export type Algorithm = "PS256" | "ES256" | "EdDSA" | "Ed25519" | "RS384" | "ES384";

/** Whether a key may verify a signature by this algorithm: by type and curve first, then by what the key says about itself. */
export function fits(key: PublicJwk, algorithm: Algorithm): boolean {
  const said = key.alg === undefined || key.alg === algorithm || (eddsa.has(key.alg) && eddsa.has(algorithm));
  return said && kindOf(key) === kindFor[algorithm];
}

// RFC 9864: `Ed25519` is the fully specified name of what `EdDSA` with that curve is.
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
