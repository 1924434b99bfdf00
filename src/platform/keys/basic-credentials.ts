import type { Secret } from "#kernel/secret";

/** An `Authorization` header with a client's secret. RFC 6749 §2.3.1: each part is form-encoded first. */
export function basicCredentials(clientId: string, secret: Secret): string {
  const pair = `${encoded(clientId)}:${encoded(secret.reveal())}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

const encoded = (text: string): string => new URLSearchParams({ "": text }).toString().slice(1);
