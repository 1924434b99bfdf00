import { createHash, randomBytes } from "node:crypto";
import { calculateThumbprint, generateKeyPair, type KeyPair } from "dpop";
import * as fc from "fast-check";
import { exportJWK, SignJWT, type JWK } from "jose";
import * as oauth from "oauth4webapi";
import { test } from "vitest";
import { epochSeconds, instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { proofVerifier } from "#platform/keys/proof-verifier";

const verifier = proofVerifier([new Secret(new Uint8Array(randomBytes(32)))]);
const at = instant(Date.now());
const now = epochSeconds(at);
const issuer = "https://gateway.example.org";
const audience = `${issuer}/v1/fhir/main`;
const url = `${audience}/Patient/p1`;

interface Sender {
  readonly alg: string;
  readonly pair: KeyPair;
  readonly jwk: JWK;
  readonly jkt: string;
  readonly token: string;
}

const issuerKeys = await generateKeyPair("ES256", { extractable: true });
const issuerJwk: JWK = { ...(await exportJWK(issuerKeys.publicKey)), kid: "token-1", alg: "ES256" };

async function newSender(alg: "ES256" | "Ed25519" | "PS256"): Promise<Sender> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const { kty, crv, x, y, n, e } = await exportJWK(pair.publicKey);
  const jwk: JWK = JSON.parse(JSON.stringify({ kty, crv, x, y, n, e }));
  const jkt = await calculateThumbprint(pair.publicKey);
  const token = await new SignJWT({ client_id: "telehealth", cnf: { jkt } })
    .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: "token-1" })
    .setIssuer(issuer)
    .setSubject("telehealth")
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + 300)
    .setJti("token")
    .sign(issuerKeys.privateKey);
  return { alg, pair, jwk, jkt, token };
}
const senders = [await newSender("ES256"), await newSender("Ed25519"), await newSender("PS256")];
const stranger = await newSender("ES256");

interface Draft {
  claims: Record<string, unknown>;
  header: Record<string, unknown>;
  signer: KeyPair;
  /** Text of the proof after signing. */
  finish: (text: string) => string;
}

/** A way to make a proof, and each library's verdict when it is the only way. */
interface Way {
  readonly name: string;
  readonly ours: boolean;
  readonly theirs: boolean;
  readonly apply: (draft: Draft, sender: Sender) => void;
}
const way = (name: string, ours: boolean, theirs: boolean, apply: Way["apply"]): Way => ({
  name,
  ours,
  theirs,
  apply,
});
const good = (name: string, apply: Way["apply"]) => way(name, true, true, apply);
const bad = (name: string, apply: Way["apply"]) => way(name, false, false, apply);
// Cases where the two differ on purpose, each with its reason.
const stricter = (name: string, apply: Way["apply"]) => way(name, false, true, apply);
const looser = (name: string, apply: Way["apply"]) => way(name, true, false, apply);

const hash = (text: string) => createHash("sha256").update(text).digest("base64url");

/** Each proof takes one entry of each list, so that every proof is a mixture. */
const lists: readonly (readonly Way[])[] = [
  [
    good("typ", () => undefined),
    good("typ as a media type", ({ header }) => (header["typ"] = "application/dpop+jwt")),
    bad("typ of a token", ({ header }) => (header["typ"] = "at+jwt")),
    bad("no typ", ({ header }) => delete header["typ"]),
  ],
  [
    good("alg", () => undefined),
    bad("crit", ({ header }) => Object.assign(header, { crit: ["b64"], b64: true })),
  ],
  [
    good("jwk", () => undefined),
    good(
      "jwk that says its use",
      ({ header }, { jwk }) => (header["jwk"] = { ...jwk, use: "sig", key_ops: ["verify"] }),
    ),
    bad("another's jwk", ({ header }) => (header["jwk"] = stranger.jwk)),
    bad("no jwk", ({ header }) => delete header["jwk"]),
    bad("symmetric jwk", ({ header }) => (header["jwk"] = { kty: "oct", k: "c2VjcmV0" })),
    stricter(
      "a jwk with members that no public key has",
      ({ header }, { jwk }) => (header["jwk"] = { ...jwk, x5u: "https://evil.example" }),
    ),
  ],
  [
    good("htm", () => undefined),
    bad("other htm", ({ claims }) => (claims["htm"] = "POST")),
    bad("lower-case htm", ({ claims }) => (claims["htm"] = "get")),
    bad("no htm", ({ claims }) => delete claims["htm"]),
  ],
  [
    good("htu", () => undefined),
    good("htu with a query", ({ claims }) => (claims["htu"] = `${url}?_count=1`)),
    good("htu with a fragment", ({ claims }) => (claims["htu"] = `${url}#part`)),
    good(
      "htu in upper case",
      ({ claims }) => (claims["htu"] = url.replace("https://gateway", "HTTPS://GATEWAY")),
    ),
    good("htu with the default port", ({ claims }) => (claims["htu"] = url.replace(".org", ".org:443"))),
    good("htu with dot segments", ({ claims }) => (claims["htu"] = url.replace("Patient", "x/../Patient"))),
    bad("other host", ({ claims }) => (claims["htu"] = url.replace(".org", ".net"))),
    bad("other path", ({ claims }) => (claims["htu"] = `${url}2`)),
    bad("other scheme", ({ claims }) => (claims["htu"] = url.replace("https", "http"))),
    bad("htu that is no URL", ({ claims }) => (claims["htu"] = "Patient/p1")),
    bad("no htu", ({ claims }) => delete claims["htu"]),
    looser(
      "htu with needless percent encoding (RFC 3986 §6.2.2.2)",
      ({ claims }) => (claims["htu"] = url.replace("Patient", "%50atient")),
    ),
    stricter(
      "htu with backslashes, which only URL parsers take",
      ({ claims }) => (claims["htu"] = url.replaceAll("/", "\\")),
    ),
    bad("htu with a user name", ({ claims }) => (claims["htu"] = url.replace("://", "://x@"))),
  ],
  [
    good("ath", () => undefined),
    bad("other ath", ({ claims }) => (claims["ath"] = hash("other"))),
    bad("no ath", ({ claims }) => delete claims["ath"]),
    bad("empty ath", ({ claims }) => (claims["ath"] = "")),
  ],
  [
    good("iat", () => undefined),
    good("iat a minute ago", ({ claims }) => (claims["iat"] = now - 55)),
    good("iat ahead", ({ claims }) => (claims["iat"] = now + 5)),
    bad("iat ten minutes ago", ({ claims }) => (claims["iat"] = now - 600)),
    bad("iat in ten minutes", ({ claims }) => (claims["iat"] = now + 600)),
    bad("iat as text", ({ claims }) => (claims["iat"] = String(now))),
    bad("no iat", ({ claims }) => delete claims["iat"]),
    stricter("iat two minutes ago: 60 s here, 300 s there", ({ claims }) => (claims["iat"] = now - 120)),
    stricter("iat in two minutes: 10 s here, 300 s there", ({ claims }) => (claims["iat"] = now + 120)),
  ],
  [
    good("no exp", () => undefined),
    good("exp", ({ claims }) => (claims["exp"] = now + 60)),
    bad("exp long past", ({ claims }) => (claims["exp"] = now - 90)),
    bad("nbf far ahead", ({ claims }) => (claims["nbf"] = now + 90)),
    bad("exp as text", ({ claims }) => (claims["exp"] = "later")),
  ],
  [
    good("jti", () => undefined),
    bad("no jti", ({ claims }) => delete claims["jti"]),
    bad("jti as a number", ({ claims }) => (claims["jti"] = 7)),
    stricter("a jti of 300 characters", ({ claims }) => (claims["jti"] = "x".repeat(300))),
  ],
  [
    good("nonce", () => undefined),
    stricter("no nonce: the library leaves it to the server", ({ claims }) => delete claims["nonce"]),
    stricter("another's nonce", ({ claims }) => (claims["nonce"] = verifier.nonce(stranger.jkt, at))),
  ],
  [
    good("signature", () => undefined),
    bad("cut signature", (draft) => (draft.finish = (text) => text.slice(0, -4))),
    bad("two proofs", (draft) => (draft.finish = (text) => `${text}, ${text}`)),
    bad("empty", (draft) => (draft.finish = () => "")),
    stricter(
      "padding of the signature, which decoders drop",
      (draft) => (draft.finish = (text) => `${text}==`),
    ),
  ],
];

async function made(ways: readonly Way[], sender: Sender): Promise<string> {
  const draft: Draft = {
    claims: {
      jti: crypto.randomUUID(),
      htm: "GET",
      htu: url,
      iat: now,
      ath: hash(sender.token),
      nonce: verifier.nonce(sender.jkt, at),
    },
    header: { alg: sender.alg, typ: "dpop+jwt", jwk: sender.jwk },
    signer: sender.pair,
    finish: (text) => text,
  };
  for (const { apply } of ways) apply(draft, sender);
  const { alg = "", ...header } = draft.header;
  const signed = await new SignJWT(draft.claims)
    .setProtectedHeader({ alg: String(alg), ...header })
    .sign(draft.signer.privateKey, { crit: { b64: true } });
  return draft.finish(signed);
}

const server: oauth.AuthorizationServer = { issuer, jwks_uri: `${issuer}/oauth/jwks` };

async function theirVerdict(proof: string, { token }: Sender): Promise<boolean> {
  const request = new Request(url, { headers: { authorization: `DPoP ${token}`, dpop: proof } });
  try {
    await oauth.validateJwtAccessToken(server, request, audience, {
      requireDPoP: true,
      signingAlgorithms: ["ES256", "Ed25519", "PS256"],
      [oauth.customFetch]: () => Promise.resolve(Response.json({ keys: [issuerJwk] })),
    });
    return true;
  } catch {
    return false; // that library's way to refuse
  }
}

async function ourVerdict(proof: string, { token, jkt }: Sender): Promise<boolean> {
  return (
    await verifier.verify(new Secret(proof), {
      method: "GET",
      url,
      at,
      token: { text: new Secret(token), jkt },
    })
  ).ok;
}

const seen = { both: 0, ours: 0, theirs: 0, neither: 0 };
async function compare(ways: readonly Way[], sender: Sender): Promise<boolean> {
  const proof = await made(ways, sender);
  const [ours, theirs] = [await ourVerdict(proof, sender), await theirVerdict(proof, sender)];
  seen[ours ? (theirs ? "both" : "ours") : theirs ? "theirs" : "neither"] += 1;
  return ours === ways.every((each) => each.ours) && theirs === ways.every((each) => each.theirs);
}

test("T50: each way to make a proof, alone, gets the verdict of oauth4webapi, or differs from it for its reason", async ({
  expect,
}) => {
  for (const sender of senders) {
    for (const list of lists) {
      for (const each of list)
        expect(await compare([each], sender), `${sender.alg}: ${each.name}`).toBe(true);
    }
  }
});

test(
  "T50: on 2,000 mixtures of good and bad parts the two agree, except for those reasons",
  { timeout: 60_000 },
  async ({ expect }) => {
    // Most parts of most mixtures are good, so that acceptance is tested as often as refusal.
    const mostlyFirst = (list: readonly Way[]) =>
      // no list is empty
      fc.oneof({ weight: 9, arbitrary: fc.constant(list[0] as Way) }, fc.constantFrom(...list));
    await fc.assert(
      fc.asyncProperty(fc.tuple(...lists.map(mostlyFirst)), fc.constantFrom(...senders), compare),
      { numRuns: 2_000 },
    );
    for (const [verdict, times] of Object.entries(seen))
      expect(times, verdict).toBeGreaterThanOrEqual(verdict === "ours" ? 3 : 100);
  },
);
