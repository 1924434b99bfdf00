import * as z from "zod";
import type { AssertionProfile } from "./assertion.ts";
import { publicJwks } from "./jwk.ts";
import { purposePattern } from "./purpose.ts";

const slug = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/u);
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u);
const purpose = z.string().regex(purposePattern).meta({ description: "A code of v3-PurposeOfUse, such as TREAT." });
const text = z.string().min(1).max(256);
const secretName = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/u)
  .meta({ description: "Name of a secret of the gateway; never the secret." });
const httpsUrl = z.url({ protocol: /^https$/u }).max(2_048);
const moment = z
  .union([z.iso.datetime({ offset: true }), z.iso.date()])
  .meta({ description: "RFC 3339. A date alone is its first moment in UTC." });

const issuer = z.strictObject({
  iss: httpsUrl,
  jwks: publicJwks.optional(),
  jwksUri: httpsUrl.optional(),
  algs: z.array(z.enum(["PS256", "ES256", "EdDSA", "Ed25519"])).min(1),
  audience: text,
  purpose: z.union([z.strictObject({ claim: text }), z.strictObject({ fixed: z.array(purpose).min(1) })]),
  claims: z
    .strictObject({ client: text.optional(), patient: text.optional(), fhirUser: text.optional(), scope: text.optional() })
    .optional(),
});

const thumbprint = z.string().regex(/^[A-Za-z0-9_-]{43}$/u);
const pem = z
  .string()
  .max(16_384)
  .regex(/^\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*$/u);

const client = z.strictObject({
  id,
  kind: slug.meta({ description: "What it is, for people who read: telehealth, payer, public-health …" }),
  status: z.enum(["active", "suspended"]).default("active"),
  auth: z.enum(["private_key_jwt", "tls_client_auth", "external"]),
  issuer: httpsUrl.optional().meta({ description: "iss of the external issuer it comes from." }),
  externalClientId: text.optional(),
  jwks: publicJwks.optional(),
  jwksUri: httpsUrl.optional(),
  certificates: z
    .array(z.union([thumbprint, pem]))
    .max(16)
    .default([])
    .meta({ description: "Each a PEM certificate or its x5t#S256; several at once for rotation." }),
  assertionProfile: z.enum(["fapi2", "smart"] satisfies AssertionProfile[]).default("fapi2"),
  dpop: z.boolean().default(false),
  patient: z
    .string()
    .regex(/^[A-Za-z0-9.-]{1,64}$/u)
    .optional()
    .meta({ description: "Only narrows: the token's patient must equal it." }),
});

const agreement = z.strictObject({
  id,
  client: id,
  purposes: z.array(purpose).min(1).max(16),
  from: moment,
  to: moment.meta({ description: "The first moment at which it is no longer in force." }),
  documentHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/u)
    .meta({ description: "SHA-256 of the signed document in hex." }),
});

const policy = z.strictObject({ name: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/u), body: z.unknown() });

const quota = z.strictObject({
  requests: z.int().min(1).max(1_000_000_000),
  windowSeconds: z
    .int()
    .min(1)
    .max(31 * 86_400),
});

const grant = z.strictObject({
  client: id,
  origin: slug,
  purpose,
  agreement: id,
  policy: text.meta({ description: "Digest of a policy, or the name of one in this file." }),
  scopes: z.string().min(1).max(4_096).meta({ description: "SMART scopes, separated by spaces: system/*.rs" }),
  quotas: z.strictObject({ default: quota }),
});

const origin = z.strictObject({
  name: slug,
  url: z
    .url({ protocol: /^https?$/u })
    .max(2_048)
    .regex(/^https?:\/\/[^?#@\s]+[^/?#@\s]$/u)
    .meta({ description: "FHIR base without a trailing slash. http only on a loopback host." }),
  credentials: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("none") }),
    z.strictObject({ kind: z.literal("bearer"), secret: secretName }),
    z.strictObject({ kind: z.literal("private_key_jwt"), secret: secretName, clientId: text, tokenEndpoint: httpsUrl }),
    z.strictObject({ kind: z.literal("mtls"), binding: secretName }),
  ]),
});

const list = <T extends z.ZodType>(each: T) => z.array(each).max(1_000).default([]);

/** The registry file (DESIGN §5). Strict; `z.toJSONSchema(registryDocument, { io: "input" })` is its published schema. */
export const registryDocument = z.strictObject({
  $schema: z.string().optional(),
  issuers: list(issuer),
  clients: list(client),
  agreements: list(agreement),
  policies: list(policy),
  grants: list(grant),
  origins: list(origin),
});

export type RegistryDocument = z.infer<typeof registryDocument>;

/** What is wrong with a registry file, and where (RFC 6901). Never quotes a value. */
export interface RegistryProblem {
  readonly reason: "invalid" | "unsupported" | "clash";
  readonly pointer: string;
  readonly problem: string;
}

export function pointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
