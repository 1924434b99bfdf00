import { fitting, mapped, objectOf, passing, textOf } from "#kernel/value-shape";

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

const metadata = mapped(
  objectOf({ issuer: textOf(), jwks_uri: passing(textOf(1, 2_048), isHttpsUrl) }),
  ({ issuer, jwks_uri: jwksUri }): IssuerMetadata => ({ issuer, jwksUri }),
);

/** RFC 8414 §2. Undefined for a document that is no metadata. */
export function readMetadata(document: unknown): IssuerMetadata | undefined {
  return fitting(metadata(document));
}

function isHttpsUrl(text: string): boolean {
  return /^https:\/\/\S+$/iu.test(text) && URL.canParse(text);
}
