import * as z from "zod/mini";

const openId = "/.well-known/openid-configuration";
const oauth = "/.well-known/oauth-authorization-server";

/**
 * The URLs at which an issuer publishes its metadata: OpenID Connect Discovery §4.1 puts the name behind
 * its path, RFC 8414 §3.1 before it.
 */
export function metadataUrls(iss: string): readonly string[] {
  const { origin, pathname } = new URL(iss);
  const path = pathname.replace(/\/$/u, "");
  return [`${origin}${path}${openId}`, `${origin}${oauth}${path}`];
}

/**
 * True for the URL of metadata, false for the URL of keys. Some issuers publish their keys right below.
 */
export function isMetadataUrl(address: string): boolean {
  const { pathname } = new URL(address);
  return pathname.endsWith(openId) || pathname === oauth || pathname.startsWith(`${oauth}/`);
}

/** The members of an issuer's metadata that count here. */
export interface IssuerMetadata {
  /** The issuer that the metadata claim to describe. */
  readonly issuer: string;
  readonly jwksUri: string;
}

const metadata = z.object({
  issuer: z.string(),
  jwks_uri: z.url({ protocol: /^https$/u }).check(z.maxLength(2_048)),
});

/** RFC 8414 §2. Undefined for a document that is no metadata. */
export function readMetadata(document: unknown): IssuerMetadata | undefined {
  const read = metadata.safeParse(document);
  return read.success ? { issuer: read.data.issuer, jwksUri: read.data.jwks_uri } : undefined;
}
