import { decodeJwt, exportPKCS8 } from "jose";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { afterAll, beforeAll, test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { newKey, type Key } from "../support/credentials.ts";
import { certificateFor, clientEntries, joined, starterPolicy, thumbprint } from "../support/outside.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";
import { patience } from "../support/patience.ts";

// Both libraries as npm has them, with both client authentication methods and both bindings. The test gives
// them only a fetch, which trusts the sandbox's authority and has the client's certificate.
const kinds = [
  { id: "assertion-certificate", auth: "private_key_jwt", dpop: false },
  { id: "assertion-key", auth: "private_key_jwt", dpop: true },
  { id: "tls-certificate", auth: "tls_client_auth", dpop: false },
  { id: "tls-key", auth: "tls_client_auth", dpop: true },
] as const;
type Kind = (typeof kinds)[number];

let phylax: TestStack;
const keys = new Map<string, Key>();
const certificates = new Map<string, CertificateFiles>();
beforeAll(async () => {
  phylax = await sharedTestStack();
  const entries = [];
  for (const { id, auth, dpop } of kinds) {
    const key = await newKey("ES256", `${id}-1`);
    keys.set(id, key);
    const certificate = dpop && auth === "private_key_jwt" ? undefined : await certificateFor(phylax, id);
    if (certificate !== undefined) certificates.set(id, certificate);
    const client = {
      id,
      kind: "telehealth",
      auth,
      dpop,
      ...(certificate !== undefined && { certificates: [thumbprint(certificate)] }),
      ...(auth === "private_key_jwt" && { jwks: { keys: [key.jwk] } }),
    };
    entries.push(clientEntries(client, "TREAT", "treat", "system/*.rs"));
  }
  await phylax.stack.runtime.applyRegistry(joined({ policies: [starterPolicy("treat")] }, ...entries));
}, 120_000);
afterAll(() => phylax.close());

const path = "Patient/amara-okafor";
type Init = {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
};
const fetchAs =
  (id: string) =>
  async (url: string, init: Init): Promise<Response> => {
    const body =
      init.body instanceof URLSearchParams || typeof init.body === "string"
        ? { body: init.body.toString() }
        : {};
    const reply = await send(phylax.dev, certificates.get(id), url, {
      method: init.method,
      headers: init.headers,
      ...body,
    });
    const headers = new Headers(Object.entries(reply.headers).map(([name, value]) => [name, String(value)]));
    return new Response(reply.text, { status: reply.status, headers });
  };

/** The libraries take a key that signs and cannot be exported. */
async function signingKey({ id }: Kind): Promise<CryptoKey> {
  const key = keys.get(id);
  if (key === undefined) throw new Error("not set up");
  const der = Buffer.from(
    (await exportPKCS8(key.privateKey)).replaceAll(/-----[^-]+-----|\s/gu, ""),
    "base64",
  );
  return crypto.subtle.importKey("pkcs8", der, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
}

const cnfOf = ({ dpop }: Kind, jkt: string | undefined, id: string) => {
  const certificate = certificates.get(id);
  return dpop ? { jkt } : { "x5t#S256": certificate && thumbprint(certificate) };
};

test.for(kinds)(
  "oauth4webapi gets and uses a token: $auth, bound to a key: $dpop",
  async (kind, { expect }) => {
    const options = { [oauth.customFetch]: fetchAs(kind.id) };
    const issuer = new URL(phylax.dev.gateway);
    const server = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { ...options, algorithm: "oauth2" }),
    );
    const client: oauth.Client = { client_id: kind.id };
    const key = await signingKey(kind);
    const authentication = () =>
      kind.auth === "private_key_jwt"
        ? oauth.PrivateKeyJwt({ key, kid: `${kind.id}-1` })
        : oauth.TlsClientAuth();
    const proofs = kind.dpop ? oauth.DPoP(client, await oauth.generateKeyPair("ES256")) : undefined;
    const withProof = { ...options, ...(proofs !== undefined && { DPoP: proofs }) };
    const twice = async <T>(ask: () => Promise<T>): Promise<T> =>
      ask().catch((fault: unknown) => {
        expect(oauth.isDPoPNonceError(fault)).toBe(true);
        return ask();
      });
    const granted = await twice(async () =>
      oauth.processClientCredentialsResponse(
        server,
        client,
        await oauth.clientCredentialsGrantRequest(server, client, authentication(), {}, withProof),
      ),
    );
    expect(granted.token_type).toBe(kind.dpop ? "dpop" : "bearer");
    expect(decodeJwt(granted.access_token)["cnf"]).toEqual(
      cnfOf(kind, await proofs?.calculateThumbprint(), kind.id),
    );
    const url = new URL(`${phylax.dev.fhir}/${path}`);
    const read = () =>
      oauth.protectedResourceRequest(granted.access_token, "GET", url, new Headers(), null, withProof);
    expect(await (await twice(read)).json()).toMatchObject({ resourceType: "Patient", id: "amara-okafor" });

    const about = async () =>
      oauth.processIntrospectionResponse(
        server,
        client,
        await oauth.introspectionRequest(server, client, authentication(), granted.access_token, options),
      );
    expect(await about()).toMatchObject({
      active: true,
      client_id: kind.id,
      token_type: kind.dpop ? "DPoP" : "Bearer",
    });
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, authentication(), granted.access_token, options),
    );
    expect(await about()).toEqual({ active: false });
    // P4: within ten seconds each lease has the denial.
    await expect
      .poll(
        async () =>
          read().then(
            (answer) => answer.status,
            (fault: { status?: number }) => fault.status,
          ),
        patience,
      )
      .toBe(401);
  },
);

test.for(kinds)(
  "openid-client gets and uses a token: $auth, bound to a key: $dpop",
  async (kind, { expect }) => {
    const key = await signingKey(kind);
    const authentication =
      kind.auth === "private_key_jwt"
        ? openid.PrivateKeyJwt({ key, kid: `${kind.id}-1` })
        : openid.TlsClientAuth();
    const server = await openid.discovery(new URL(phylax.dev.gateway), kind.id, undefined, authentication, {
      algorithm: "oauth2",
      [openid.customFetch]: fetchAs(kind.id),
    });
    const pair = await openid.randomDPoPKeyPair("ES256");
    const handle = kind.dpop ? { DPoP: openid.getDPoPHandle(server, pair) } : {};
    const granted = await openid.clientCredentialsGrant(server, { purpose_of_use: "TREAT" }, handle);
    expect(granted.token_type).toBe(kind.dpop ? "dpop" : "bearer");
    const url = new URL(`${phylax.dev.fhir}/${path}`);
    const answer = await openid.fetchProtectedResource(
      server,
      granted.access_token,
      url,
      "GET",
      undefined,
      undefined,
      handle,
    );
    expect(await answer.json()).toMatchObject({ resourceType: "Patient", id: "amara-okafor" });
    expect(await openid.tokenIntrospection(server, granted.access_token)).toMatchObject({ active: true });
    await openid.tokenRevocation(server, granted.access_token);
    expect(await openid.tokenIntrospection(server, granted.access_token)).toEqual({ active: false });
  },
);

test("both libraries show why a client is refused", async ({ expect }) => {
  const issuer = new URL(phylax.dev.gateway);
  const options = { algorithm: "oauth2", [openid.customFetch]: fetchAs("assertion-certificate") } as const;
  const server = await openid.discovery(
    issuer,
    "assertion-certificate",
    undefined,
    openid.ClientSecretPost("secret"),
    options,
  );
  const client = { client_id: "assertion-certificate" };
  const metadata = { ...server.serverMetadata() };
  const refusals = [
    openid.clientCredentialsGrant(server),
    oauth
      .clientCredentialsGrantRequest(
        metadata,
        client,
        oauth.ClientSecretPost("secret"),
        {},
        {
          [oauth.customFetch]: fetchAs("assertion-certificate"),
        },
      )
      .then(async (answer) => oauth.processClientCredentialsResponse(metadata, client, answer)),
  ];
  for (const refusal of refusals)
    await expect(refusal).rejects.toMatchObject({
      cause: [
        {
          scheme: "bearer",
          parameters: {
            error: "invalid_client",
            error_description: expect.stringContaining("without client_secret"),
          },
        },
      ],
    });
});
