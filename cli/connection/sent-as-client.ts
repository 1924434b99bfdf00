import { readFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import type { JWK } from "jose";
import type { DevClient } from "./dev-file.ts";
import { keyProof, type Proven } from "./key-proof.ts";

/**
 * Sends a request as a client: over its certificate, or with a proof of its key. With a key, a second time with the
 * nonce that the gateway asks for (RFC 9449 §9).
 *
 * @param sends sends the request with this identity and these headers
 */
export async function sentAsClient<
  Answer extends { readonly status: number; readonly headers: IncomingHttpHeaders },
>(
  client: DevClient,
  token: string,
  request: Pick<Proven, "url" | "method">,
  sends: (identity: DevClient | undefined, headers: Readonly<Record<string, string>>) => Promise<Answer>,
): Promise<Answer> {
  if (!client.dpop) return sends(client, { authorization: `Bearer ${token}` });
  const key: JWK = JSON.parse(readFileSync(client.jwk ?? "", "utf8")); // a client with dpop has a key
  const proven = async (nonce?: string) =>
    sends(undefined, {
      authorization: `DPoP ${token}`,
      dpop: await keyProof(key, { ...request, token, nonce }),
    });
  const first = await proven();
  const nonce = first.headers["dpop-nonce"]?.toString();
  return first.status === 401 && nonce !== undefined ? proven(nonce) : first;
}
