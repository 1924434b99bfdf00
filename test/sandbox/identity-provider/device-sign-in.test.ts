import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { decodeJwt } from "jose";
import { test } from "vitest";
import { closeConnections } from "../../../cli/connection/mutual-tls.ts";
import { signInByDevice } from "../../../cli/connection/sign-in.ts";
import {
  ensureAuthority,
  ensureServerCertificate,
  issueClientCertificate,
  x5tS256,
} from "../../../sandbox/certificates.ts";
import { assurance } from "../../../sandbox/identity-provider/assurance.ts";
import { startIdentityProvider } from "../../../sandbox/identity-provider/start.ts";
import { Browser, pageOf } from "../../support/browser.ts";
import { typed } from "../../support/patient-web.ts";

const ops = "https://localhost:8444";

/** The hidden members of a form, as a browser sends them. */
const hiddenIn = (html: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...html.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)"/gu)].map(
      ([, name = "", value = ""]) => [name, value],
    ),
  );

test("an operator at a machine without a browser signs in on another device (RFC 8628), with two factors; a cancelled sign-in gives no token", async ({
  expect,
}) => {
  const state = mkdtempSync(join(tmpdir(), "phylax-device-"));
  const pki = join(state, "pki");
  const { clientCa, serverCa } = await ensureAuthority(pki);
  const server = await ensureServerCertificate(pki);
  const provider = await startIdentityProvider({
    state,
    server,
    clientCa: clientCa.cert,
    ca: serverCa.cert,
    consentPage: server, // unused: no choice is made here
    portsOfOthers: [],
    audience: "https://localhost:8443/v1/fhir/main",
    patients: [],
    clients: [],
    unboundClients: [],
    secretClients: [],
    practitioner: undefined,
    registered: async () => undefined,
    operators: { audience: ops, logins: ["officer-1"] },
    say: () => {},
  });
  try {
    const [officer] = provider.operators;
    if (officer === undefined) throw new Error("no operator");
    const files = await issueClientCertificate(pki, "officer-1", "O=Test, CN=officer-1");
    const ca = join(pki, "ca.pem");
    /** Begins a sign-in at the machine, and follows its words on another device, up to the confirmation. */
    const begun = async () => {
      const { promise: said, resolve: say } = Promise.withResolvers<string>();
      const signedIn = signInByDevice(
        {
          iss: provider.issuer.iss,
          client: "operators",
          scope: "openid operate",
          acr: [assurance.twoFactors.acr],
          maxAgeSeconds: 900,
        },
        { ca, ops, operator: files, say, wait: (milliseconds) => wait(milliseconds / 100) },
      );
      signedIn.catch(() => {}); // awaited below
      const [, page = "", code = ""] =
        /^open on any device: (\S+) and type the code (\S+)$/u.exec(await said) ?? [];
      const browser = new Browser({ ca });
      const asked = await browser.open(new URL(page));
      const wrong = await browser.submit(asked, {
        ...hiddenIn(pageOf(asked).reply.text),
        user_code: "AAAA-AAAA",
      });
      expect(pageOf(wrong).reply.text).toContain("That code is not right");
      const confirm = await browser.submit(wrong, { ...hiddenIn(pageOf(wrong).reply.text), user_code: code });
      expect(pageOf(confirm).reply.text).toContain(`shows this code: <strong>${code}</strong>`);
      return { signedIn, browser, confirm, hidden: hiddenIn(pageOf(confirm).reply.text) };
    };
    const cancelled = await begun();
    const { signedIn, browser, confirm, hidden } = await begun(); // both wait five seconds at once
    const signIn = await browser.submit(confirm, hidden);
    expect(pageOf(signIn).reply.text).toContain('name="code"');
    const consent = await browser.submit(signIn, typed(officer, true));
    const done = await browser.submit(consent, { decision: "allow" });
    expect(pageOf(done).reply.text).toContain("You are signed in at the other machine");
    await cancelled.browser.submit(cancelled.confirm, { ...cancelled.hidden, abort: "yes" });
    const { token, until } = await signedIn;
    expect(until).toBeGreaterThan(Date.now());
    expect(decodeJwt(token)).toMatchObject({
      iss: provider.issuer.iss,
      aud: ops,
      sub: "officer-1",
      acr: assurance.twoFactors.acr,
      amr: ["pwd", "otp", "mfa"],
      auth_time: expect.any(Number),
      cnf: { "x5t#S256": x5tS256(readFileSync(files.cert, "utf8")) },
    });

    await expect(cancelled.signedIn).rejects.toThrow("access_denied");
  } finally {
    closeConnections();
    await provider.close();
    rmSync(state, { recursive: true });
  }
}, 60_000);
