import { afterAll, beforeAll, test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import { clientAssertion } from "../../cli/connection/access-token.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { openLedger } from "../support/auditor.ts";
import {
  askAs,
  certificateFor,
  clientEntries,
  joined,
  starterPolicy,
  thumbprint,
} from "../support/outside.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

let phylax: TestStack;
let certificate: CertificateFiles;
beforeAll(async () => {
  phylax = await sharedTestStack();
  certificate = await certificateFor(phylax, "by-certificate");
  await phylax.stack.runtime.applyRegistry(
    joined(
      { policies: [starterPolicy("treat")] },
      clientEntries(
        {
          id: "by-certificate",
          kind: "telehealth",
          auth: "tls_client_auth",
          certificates: [thumbprint(certificate)],
        },
        "TREAT",
        "treat",
        "system/*.rs",
      ),
    ),
  );
}, 120_000);
afterAll(() => phylax.close());

const request = (identity: CertificateFiles | undefined, form: Readonly<Record<string, string>>) =>
  send(phylax.dev, identity, phylax.dev.tokenEndpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ grant_type: "client_credentials", ...form }).toString(),
  });

test("a client of tls_client_auth gets a token by its certificate alone and uses it with that certificate only", async ({
  expect,
}) => {
  const reply = await request(certificate, { client_id: "by-certificate" });
  expect(reply.status, reply.text).toBe(200);
  const { access_token: token }: { access_token: string } = JSON.parse(reply.text);
  expect((await askAs(phylax, certificate, token, "Patient/amara-okafor")).status).toBe(200);
  expect((await askAs(phylax, phylax.client("telehealth"), token, "Patient/amara-okafor")).status).toBe(401);
  const records = await openLedger(phylax.dev);
  expect(records.find(({ event }) => event.id === reply.headers["x-request-id"])?.event).toMatchObject({
    kind: "token",
    who: { client: "by-certificate", certificate: thumbprint(certificate) },
  });
});

test("each method refuses the other method's client, and each name another client's certificate, and the ledger has the reason", async ({
  expect,
}) => {
  const telehealth = phylax.client("telehealth");
  const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
  const assertion = {
    client_assertion_type: jwtBearer,
    client_assertion: await clientAssertion(phylax.dev, telehealth, {
      iss: "by-certificate",
      sub: "by-certificate",
    }),
  };
  const cases = [
    ["client_authentication_method_mismatch", certificate, assertion],
    ["client_authentication_method_mismatch", certificate, { ...assertion, client_id: "by-certificate" }],
    ["client_authentication_method_mismatch", telehealth, { client_id: "telehealth" }],
    ["certificate_not_registered", telehealth, { client_id: "by-certificate" }],
    ["client_unknown", certificate, { client_id: "nobody" }],
    ["certificate_missing", undefined, { client_id: "by-certificate" }],
  ] as const;
  const faces = new Set<string>();
  for (const [reason, identity, form] of cases) {
    const reply = await request(identity, form);
    expect(reply.status, reason).toBe(401);
    faces.add(reply.text);
    const records = await openLedger(phylax.dev);
    expect(
      records.find(({ event }) => event.id === reply.headers["x-request-id"])?.event.outcome?.reason,
    ).toBe(reason);
  }
  expect(faces.size).toBe(1);
});

test("the metadata names the methods", async ({ expect }) => {
  const reply = await send(
    phylax.dev,
    undefined,
    `${phylax.dev.gateway}/.well-known/oauth-authorization-server`,
  );
  expect(JSON.parse(reply.text)).toMatchObject({
    token_endpoint_auth_methods_supported: [
      "private_key_jwt",
      "tls_client_auth",
      "self_signed_tls_client_auth",
    ],
  });
});
