import { repeatsMember } from "#identity/jose/repeated-member";
import { isAt } from "#platform/config/allowed-places";
import type { CertifiedFetch } from "#platform/config/named-secret";

/** A question to an identity server: for keys, about a token, or for a token that the gateway uses. */
export interface ServerQuestion {
  readonly url: string;
  readonly accept: string;
  readonly authorization?: string | undefined;
  /** The question is a POST when it has a form. */
  readonly form?: URLSearchParams | undefined;
  /** Sends the question, for a server that asks for the gateway's client certificate. */
  readonly certified?: CertifiedFetch | undefined;
}

/**
 * Asks an identity server for one JSON document. Throws when it gives none. The fault never quotes the
 * answer.
 */
export type AskServer = (question: ServerQuestion) => Promise<unknown>;

/** The time from the question to the last byte. */
export const serverPatienceMilliseconds = 2_000;
// 64 KiB: 32 keys of 4096 bits with their certificates fit.
const bytesMax = 65_536;

/**
 * @param hosts `host` or `host:port` that may be asked, by deployment configuration: a registry entry alone
 * opens no way into the network. Only https is used, and the runtime checks the server's certificate.
 * Redirects are not followed, since they would evade both checks.
 */
export function askServer(hosts: ReadonlySet<string>): AskServer {
  return async ({ url: address, accept, authorization, form, certified }) => {
    const url = new URL(address);
    if (url.protocol !== "https:" || !isAt(url.href, hosts))
      throw new Error("an identity server is not https or not in IDENTITY_HOSTS");
    const headers = new Headers({ accept });
    if (authorization !== undefined) headers.set("authorization", authorization);
    const sending = form === undefined ? { method: "GET" } : { method: "POST", body: form };
    const signal = AbortSignal.timeout(serverPatienceMilliseconds);
    const init = { ...sending, headers, redirect: "manual", signal } as const;
    const response = await (certified === undefined ? fetch(url, init) : certified.fetch(url.href, init));
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new ServerRefused(response.status);
    }
    return readJson(await readAtMost(response));
  };
}

/** Any status except 200. */
class ServerRefused extends Error {
  override readonly name = "ServerRefused";
  constructor(status: number) {
    super(`an identity server answered ${status}`);
  }
}

async function readAtMost({ body }: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    // leaving the loop closes the connection
    if (length > bytesMax) throw new Error("an identity server's answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readJson(bytes: Uint8Array): unknown {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // the parser's message would quote the answer
    throw new Error("an identity server's answer is not JSON");
  }
  if (repeatsMember(text)) throw new Error("an identity server's JSON repeats a member");
  return value;
}
