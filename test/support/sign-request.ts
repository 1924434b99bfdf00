import { Buffer } from "node:buffer";
import { serializeInnerList, type BareItem, type Item } from "structured-headers";
import { requestTag, signatureBase, type SignableRequest } from "#identity/request-signature";
import type { Key } from "./credentials.ts";

/** The components and parameters of a signature. A parameter with the value `undefined` is left out. */
export interface Signing {
  readonly parts: readonly string[];
  readonly created: number | string | undefined;
  readonly expires?: number;
  readonly nonce?: string;
  readonly keyid?: string | undefined;
  readonly alg?: string;
  readonly tag?: string | undefined;
}

const algorithms = {
  ES256: { name: "ECDSA", hash: "SHA-256" },
  PS256: { name: "RSA-PSS", saltLength: 32 },
  EdDSA: { name: "Ed25519" },
} as const;

/** The two header fields of a signed request (RFC 9421 §4.1, §4.2). */
export async function signedFields(
  { alg, privateKey, jwk }: Key,
  request: Omit<SignableRequest, "body">,
  { parts, ...said }: Signing,
): Promise<{ readonly "signature-input": string; readonly signature: string }> {
  const parameters = Object.entries({ keyid: jwk.kid, tag: requestTag, ...said }).flatMap(
    ([name, value]): [string, BareItem][] => (value === undefined ? [] : [[name, value]]),
  );
  const items = parts.map((part): Item => [part, new Map()]);
  const text = serializeInnerList([items, new Map(parameters)]);
  // An absent component is signed as if it were empty: the verifier decides if it may be covered.
  const base = signatureBase(parts, text, request);
  const how = Object.entries(algorithms).find(([name]) => name === alg)?.[1];
  if (how === undefined) throw new Error(`${alg} signs no requests`);
  const signature = await crypto.subtle.sign(
    how,
    privateKey,
    new TextEncoder().encode(base.ok ? base.value : ""),
  );
  return {
    "signature-input": `sig=${text}`,
    signature: `sig=:${Buffer.from(signature).toString("base64")}:`,
  };
}
