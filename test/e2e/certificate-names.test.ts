import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { openLedger } from "../support/auditor.ts";
import { namedCertificate, type Wanted } from "../support/named-certificate.ts";
import { askAs, clientEntries, joined, starterPolicy, thumbprint } from "../support/outside.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

let phylax: TestStack;
let folder: string;
let made = 0;
const make = (wanted: Wanted) => namedCertificate(folder, `made-${(made += 1)}`, wanted);
const byAuthority = (wanted: Omit<Wanted, "authority">) =>
  make({ ...wanted, authority: phylax.dev.clientCa });
const expired = new Date(Date.now() - 60_000);
let own: CertificateFiles, ownNext: CertificateFiles, ownExpired: CertificateFiles;

beforeAll(async () => {
  phylax = await sharedTestStack();
  folder = mkdtempSync(join(tmpdir(), "phylax-names-"));
  [own, ownNext, ownExpired] = [
    await make({ subject: "CN=own" }),
    await make({ subject: "CN=own" }),
    await make({ subject: "CN=own", notAfter: expired }),
  ];
  const issuerDn = await issuerOf(await byAuthority({ subject: "CN=probe" }));
  const client = (id: string, certificates: readonly unknown[], auth = "tls_client_auth") =>
    clientEntries({ id, kind: "telehealth", auth, certificates }, "TREAT", "treat", "system/*.rs");
  await phylax.stack.runtime.applyRegistry(
    joined(
      { policies: [starterPolicy("treat")] },
      client("by-subject", [{ subjectDn: "CN=by-subject,O=St. Mary\\, Inc.", issuerDn }]),
      client("by-host", [{ sanDns: "api.lab.example", issuerDn }]),
      client("by-host-elsewhere", [{ sanDns: "api.lab.example", issuerDn: "CN=Another CA" }]),
      client(
        "own",
        [thumbprint(own), readFileSync(ownNext.cert, "utf8"), thumbprint(ownExpired)],
        "self_signed_tls_client_auth",
      ),
    ),
  );
}, 120_000);
afterAll(async () => {
  await phylax.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The issuer's name as OpenSSL writes it and the edge passes it on. */
async function issuerOf({ cert }: CertificateFiles): Promise<string> {
  const { execFileSync } = await import("node:child_process");
  const said = execFileSync("openssl", ["x509", "-in", cert, "-noout", "-issuer", "-nameopt", "RFC2253"], {
    encoding: "utf8",
  });
  return said.trim().replace(/^issuer=\s*/u, "");
}

const request = (identity: CertificateFiles | undefined, client: string) =>
  send(phylax.dev, identity, phylax.dev.tokenEndpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ grant_type: "client_credentials", client_id: client }).toString(),
  });
const reasonOf = async (id: unknown) =>
  (await openLedger(phylax.dev)).find(({ event }) => event.id === id)?.event.outcome?.reason;

const serves = async (identity: CertificateFiles, client: string) => {
  const reply = await request(identity, client);
  if (reply.status !== 200) return reply.text;
  const { access_token: token }: { access_token: string } = JSON.parse(reply.text);
  return { read: (await askAs(phylax, identity, token, "Patient/amara-okafor")).status, token };
};

test("T21: any certificate of the registered name by the registered authority is accepted, so it can be renewed without notice", async ({
  expect,
}) => {
  const [first, renewed] = [
    await byAuthority({ subject: "O=St. Mary\\, Inc., CN=by-subject" }),
    await byAuthority({ subject: "O=St. Mary\\, Inc., CN=by-subject" }),
  ];
  const served = await serves(first, "by-subject");
  expect(served).toMatchObject({ read: 200 });
  expect(await serves(renewed, "by-subject")).toMatchObject({ read: 200 });
  expect(
    await serves(
      await byAuthority({ subject: "CN=x", names: [{ type: "dns", value: "API.lab.example" }] }),
      "by-host",
    ),
  ).toMatchObject({
    read: 200,
  });
  // A token stays bound to its own certificate.
  const token = typeof served === "string" ? "" : served.token;
  expect((await askAs(phylax, renewed, token, "Patient/amara-okafor")).status).toBe(401);
});

test("T21, T22: a certificate of a different name or authority, or an unverified certificate, is accepted for no client, and the ledger has the reason", async ({
  expect,
}) => {
  const host = { subject: "CN=x", names: [{ type: "dns" as const, value: "api.lab.example" }] };
  const cases = [
    ["certificate_not_registered", await byAuthority({ subject: "CN=by-subject" }), "by-subject"],
    [
      "certificate_not_registered",
      await byAuthority({ subject: "CN=by-subject, O=St. Mary\\, Inc." }),
      "by-subject",
    ],
    ["certificate_unverified", await make({ subject: "O=St. Mary\\, Inc., CN=by-subject" }), "by-subject"],
    [
      "certificate_unverified",
      await byAuthority({ subject: "O=St. Mary\\, Inc., CN=by-subject", notAfter: expired }),
      "by-subject",
    ],
    ["certificate_not_registered", await byAuthority({ subject: "CN=api.lab.example" }), "by-host"],
    ["certificate_unverified", await make(host), "by-host"],
    ["certificate_not_registered", await byAuthority(host), "by-host-elsewhere"],
  ] as const;
  const faces = new Set<string>();
  for (const [reason, identity, client] of cases) {
    const reply = await request(identity, client);
    expect(reply.status, reason).toBe(401);
    faces.add(reply.text);
    expect(await reasonOf(reply.headers["x-request-id"])).toBe(reason);
  }
  expect(faces.size).toBe(1);
});

test("T22: a self-signed certificate is accepted for the client that registered this very certificate, two at once, and for no further client", async ({
  expect,
}) => {
  expect(await serves(own, "own")).toMatchObject({ read: 200 });
  expect(await serves(ownNext, "own"), "the next one beside it").toMatchObject({ read: 200 });
  const cases = [
    ["certificate_not_registered", await make({ subject: "CN=own" }), "own"],
    ["certificate_not_registered", await byAuthority({ subject: "CN=own" }), "own"],
    ["certificate_unverified", ownExpired, "own"], // OpenSSL reports the expiry last
    ["certificate_missing", undefined, "own"],
    ["client_authentication_method_mismatch", own, "telehealth"],
    ["certificate_unverified", own, "by-host"],
  ] as const;
  for (const [reason, identity, client] of cases) {
    const reply = await request(identity, client);
    expect(reply.status, reason).toBe(401);
    expect(await reasonOf(reply.headers["x-request-id"])).toBe(reason);
  }
});

test("T22: over a self-signed certificate, a token of a different client is refused", async ({ expect }) => {
  const reply = await askAs(phylax, own, await phylax.token("telehealth"), "Patient/amara-okafor");
  expect(reply.status).toBe(401);
  expect(await reasonOf(reply.headers["x-request-id"])).toBe("certificate_mismatch");
});
