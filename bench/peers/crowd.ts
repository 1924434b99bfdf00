import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from "jose";
import { ensureAuthority, issueClientCertificate } from "../../sandbox/certificates.ts";
import type { CrowdName } from "./peer.ts";

/** The number of clients, and of the tokens of each. */
const sizes: Readonly<Record<CrowdName, { readonly clients: number; readonly tokensEach: number }>> = {
  hot: { clients: 16, tokensEach: 4 },
  cold: { clients: 256, tokensEach: 1 },
  consents: { clients: 16, tokensEach: 1 },
};
/** Tokens that are asked for at once. */
const tokensAtOnce = 8;
// A token lives for 300 s: a measurement that starts with a fresh one ends before that.
const freshMilliseconds = 100_000;

interface CrowdClient {
  readonly id: string;
  readonly key: CryptoKey;
  readonly jwk: JWK;
  /** As PEM, and as a structured-field byte sequence (RFC 9440). */
  readonly pem: string;
  readonly certificate: string;
}

/** An access token, bound to the certificate of its client. */
export interface Bearer {
  readonly token: string;
  readonly certificate: string;
}

/** Registered clients of the benchmark. */
export class Crowd {
  readonly clients: readonly CrowdClient[];
  readonly #name: CrowdName;
  #bearers: { readonly all: readonly Bearer[]; readonly at: number } | undefined;

  private constructor(name: CrowdName, clients: readonly CrowdClient[]) {
    this.#name = name;
    this.clients = clients;
  }

  static async create(folder: string, name: CrowdName): Promise<Crowd> {
    const pki = join(folder, "pki");
    await ensureAuthority(pki);
    const clients = Array.from({ length: sizes[name].clients }, async (_, n): Promise<CrowdClient> => {
      const id = `bench-${name}-${n}`;
      const { cert } = await issueClientCertificate(pki, id, `O=Phylax benchmark, CN=${id}`);
      const pem = readFileSync(cert, "utf8");
      const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
      const certificate = `:${new X509Certificate(pem).raw.toString("base64")}:`;
      return {
        id,
        key: privateKey,
        jwk: { ...(await exportJWK(publicKey)), kid: `${id}-1`, alg: "ES256" },
        pem,
        certificate,
      };
    });
    return new Crowd(name, await Promise.all(clients));
  }

  /** Tokens of each client, in turn by client; each is valid for another three minutes. */
  async bearers(tokenEndpoint: string, issuer: string): Promise<readonly Bearer[]> {
    if (this.#bearers === undefined || Date.now() - this.#bearers.at > freshMilliseconds) {
      const at = Date.now();
      const turns = Array.from({ length: sizes[this.#name].tokensEach }, () => this.clients).flat();
      const all: Bearer[] = [];
      for (let n = 0; n < turns.length; n += tokensAtOnce) {
        const some = turns.slice(n, n + tokensAtOnce).map(async (client) => ({
          token: await accessToken(tokenEndpoint, issuer, client),
          certificate: client.certificate,
        }));
        all.push(...(await Promise.all(some)));
      }
      this.#bearers = { all, at };
    }
    return this.#bearers.all;
  }
}

/** By client_credentials and private_key_jwt (RFC 7523), straight at the gateway's socket. */
async function accessToken(endpoint: string, issuer: string, client: CrowdClient): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const assertion = await new SignJWT({
    iss: client.id,
    sub: client.id,
    aud: issuer,
    jti: crypto.randomUUID(),
    iat: now,
    exp: now + 55,
  })
    .setProtectedHeader({ alg: "ES256", kid: `${client.id}-1` })
    .sign(client.key);
  const response = await fetch(endpoint, {
    method: "POST",
    headers: edgeFacts(client.certificate),
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: assertion,
    }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`the benchmark's client gets no token (${response.status}): ${text}`);
  const { access_token }: { readonly access_token: string } = JSON.parse(text);
  return access_token;
}

/** The facts about a connection that Cloudflare's edge gives to a Worker, for a client with a certificate. */
export function edgeFacts(certificate: string): Record<string, string> {
  const tlsClientAuth = {
    certPresented: "1",
    certVerified: "SUCCESS",
    certRevoked: "0",
    certRFC9440: certificate,
    certRFC9440TooLarge: false,
  };
  return {
    "MF-CF-Blob": JSON.stringify({ httpProtocol: "HTTP/1.1", tlsVersion: "TLSv1.3", tlsClientAuth }),
    "CF-Connecting-IP": "127.0.0.1",
    "X-Forwarded-Proto": "https",
  };
}
