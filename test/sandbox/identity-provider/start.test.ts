import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "vitest";
import { keyProof } from "../../../cli/connection/key-proof.ts";
import { closeConnections, send } from "../../../cli/connection/mutual-tls.ts";
import { ensureAuthority, ensureServerCertificate } from "../../../sandbox/certificates.ts";
import { keptKey } from "../../../sandbox/keys.ts";
import { startIdentityProvider, type IdentityProvider } from "../../../sandbox/identity-provider/start.ts";

async function holding<T>(
  work: (state: string, start: (gatewayPort?: number) => Promise<IdentityProvider>) => Promise<T>,
): Promise<T> {
  const state = mkdtempSync(join(tmpdir(), "phylax-"));
  const pki = join(state, "pki");
  const { clientCa, serverCa } = await ensureAuthority(pki);
  const server = await ensureServerCertificate(pki);
  const start = (gatewayPort = 8443) =>
    startIdentityProvider({
      state,
      server,
      clientCa: clientCa.cert,
      ca: serverCa.cert,
      consentPage: server, // unused: no choice is made here
      portsOfOthers: [gatewayPort],
      audience: "https://localhost:8443/v1/fhir/main",
      patients: ["amara-okafor"],
      clients: ["patient-web"],
      unboundClients: ["smart-app"],
      secretClients: [],
      practitioner: undefined,
      registered: async () => undefined,
      operators: { audience: "https://localhost:8444", logins: ["officer-1"] },
      say: () => {},
    });
  try {
    return await work(state, start);
  } finally {
    closeConnections();
    rmSync(state, { recursive: true });
  }
}

const portOf = (provider: IdentityProvider) => Number(new URL(provider.issuer.iss).port);

test("the issuer and its key stay the same over restarts, and its documents say so", async ({ expect }) => {
  await holding(async (state, start) => {
    const first = await start();
    const trust = { ca: join(state, "pki", "ca.pem") };
    const { iss, publicKey } = first.issuer;
    const about = JSON.parse((await send(trust, undefined, `${iss}/.well-known/openid-configuration`)).text);
    expect(about).toMatchObject({
      issuer: iss,
      code_challenge_methods_supported: ["S256"],
      response_types_supported: ["code"],
      grant_types_supported: [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:device_code",
      ],
      token_endpoint_auth_methods_supported: ["none", "client_secret_basic", "private_key_jwt"],
      token_endpoint_auth_signing_alg_values_supported: ["RS384", "ES384", "ES256"],
      id_token_signing_alg_values_supported: ["ES256", "RS256"],
      end_session_endpoint: expect.stringContaining(iss), // the console's sign-out ends the session there
    });
    for (const unused of ["userinfo_endpoint", "registration_endpoint", "introspection_endpoint"])
      expect(about).not.toHaveProperty(unused);
    const { keys } = JSON.parse((await send(trust, undefined, `${iss}/jwks`)).text);
    // the registry has the first key alone, so the key of ID tokens (RS256) signs no access token
    expect(keys).toEqual([publicKey, expect.objectContaining({ kty: "RSA", kid: "sandbox-id-tokens-1" })]);
    expect(keys[1]).not.toHaveProperty("d");
    await first.close();
    const second = await start();
    expect(second.issuer).toEqual(first.issuer);
    expect(second.people).toEqual(first.people);
    expect(second.operators).toEqual(first.operators);
    expect(second.operators).toMatchObject([{ login: "officer-1" }]);
    await second.close();
  });
});

test("if its port is in use it takes a new port and stores it; it never takes the gateway's port", async ({
  expect,
}) => {
  await holding(async (_state, start) => {
    const first = await start();
    await first.close();
    const squatter = createServer();
    await new Promise<void>((listening) => squatter.listen(portOf(first), "127.0.0.1", listening));
    expect((squatter.address() as AddressInfo).port).toBe(portOf(first)); // a TCP server's address
    const second = await start();
    expect(portOf(second)).not.toBe(portOf(first));
    await second.close();
    await new Promise((closed) => squatter.close(closed));
    const third = await start();
    expect(portOf(third)).toBe(portOf(second));
    await third.close();
    const fourth = await start(portOf(third));
    expect(portOf(fourth)).not.toBe(portOf(third));
    await fourth.close();
  });
});

test("a proof without the server's nonce is refused with a nonce", async ({ expect }) => {
  await holding(async (state, start) => {
    const provider = await start();
    const url = `${provider.issuer.iss}/token`;
    const key = await keptKey(join(state, "app.jwk.json"), "ES256", "app");
    const form = {
      client_id: "patient-web",
      grant_type: "authorization_code",
      code: "none",
      redirect_uri: "http://127.0.0.1/callback",
    };
    const ask = async (nonce?: string) =>
      send({ ca: join(state, "pki", "ca.pem") }, undefined, url, {
        method: "POST",
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          dpop: await keyProof(key, { url, method: "POST", nonce }),
        },
        body: new URLSearchParams(form).toString(),
      });
    const first = await ask();
    expect([first.status, JSON.parse(first.text).error]).toEqual([400, "use_dpop_nonce"]);
    const second = await ask(String(first.headers["dpop-nonce"]));
    expect([second.status, JSON.parse(second.text).error], "the code is looked at now").toEqual([
      400,
      "invalid_grant",
    ]);
    await provider.close();
  });
});

test("an app in a browser on this machine is answered by CORS, an app from a different host is not", async ({
  expect,
}) => {
  await holding(async (state, start) => {
    const provider = await start();
    const trust = { ca: join(state, "pki", "ca.pem") };
    const ask = (origin: string) =>
      send(trust, undefined, `${provider.issuer.iss}/token`, {
        method: "POST",
        headers: { origin, "content-type": "application/x-www-form-urlencoded" },
        body: "client_id=patient-web&grant_type=authorization_code",
      });
    expect((await ask("http://127.0.0.1:5173")).headers["access-control-allow-origin"]).toBe(
      "http://127.0.0.1:5173",
    );
    for (const origin of ["https://elsewhere.example", "http://127.0.0.1.elsewhere.example", "null"])
      expect((await ask(origin)).headers["access-control-allow-origin"], origin).toBeUndefined();
    await provider.close();
  });
});
