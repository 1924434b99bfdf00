import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { calculateJwkThumbprint, decodeJwt, type JWK } from "jose";
import { afterAll, beforeAll, describe, test } from "vitest";
import { operatorOf, type DevOfficer } from "../../cli/connection/dev-file.ts";
import { keyProof } from "../../cli/connection/key-proof.ts";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import { issueClientCertificate, x5tS256 } from "../../sandbox/certificates.ts";
import { assurance } from "../../sandbox/identity-provider/assurance.ts";
import { phylaxIn } from "../cli/phylax.ts";
import { openLedger } from "../support/auditor.ts";
import { Browser } from "../support/browser.ts";
import { officerToken, signInAtDoor, signInWith } from "../support/officer-web.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { patience } from "../support/patience.ts";

const state = mkdtempSync(join(tmpdir(), "phylax-officer-"));
let phylax: TestStack;
let officer: DevOfficer;
beforeAll(async () => {
  phylax = await startTestStack({ state });
  const [first] = phylax.dev.officers;
  if (first === undefined) throw new Error("nobody signs in");
  officer = first;
});
afterAll(async () => {
  await phylax.close();
  rmSync(state, { recursive: true, force: true });
});

const now = () => Math.floor(Date.now() / 1000);

/** An operator's request with nothing to apply, so that it tests the authentication alone. */
const post = (
  headers: Readonly<Record<string, string>>,
  by: { cert: string; key: string } = officer,
  body = "{}",
): Promise<Reply> =>
  send(phylax.dev, by, `${phylax.dev.ops}/api/registry`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const challengeOf = ({ headers }: Reply) => String(headers["www-authenticate"]);
const recordsOf = async (reply: Reply) =>
  (await openLedger(phylax.dev))
    .map(({ event }) => event)
    .filter(({ id }) => id === reply.headers["x-request-id"]);

test("from a shell an operator signs in with two factors and applies a registry file; the operator is on record, the token nowhere", async ({
  expect,
}) => {
  const [out, file] = [join(state, "officer.token"), join(state, "newcomer.json")];
  writeFileSync(
    file,
    JSON.stringify({
      clients: [{ id: "newcomer", kind: "payer", auth: "tls_client_auth", certificates: ["N".repeat(43)] }],
    }),
  );
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const words = ["operator", "sign-in", officer.id, "--out", out, "--state", state];
  const signingIn = spawn(process.execPath, [main, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [signingIn.stdout, signingIn.stderr])
    stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await expect.poll(() => said, patience).toContain("\n");
  const url = new URL(said.trim().split(" ").at(-1) ?? "");
  const ended = once(signingIn, "close");
  const back = await signInWith(new Browser(phylax.dev), url, officer);
  expect((await fetch(back)).status).toBe(200);
  expect((await ended)[0], said).toBe(0);
  expect(statSync(out).mode & 0o777).toBe(0o600);
  const token = readFileSync(out, "utf8").trim();
  expect(said).not.toContain(token);
  expect(decodeJwt(token)).toMatchObject({
    aud: phylax.dev.ops,
    sub: officer.login,
    acr: assurance.twoFactors.acr,
    amr: ["pwd", "otp", "mfa"],
  });

  const run = (...args: string[]) => phylaxIn(tmpdir(), ...args, "--operator", officer.id, "--state", state);
  expect(await run("registry", "apply", file)).toMatchObject({
    code: 2,
    error: expect.stringContaining("401 An access token of this operator is required"),
  });
  expect(await run("registry", "apply", file, "--operator-token", out)).toMatchObject({
    code: 0,
    out: `${file}: 2 added, 0 changed\n`,
  });
  expect(await run("revoke", "client", "newcomer", "--operator-token", out)).toMatchObject({
    code: 0,
    out: expect.stringContaining("denied"),
  });
  const applied = (await openLedger(phylax.dev)).find(
    ({ event }) => event.who?.tokenId === decodeJwt(token).jti,
  );
  expect(applied?.event).toMatchObject({
    kind: "administration",
    who: {
      operator: officer.id,
      issuer: officer.signIn.iss,
      subject: officer.login,
      keyId: "sandbox-issuer-1",
    },
  });
});

test("a sign-in with the password alone is answered with the required factors (RFC 9470), and a sign-in with both is accepted", async ({
  expect,
}) => {
  const weak = await post(bearer(await signInAtDoor(phylax.dev, officer, officer)));
  expect([weak.status, challengeOf(weak)]).toEqual([
    401,
    `Bearer error="insufficient_user_authentication", error_description="sign in again, in this way and not longer ago", acr_values="${assurance.twoFactors.acr}", max_age="900"`,
  ]);
  expect(await recordsOf(weak)).toMatchObject([
    {
      kind: "refusal",
      who: { operator: officer.id, subject: officer.login },
      outcome: { status: 401, reason: "sign_in_too_weak" },
    },
  ]);
  const wanted = (name: string) => new RegExp(`${name}="([^"]*)"`, "u").exec(challengeOf(weak))?.[1] ?? "";
  const [, patient] = phylax.dev.users; // no test has used up this person's code yet
  if (patient === undefined) throw new Error("no other person");
  const asked = { acr_values: wanted("acr_values"), max_age: wanted("max_age") };
  const other = await post(bearer(await signInAtDoor(phylax.dev, patient, officer, asked)));
  expect([other.status, challengeOf(other)], "another person, over this operator's certificate").toEqual([
    401,
    'Bearer error="invalid_token"',
  ]);
  expect((await recordsOf(other))[0]?.outcome?.reason).toBe("subject_mismatch");
  const strong = await post(
    bearer(await signInAtDoor(phylax.dev, officer, officer, asked, Date.now() + 30_000)),
  ); // a code is good once: the next code
  expect(strong.status, strong.text).toBe(200);
});

describe("a token opens the operators' door only if it is this operator's, for this door, over this certificate, fresh and strong", () => {
  test("a token that meets each of these conditions opens it", async ({ expect }) => {
    expect((await post(bearer(await officerToken(phylax.dev, officer)))).status).toBe(200);
  });

  const invalid = 'Bearer error="invalid_token"';
  const again =
    /^Bearer error="insufficient_user_authentication", .*acr_values="https:\/\/refeds.org\/profile\/mfa", max_age="900"$/u;
  const cases: readonly (readonly [
    string,
    () => Readonly<Record<string, unknown>>,
    string,
    string | RegExp,
  ])[] = [
    ["no acr", () => ({ acr: undefined }), "sign_in_too_weak", again],
    ["another acr", () => ({ acr: assurance.password.acr }), "sign_in_too_weak", again],
    [
      "an acr that only begins like it",
      () => ({ acr: `${assurance.twoFactors.acr}/` }),
      "sign_in_too_weak",
      again,
    ],
    ["no amr", () => ({ amr: undefined }), "sign_in_too_weak", again],
    ["not every amr", () => ({ amr: ["pwd", "mfa"] }), "sign_in_too_weak", again],
    ["no auth_time", () => ({ auth_time: undefined }), "sign_in_time_missing", again],
    ["an old auth_time", () => ({ auth_time: now() - 902 }), "sign_in_too_old", again],
    ["an auth_time to come", () => ({ auth_time: now() + 60 }), "sign_in_time_in_future", again],
    ["an auth_time that is no whole number", () => ({ auth_time: now() + 0.5 }), "claim_malformed", invalid],
    ["an auth_time in words", () => ({ auth_time: String(now()) }), "claim_malformed", invalid],
    ["an amr in words", () => ({ amr: "otp" }), "claim_malformed", invalid],
    ["another subject", () => ({ sub: "patient-1" }), "subject_mismatch", invalid],
    ["another audience", () => ({ aud: phylax.dev.fhir }), "audience_mismatch", invalid],
    [
      "an audience that only begins like it",
      () => ({ aud: `${phylax.dev.ops}/` }),
      "audience_mismatch",
      invalid,
    ],
    ["another certificate", () => ({ cnf: { "x5t#S256": "A".repeat(43) } }), "certificate_mismatch", invalid],
    ["no binding", () => ({ cnf: undefined }), "token_unbound", invalid],
    [
      "two bindings",
      () => ({ cnf: { jkt: "A".repeat(43), "x5t#S256": "A".repeat(43) } }),
      "binding_not_supported",
      invalid,
    ],
    ["another issuer", () => ({ iss: phylax.dev.gateway }), "issuer_unknown", invalid],
    ["its time over", () => ({ exp: now() - 1 }), "token_expired", invalid],
    ["a life of a day", () => ({ exp: now() + 86_400 }), "token_lifetime_too_long", invalid],
  ];
  test.for(cases)("not with %s", async ([, changes, reason, challenge], { expect }) => {
    const reply = await post(bearer(await officerToken(phylax.dev, officer, changes())));
    expect([reply.status, challengeOf(reply)]).toEqual([
      401,
      typeof challenge === "string" ? challenge : expect.stringMatching(challenge),
    ]);
    expect(await recordsOf(reply)).toMatchObject([
      { kind: "refusal", who: { operator: officer.id }, outcome: { status: 401, reason } },
    ]);
  });

  test("not as an ID token, with a changed signature, in another scheme, or over a different person's certificate", async ({
    expect,
  }) => {
    const reason = async (reply: Reply) => [reply.status, (await recordsOf(reply))[0]?.outcome?.reason];
    const token = await officerToken(phylax.dev, officer);
    expect(
      await reason(await post(bearer(await officerToken(phylax.dev, officer, {}, { typ: "JWT" })))),
    ).toEqual([401, "token_type_invalid"]);
    const broken = token.replace(/\.[^.]*$/u, `.${"A".repeat(86)}`);
    expect(await reason(await post(bearer(broken)))).toEqual([401, "signature_invalid"]);
    expect(await reason(await post({ authorization: `DPoP ${token}` }))).toEqual([
      401,
      "token_scheme_mismatch",
    ]);
    expect(await reason(await post({ authorization: `Basic ${token}` }))).toEqual([
      401,
      "authorization_scheme_unknown",
    ]);
    expect(await reason(await post({ authorization: "Bearer" }))).toEqual([401, "authorization_malformed"]);
    expect(await reason(await post(bearer(token), phylax.client("payer")))).toEqual([
      403,
      "operator_unknown",
    ]);
    const files = await issueClientCertificate(
      join(state, "pki"),
      "operator-colleague",
      "O=Test, CN=colleague",
    );
    const x5t = x5tS256(readFileSync(files.cert, "utf8"));
    const { iss, sub, acr, maxAgeSeconds } = officer.signIn;
    const entry = {
      id: "colleague",
      kind: "person",
      roles: ["registry-admin"],
      x5t,
      signIn: { iss, sub, acr, maxAgeSeconds },
    } as const;
    await phylax.stack.runtime.admitOperator(entry);
    expect(await reason(await post(bearer(token), files))).toEqual([401, "certificate_mismatch"]);
    const nothing = await post({});
    expect([await reason(nothing), challengeOf(nothing)]).toEqual([
      [401, "token_missing"],
      'Bearer realm="phylax operators", DPoP algs="PS256 ES256 EdDSA Ed25519"',
    ]);
  });
});

test("an issuer may publish its keys, and each operator has one issuer: a second issuer's token is refused, though the registry trusts it", async ({
  expect,
}) => {
  const iss = "https://login.example.org";
  const issuer = {
    iss,
    jwksUri: `${officer.signIn.iss}/jwks`,
    algs: ["ES256"],
    audience: "clients",
    purpose: { fixed: ["TREAT"] },
  };
  expect(await phylax.stack.runtime.addRegistry({ issuers: [issuer] })).toMatchObject({ ok: true });
  const files = await issueClientCertificate(
    join(state, "pki"),
    "operator-elsewhere",
    "O=Test, CN=elsewhere",
  );
  const x5t = x5tS256(readFileSync(files.cert, "utf8"));
  const signIn = { iss, sub: "ada", maxAgeSeconds: 60 };
  await phylax.stack.runtime.admitOperator({
    id: "ada",
    kind: "person",
    roles: ["registry-admin"],
    x5t,
    signIn,
  });
  const claims = { iss, sub: "ada", acr: undefined, amr: undefined, cnf: { "x5t#S256": x5t } };
  const as = async (changes: Readonly<Record<string, unknown>>, path = "api/registry") =>
    send(phylax.dev, files, `${phylax.dev.ops}/${path}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...bearer(await officerToken(phylax.dev, officer, { ...claims, ...changes })),
      },
      body: "{}",
    });
  const taken = await as({});
  expect(taken.status, taken.text).toBe(200);
  expect((await recordsOf(taken))[0]?.who).toMatchObject({ operator: "ada", issuer: iss, subject: "ada" });
  for (const [reply, reason] of [
    [await as({ iss: officer.signIn.iss }), "issuer_unknown"],
    [await as({ auth_time: now() - 70 }), "sign_in_too_old"],
    [await as({}, "api/revocations"), "role_missing"],
  ] as const)
    expect((await recordsOf(reply))[0]?.outcome?.reason).toBe(reason);
});

test("a key-bound token needs a proof for this address, each good once", async ({ expect }) => {
  const key: JWK = {
    ...generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }),
    alg: "ES256",
  };
  const token = await officerToken(phylax.dev, officer, { cnf: { jkt: await calculateJwkThumbprint(key) } });
  const url = `${phylax.dev.ops}/api/registry`;
  const dpop = (proof: string) => post({ authorization: `DPoP ${token}`, dpop: proof });
  const first = await dpop(await keyProof(key, { url, method: "POST", token }));
  expect([first.status, challengeOf(first)]).toEqual([
    401,
    expect.stringMatching(/^DPoP .*error="use_dpop_nonce"$/u),
  ]);
  const nonce = String(first.headers["dpop-nonce"]);
  const proof = await keyProof(key, { url, method: "POST", token, nonce });
  const taken = await dpop(proof);
  expect([taken.status, taken.headers["dpop-nonce"]]).toEqual([200, expect.any(String)]);
  expect((await recordsOf(taken))[0]?.who).toMatchObject({
    operator: officer.id,
    jkt: await calculateJwkThumbprint(key),
  });
  const replies = await Promise.all(Array.from({ length: 5 }, () => dpop(proof)));
  for (const reply of replies) {
    expect([reply.status, challengeOf(reply)]).toEqual([
      401,
      expect.stringContaining('error="invalid_dpop_proof"'),
    ]);
    expect((await recordsOf(reply)).map(({ kind, outcome }) => [kind, outcome?.reason])).toEqual([
      ["refusal", "proof_replayed"],
    ]);
  }
  const elsewhere = await dpop(
    await keyProof(key, { url: `${phylax.dev.ops}/api/revocations`, method: "POST", token, nonce }),
  );
  expect((await recordsOf(elsewhere))[0]?.outcome?.reason).toBe("proof_url_mismatch");
  expect((await recordsOf(await post({ authorization: `Bearer ${token}` })))[0]?.outcome?.reason).toBe(
    "token_scheme_mismatch",
  );
});

test("a denial is refused here too, at once: the token, its person, the key that signed it, the certificate", async ({
  expect,
}) => {
  const registrar = operatorOf(phylax.dev, "registrar");
  const deny = async (denial: object, what = "revocations") =>
    (
      await send(phylax.dev, registrar, `${phylax.dev.ops}/api/${what}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(denial),
      })
    ).status;
  const token = await officerToken(phylax.dev, officer);
  const { iss: issuer = "", jti: id, exp = 0, sub: subject } = decodeJwt(token);
  const x5t = x5tS256(readFileSync(officer.cert, "utf8"));
  const denials = [
    [{ kind: "token", issuer, id, until: exp * 1000 }, 401, "token_denied"],
    [{ kind: "person", issuer, subject }, 401, "person_denied"],
    [{ kind: "key", issuer, keyId: "sandbox-issuer-1" }, 401, "key_denied"],
    [{ kind: "certificate", x5t }, 403, "certificate_denied"],
  ] as const;
  for (const [denial, status, reason] of denials) {
    expect(await deny(denial)).toBe(200);
    const reply = await post(bearer(token));
    expect([reply.status, (await recordsOf(reply))[0]?.outcome?.reason]).toEqual([status, reason]);
    expect(await deny(denial, "revocations/lift")).toBe(200);
    expect((await post(bearer(token))).status).toBe(200);
  }
});
