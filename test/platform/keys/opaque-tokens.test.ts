import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from "jose";
import { test } from "vitest";
import type { Certificate } from "#identity/certificate/certificate";
import type { Introspection, TrustedIssuer } from "#identity/issuer";
import type { TokenVerifier } from "#identity/ports";
import { instant } from "#kernel/clock";
import { err } from "#kernel/result";
import { Secret } from "#kernel/secret";
import type { ServerQuestion } from "#platform/ask-server";
import { withOpaqueTokens } from "#platform/keys/opaque-tokens";
import { at, fhirBase, now, presented } from "../../support/credentials.ts";

const { x5t } = presented("app");
const certificate: Certificate = { x5t, voucher: { kind: "itself", from: instant(0), to: instant(at + 1) } };
const basic: Introspection = {
  endpoint: "https://issuer.example.org/introspect",
  clientId: "phylax gateway",
  credentials: { kind: "client_secret_basic", secret: "ISSUER_SECRET" },
};
const trusted = (iss: string, introspection?: Introspection): TrustedIssuer => ({
  iss,
  keys: [],
  algorithms: [],
  audience: "phylax",
  purpose: { fixed: ["PATRQT"] },
  claims: {},
  introspection,
});
const active = {
  active: true,
  iss: "https://issuer.example.org",
  sub: "someone",
  client_id: "app",
  aud: "phylax",
  exp: now + 300,
  iat: now,
  scope: "patient/*.rs",
  patient: "amara",
  token_type: "Bearer",
  cnf: { "x5t#S256": x5t },
};

/** A gateway with a single issuer whose answers the test sets, behind a clock that the test moves. */
function gateway(
  issuers: readonly TrustedIssuer[] = [trusted("https://issuer.example.org", basic)],
  secrets: object = { ISSUER_SECRET: "s3cret:+" },
) {
  let time = at;
  let said: unknown = active;
  const questions: ServerQuestion[] = [];
  const jwtsSeen: string[] = [];
  const jwts: TokenVerifier = {
    verify(token) {
      jwtsSeen.push(token.reveal());
      return Promise.resolve(err({ reason: "signature_invalid" }));
    },
  };
  const verifier = withOpaqueTokens(jwts, {
    issuers: { find: (iss) => Promise.resolve(issuers.find((each) => each.iss === iss)) },
    holders: { issuersOf: (asked) => Promise.resolve(asked === x5t ? issuers.map(({ iss }) => iss) : []) },
    ask(question) {
      questions.push(question);
      return said === undefined ? Promise.reject(new Error("down")) : Promise.resolve(said);
    },
    secrets: {
      valueOf: (name) => Reflect.get(secrets, name),
      secretHosts: new Map(
        ["ISSUER_SECRET", "ISSUER_KEY"].map((name) => [name, new Set([new URL(basic.endpoint).host])]),
      ),
    },
    clock: () => time,
  });
  return {
    questions,
    jwtsSeen,
    say: (next: unknown) => (said = next),
    pass: (milliseconds: number) => (time = instant(time + milliseconds)),
    verify: (token = "opaque-token", by: Certificate | undefined = certificate) =>
      verifier.verify(new Secret(token), { audience: fhirBase("main"), at: time, certificate: by }),
    verdict: async (changes: object, token = "opaque-token") => {
      said = JSON.parse(JSON.stringify({ ...active, ...changes }));
      time = instant(time + 10_000); // past the remembered answer
      const read = await verifier.verify(new Secret(token), {
        audience: fhirBase("main"),
        at: time,
        certificate,
      });
      return read.ok ? "proven" : read.error.reason;
    },
  };
}

test("T40: an opaque token has exactly the content of its issuer's answer, and the question has the form that the issuer wants", async ({
  expect,
}) => {
  const { verify, questions, jwtsSeen } = gateway();
  const read = await verify();
  expect(read).toMatchObject({
    ok: true,
    value: {
      issuer: "https://issuer.example.org",
      client: "app",
      patient: "amara",
      purposes: ["PATRQT"],
      binding: { kind: "certificate", x5t },
    },
  });
  const [{ url, authorization, form }] = questions as [ServerQuestion];
  expect(url).toBe(basic.endpoint);
  expect(
    Buffer.from(authorization?.replace("Basic ", "") ?? "", "base64").toString(),
    "RFC 6749 §2.3.1",
  ).toBe("phylax+gateway:s3cret%3A%2B");
  expect(Object.fromEntries(form ?? [])).toEqual({ token: "opaque-token", token_type_hint: "access_token" });
  expect(jwtsSeen).toEqual([]);
});

test("T39, T40: or by an assertion of the gateway's own, for the issuer alone", async ({ expect }) => {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const key = JSON.stringify({ ...(await exportJWK(privateKey)), kid: "phylax-1" });
  const asked = { ...basic, credentials: { kind: "private_key_jwt", secret: "ISSUER_KEY" } } as const;
  const { verify, questions } = gateway([trusted("https://issuer.example.org", asked)], { ISSUER_KEY: key });
  await verify("one");
  await verify("two");
  const assertions = questions.map(({ form }) => form?.get("client_assertion") ?? "");
  expect(decodeProtectedHeader(assertions[0] ?? "")).toMatchObject({ alg: "ES256", kid: "phylax-1" });
  const [first, second] = assertions.map((each) => decodeJwt(each));
  expect(first).toMatchObject({
    iss: "phylax gateway",
    sub: "phylax gateway",
    aud: "https://issuer.example.org",
    exp: now + 60,
  });
  expect(first?.jti).not.toBe(second?.jti);
});

test("T40: active is true or the token is none", async ({ expect }) => {
  const { verdict } = gateway();
  expect(await verdict({})).toBe("proven");
  for (const not of ["true", 1, "1", null, undefined, false, [true], {}])
    expect(await verdict({ active: not }), JSON.stringify(not)).toBe("token_inactive");
});

test("T40: an opaque token must pass all checks for a JWT of the issuer", async ({ expect }) => {
  const { verdict } = gateway();
  const bad: readonly (readonly [string, object])[] = [
    ["token_unbound", { cnf: { "x5t#S256": "short" } }],
    ["binding_not_supported", { cnf: { "x5t#S256": x5t, jkt: x5t } }],
    ["issuer_unknown", { iss: "https://another.example.org" }],
    ["audience_mismatch", { aud: "another" }],
    ["claim_malformed", { aud: undefined }],
    ["token_expired", { exp: now - 1 }],
    ["claim_malformed", { exp: undefined }],
    ["claim_malformed", { iat: undefined }],
    ["token_lifetime_too_long", { exp: now + 3_700 }],
    ["claim_malformed", { sub: undefined }],
    ["claim_malformed", { client_id: undefined }],
    ["claim_malformed", { scope: undefined }],
    ["token_type_invalid", { token_type: "refresh_token" }],
  ];
  for (const [reason, changes] of bad) expect(await verdict(changes), JSON.stringify(changes)).toBe(reason);
  expect(
    await verdict({ iss: undefined, token_type: undefined }),
    "the issuer may leave its own name out",
  ).toBe("proven");
});

test("T30, T40: a token that its issuer calls DPoP and binds to no key is not taken for a bearer token", async ({
  expect,
}) => {
  const { verify, say } = gateway();
  const { cnf: _cnf, ...unbound } = active;
  for (const type of ["DPoP", "dpop"])
    for (const said of [
      { ...unbound, token_type: type },
      { ...active, token_type: type },
    ]) {
      say(said);
      expect(await verify(`of ${JSON.stringify(said)}`)).toEqual({
        ok: false,
        error: { reason: "token_type_invalid" },
      });
    }
  say({ ...unbound, token_type: "DPoP", cnf: { jkt: x5t } });
  expect(await verify("bound")).toMatchObject({ ok: true, value: { binding: { kind: "key" } } });
});

test("T40: an answer without cnf is a token that is bound to nothing, which only a dated exception lets pass", async ({
  expect,
}) => {
  const { verify, say } = gateway();
  const { cnf: _cnf, ...unbound } = active;
  say(unbound);
  expect(await verify()).toMatchObject({ ok: true, value: { binding: { kind: "none" } } });
});

test("T40, P7: a token is never its own name on record", async ({ expect }) => {
  const { verify, say, pass } = gateway();
  const nameOf = async (jti: unknown) => {
    say({ ...active, jti });
    pass(10_000);
    const read = await verify();
    return read.ok ? read.value.id : undefined;
  };
  const hash = await nameOf("opaque-token");
  expect(hash).toMatch(/^[A-Za-z0-9_-]{43}$/u);
  expect(await nameOf(undefined)).toBe(hash);
  expect(await nameOf("token-17")).toBe("token-17");
});

test("T40: an answer is believed for ten seconds, and never past the token's end", async ({ expect }) => {
  const { verify, say, pass, questions } = gateway();
  expect(await verify()).toMatchObject({ ok: true });
  say({ active: false });
  pass(9_999);
  expect(await verify()).toMatchObject({ ok: true });
  expect(questions).toHaveLength(1);
  pass(1);
  expect(await verify()).toMatchObject({ error: { reason: "token_inactive" } });
  say({ ...active, exp: now + 25 });
  pass(10_000);
  expect(await verify()).toMatchObject({ ok: true });
  pass(5_000);
  expect(await verify()).toMatchObject({ error: { reason: "token_expired" } });
  expect(questions, "its answer is used for the token's life").toHaveLength(4);
});

test("T40: an answer is believed no longer if the clock is set back: a revoked token is refused at once", async ({
  expect,
}) => {
  const { verify, say, pass } = gateway();
  say({ ...active, iat: now - 60 });
  pass(9_000);
  expect(await verify()).toMatchObject({ ok: true });
  say({ active: false });
  pass(-5_000);
  expect(await verify()).toMatchObject({ error: { reason: "token_inactive" } });
});

test("T40: a token is shown only to the issuer of its certificate's client", async ({ expect }) => {
  const one = trusted("https://one.example.org", basic);
  const other = trusted("https://other.example.org", {
    ...basic,
    endpoint: "https://other.example.org/introspect",
  });
  const cases: readonly (readonly [string, readonly TrustedIssuer[], Certificate | undefined])[] = [
    ["issuer_ambiguous", [one, other], certificate],
    ["jws_malformed", [trusted("https://one.example.org")], certificate],
    ["jws_malformed", [], certificate],
    ["jws_malformed", [one], { ...certificate, x5t: presented("somebody else").x5t }],
  ];
  for (const [reason, issuers, by] of cases) {
    const { verify, questions } = gateway(issuers);
    expect(await verify("opaque-token", by)).toMatchObject({ error: { reason } });
    expect(questions).toEqual([]);
  }
  const { questions, say, verify } = gateway([one, trusted("https://other.example.org")]);
  say({ ...active, iss: one.iss });
  expect(await verify(), "an issuer that signs its tokens is not asked").toMatchObject({ ok: true });
  expect(questions).toHaveLength(1);
});

test("T40: without a certificate, or as a JWT however broken, nothing is asked", async ({ expect }) => {
  const { verify, questions, jwtsSeen } = gateway();
  for (const jwt of ["a.b.c", "..", "eyJ.eyJ."])
    expect(await verify(jwt)).toMatchObject({ error: { reason: "signature_invalid" } });
  expect(jwtsSeen).toHaveLength(3);
  expect(await verify("x".repeat(4_097))).toMatchObject({ error: { reason: "jws_malformed" } });
  expect(questions).toEqual([]);
});

test("T40: an issuer that does not answer, or not with an object, is a fault and not a verdict", async ({
  expect,
}) => {
  const { verify, say } = gateway();
  for (const silence of [undefined, [active], "active", null]) {
    say(silence);
    await expect(verify()).rejects.toThrow();
  }
  await expect(gateway(undefined, {}).verify()).rejects.toThrow("ISSUER_SECRET");
});

test("T40: made-up tokens of one certificate are no flood at the issuer", async ({ expect }) => {
  const { verify, say, questions, pass } = gateway();
  say({ active: false });
  const all = await Promise.allSettled(Array.from({ length: 1_000 }, (_, i) => verify(`made-up-${i}`)));
  expect(questions).toHaveLength(100);
  expect(all.filter(({ status }) => status === "rejected")).toHaveLength(900);
  pass(1_000);
  expect(await verify("another")).toMatchObject({ error: { reason: "token_inactive" } });
});
