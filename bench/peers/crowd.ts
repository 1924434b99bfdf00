import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from "jose";
import { ensureAuthority, issueClientCertificate } from "../../sandbox/certificates.ts";

const clientCount = 16;
const tokensEach = 4;
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

/** The registered clients of the benchmark. */
export class Crowd {
  readonly clients: readonly CrowdClient[];
  #bearers: { readonly all: readonly Bearer[]; readonly at: number } | undefined;

  private constructor(clients: readonly CrowdClient[]) {
    this.clients = clients;
  }

  static async create(folder: string): Promise<Crowd> {
    const pki = join(folder, "pki");
    await ensureAuthority(pki);
    const clients = Array.from({ length: clientCount }, async (_, n): Promise<CrowdClient> => {
      const id = `bench-${n}`;
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
    return new Crowd(await Promise.all(clients));
  }

  /** Four tokens of each client, in turn by client; each is valid for another three minutes. */
  async bearers(tokenEndpoint: string, issuer: string): Promise<readonly Bearer[]> {
    if (this.#bearers === undefined || Date.now() - this.#bearers.at > freshMilliseconds) {
      const at = Date.now();
      const turns = Array.from({ length: tokensEach }, () => this.clients).flat();
      const all: Bearer[] = [];
      for (const client of turns)
        all.push({
          token: await accessToken(tokenEndpoint, issuer, client),
          certificate: client.certificate,
        });
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
