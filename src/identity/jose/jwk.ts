import {
  arrayOf,
  booleanValue,
  literalOf,
  mapped,
  Misfit,
  objectOf,
  optional,
  passing,
  strictObjectOf,
  textLike,
  textOf,
  variantOf,
  type ShapedValue,
  type ValueShape,
} from "#kernel/value-shape";
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
const base64url = passing(textLike(/^[A-Za-z0-9_-]+$/u), isBase64url);
const common = {
  kid: optional(textOf(1, 256)),
  use: optional(literalOf(["sig"])),
  alg: optional(literalOf(algorithms)),
  key_ops: optional(arrayOf(literalOf(["verify"]))),
  ext: optional(booleanValue),
};

// RFC 7518 §6.3.1.1: no leading zero octets. 342 characters are 256 octets; their first bit makes them 2048
// bits.
const modulus = passing(base64url, (n) =>
  n.length === 342 ? /^[g-z0-9_-]/u.test(n) : n.length > 342 && n.length <= 1366 && !/^A[A-P]/u.test(n),
);

const exponent = passing(base64url, (e) => e.length <= 16 && !/^A[A-P]/u.test(e));

/**
 * A public key that may verify signatures (RFC 7517). Strict: a private member makes the key unreadable.
 * FAPI 2.0 §5.4.1: RSA of 2048 bits or more.
 */
export const publicJwk = variantOf("kty", {
  RSA: strictObjectOf({ ...common, kty: literalOf(["RSA"]), n: modulus, e: exponent }),
  EC: passing(
    strictObjectOf({
      ...common,
      kty: literalOf(["EC"]),
      crv: literalOf(["P-256", "P-384"]),
      x: base64url,
      y: base64url,
    }),
    ({ crv, x, y }) => [x, y].every(({ length }) => length === (crv === "P-256" ? 43 : 64)),
  ),
  OKP: strictObjectOf({
    ...common,
    kty: literalOf(["OKP"]),
    crv: literalOf(["Ed25519"]),
    x: passing(base64url, (x) => x.length === 43 && !isOfSmallOrder(x)),
  }),
});

export type PublicJwk = ShapedValue<typeof publicJwk>;

// A private or a shared key in a public document is compromised: it must not pass for a key that only
// verifies.
const neverPublic: ValueShape<undefined> = (value) =>
  value === undefined ? value : new Misfit("is part of a private key, which has no place here");
export const keyTypes = ["RSA", "EC", "OKP"] as const;
/** The most keys of a key set, those for other uses included. */
export const keysMax = 32;
const ofKnownType = objectOf({
  kty: literalOf(keyTypes),
  ...Object.fromEntries(privateMembers.map((name) => [name, neverPublic])),
});
type KeyInTheWild = Readonly<Record<string, unknown>> & Pick<PublicJwk, "kty">;
const inTheWild: ValueShape<KeyInTheWild> = (value) =>
  mapped(ofKnownType, () => value as KeyInTheWild)(value); // with its further members

/**
 * A key set as issuers publish it. Unknown members (`x5c`, `x5t`) are ignored (RFC 7517 §4, §5), and so are
 * keys for a different use (encryption, an unknown curve or algorithm); a set without any usable key is
 * refused. Each remaining key must be complete.
 */
export const publicJwks = mapped(
  objectOf({ keys: arrayOf(inTheWild, 1, keysMax) }),
  (set): { keys: PublicJwk[] } | Misfit => {
    const keys: PublicJwk[] = [];
    for (const [index, key] of set.keys.entries()) {
      if (isForSomethingElse(key)) continue;
      const known = Object.fromEntries(Object.entries(key).filter(([name]) => members.has(name)));
      const read = publicJwk(known);
      if (read instanceof Misfit) return read.below(index).below("keys");
      keys.push(read);
    }
    // Each key may be tried against a signature that names no key.
    if (keys.length > 16) return new Misfit("at most 16 keys that verify signatures", ["keys"]);
    if (keys.length === 0) return new Misfit("no key that verifies signatures here", ["keys"]);
    return { keys };
  },
);

const members: ReadonlySet<string> = new Set([...Object.keys(common), "kty", "crv", "n", "e", "x", "y"]);

function isForSomethingElse({ use, alg, crv, kty }: KeyInTheWild): boolean {
  const otherCurve = kty !== "RSA" && typeof crv === "string" && !["P-256", "P-384", "Ed25519"].includes(crv);
  const otherAlgorithm = typeof alg === "string" && common.alg(alg) instanceof Misfit;
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
