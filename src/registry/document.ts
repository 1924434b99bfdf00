import * as z from "zod";
import { agreementKinds } from "#identity/agreement";
import type { AssertionProfile } from "#identity/assertion";
import { keysMax, keyTypes, publicJwks, tokenAlgorithms } from "#identity/jose/jwk";
import { privateMembers } from "#identity/jose/private-keys";
import { breakGlassDemand } from "#identity/break-glass-demand";
import { purposePattern } from "#identity/purpose";
import { sha256Form } from "#kernel/encoded";
import { parameterName, typeName } from "#fhir/r4/names";
import { isStorageBase, originTimeoutSecondsMax, typeInteractions } from "#fhir/origin";
import { regions } from "#kernel/region";
import { Misfit } from "#kernel/value-shape";

export const slug = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/u);
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u);
const purpose = z
  .string()
  .regex(purposePattern)
  .meta({ description: "A code of v3-PurposeOfUse, for example TREAT." });
const text = z.string().min(1).max(256);
const secretName = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/u)
  .meta({ description: "Name of a secret in the gateway's configuration; never the secret itself." });
const httpsUrl = z.url({ protocol: /^https$/u }).max(2_048);
// The URL of a server that the gateway calls: no user, no fragment, no character that two URL parsers read
// differently.
const serverUrl = httpsUrl.regex(/^[^#@\s\\]*$/u);
const moment = z
  .union([z.iso.datetime({ offset: true }), z.iso.date()], {
    error: "must be a date or a time as RFC 3339 writes it: 2027-01-01 or 2027-01-01T00:00:00Z",
  })
  .meta({ description: "RFC 3339. A date alone means its first moment in UTC." });

const claim = z
  .union([z.string().regex(/^[^.\s]+(?:\.[^.\s]+)*$/u), z.string().regex(/^https?:\/\/\S+$/u)])
  .check(z.maxLength(256))
  .meta({
    description:
      "Dotted path of a claim (`a.b`, never through an array). A name that begins with https:// is a single claim, dots included.",
  });

const introspection = z.strictObject({
  endpoint: serverUrl.meta({
    description: "The introspection endpoint. Its host must be in IDENTITY_HOSTS.",
  }),
  clientId: text.meta({ description: "The gateway's client id at the issuer." }),
  credentials: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("client_secret_basic"), secret: secretName }),
    z.strictObject({ kind: z.literal("private_key_jwt"), secret: secretName }),
  ]),
});

/**
 * SMART App Launch 2.2, conformance, "Capability Sets": all but `smart-app-state`, since the gateway stores
 * nothing for apps.
 */
const smartCapability = z.enum([
  "launch-ehr",
  "launch-standalone",
  "authorize-post",
  "client-public",
  "client-confidential-symmetric",
  "client-confidential-asymmetric",
  "sso-openid-connect",
  "context-banner",
  "context-style",
  "context-ehr-patient",
  "context-ehr-encounter",
  "context-standalone-patient",
  "context-standalone-encounter",
  "permission-offline",
  "permission-online",
  "permission-patient",
  "permission-user",
  "permission-v1",
  "permission-v2",
]);

const supported = (description: string) =>
  z
    .array(z.string().regex(/^[A-Za-z0-9:._-]{1,128}$/u))
    .min(1)
    .max(16)
    .optional()
    .meta({ description });

const signInEndpoints = z.strictObject({
  authorization: serverUrl.meta({ description: "The authorization endpoint, to which an app sends people." }),
  token: serverUrl.meta({
    description:
      "The token endpoint, at which an app exchanges the code. It must enforce S256 code challenges.",
  }),
  jwks: serverUrl
    .optional()
    .meta({ description: "URL of the keys for ID tokens. Default: jwksUri, if that is a URL of keys." }),
  introspection: serverUrl.optional(),
  revocation: serverUrl.optional(),
  registration: serverUrl.optional(),
  management: serverUrl
    .optional()
    .meta({ description: "The page on which people see and end the permissions of apps." }),
  grantTypes: supported(
    "The grants of the token endpoint, such as client_credentials if machines get their tokens there. Default: authorization_code.",
  ),
  authMethods: supported("How clients prove themselves there, such as private_key_jwt."),
  signingAlgs: supported("The algorithms of the assertions of private_key_jwt, such as RS384 and ES384."),
  capabilities: z.array(smartCapability).min(1).max(32).meta({
    description:
      "SMART App Launch capabilities of the issuer; for permission-…, also of this gateway. Apps see exactly this list.",
  }),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/u))
    .max(256)
    .default([])
    .meta({ description: "The scopes that an app may request; published unchanged." }),
});

/** `publicJwks` reads a key set; the keywords are for the published schema alone. */
const keySet = (z.unknown() as z.ZodType<unknown, { keys: Readonly<Record<string, unknown>>[] }>)
  .transform((value, { issues }) => {
    const read = publicJwks(value);
    if (!(read instanceof Misfit)) return read;
    issues.push({ code: "custom", message: read.problem, path: [...read.path], input: value });
    return z.NEVER;
  })
  .meta({
    type: "object",
    properties: {
      keys: {
        minItems: 1,
        maxItems: keysMax,
        type: "array",
        items: {
          type: "object",
          properties: {
            kty: { type: "string", enum: keyTypes },
            ...Object.fromEntries(privateMembers.map((name) => [name, { not: {} }])),
          },
          required: ["kty"],
          additionalProperties: {},
        },
      },
    },
    required: ["keys"],
  });

const issuer = z.strictObject({
  iss: httpsUrl.regex(/^[^?#@\s]*$/u).meta({ description: "The issuer's `iss`, exactly as in its tokens." }),
  jwks: z
    .optional(keySet)
    .meta({ description: "The issuer's public keys; only these keys verify its tokens." }),
  jwksUri: serverUrl.optional().meta({
    description:
      "In place of jwks: the URL of the issuer's keys, or of its metadata. The hosts must be in IDENTITY_HOSTS.",
  }),
  algs: z.array(z.enum(tokenAlgorithms)).max(tokenAlgorithms.length).default([]).meta({
    description:
      "The algorithms of its JWTs. Empty only for an issuer without keys, which is asked about each token.",
  }),
  introspection: introspection
    .optional()
    .meta({ description: "How the gateway asks the issuer about an opaque token (RFC 7662)." }),
  audience: text.meta({ description: "The value that `aud` of its tokens must contain." }),
  purpose: z
    .union([z.strictObject({ claim }), z.strictObject({ fixed: z.array(purpose).min(1).max(16) })])
    .meta({ description: "The purposes of use of its tokens: from a claim, or a fixed list." }),
  claims: z
    .strictObject({
      client: claim.optional(),
      patient: claim.optional(),
      fhirUser: claim.optional(),
      scope: claim.optional(),
      patientIsUser: z.boolean().optional().meta({
        description:
          "true: each person who signs in at the issuer is the patient of their token, never a parent, a representative or a clinician. Then a token without fhirUser is that of the individual.",
      }),
    })
    .default({})
    .meta({
      description: "Names of its tokens' claims. Default: client_id or else azp, patient, fhirUser, scope.",
    }),
  endpoints: signInEndpoints.optional().meta({
    description:
      "Sign-in endpoints for apps, published by each origin with this issuer in signInAt. The gateway itself calls none of them.",
  }),
});

const thumbprint = z.string().regex(sha256Form);
const pem = z
  .string()
  .max(16_384)
  .regex(/^\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*$/u);

const distinguishedName = z
  .string()
  .min(1)
  .max(1_024)
  .meta({ description: "As `openssl x509 -noout -subject -issuer -nameopt RFC2253` prints it." });
const hostName = z
  .string()
  .regex(/^(?:[A-Za-z0-9_](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}$/u)
  .max(253);
/** RFC 8705 §2.1.2: a single subject name, and the issuer that vouches for it. */
const named = <T extends z.ZodRawShape>(name: T) => z.strictObject({ issuerDn: distinguishedName, ...name });
const certificateSubject = z
  .union([
    named({ subjectDn: distinguishedName }),
    named({ sanDns: hostName }),
    named({ sanUri: z.url().max(1_024) }),
    named({ sanIp: z.union([z.ipv4(), z.ipv6()]) }),
    named({
      sanEmail: z
        .string()
        .regex(/^[^@\s]+@[^@\s]+$/u)
        .max(320),
    }),
  ])
  .meta({
    description:
      "Any certificate with this name (subjectDn, or a subjectAltName) from this authority; not with self_signed_tls_client_auth.",
  });

/** Identifiers of an organization, `system|value`: Consents name actors by them. */
const organization = z
  .array(z.string().regex(/^[^\s|]{1,256}\|[^\s|]{1,128}$/u))
  .min(1)
  .max(8)
  .optional();

/** A text that people read: no control or format character, and no line separator, lets it look like another. */
const shownText = (longest: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(longest)
    .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+$/u);
const entity = z.strictObject({ name: shownText(200), address: shownText(500).optional() }).optional();

const client = z.strictObject({
  id,
  kind: slug.meta({
    description:
      "The kind of client. hospital, laboratory, operations (a provider's own), patient, pharmacy, provider, public-health, research and telehealth are no health plan; each further kind may be one: it gets no service that the individual paid for in full (45 CFR 164.522(a)(1)(vi)) for payment or operations.",
  }),
  status: z.enum(["active", "suspended"]).default("active"),
  auth: z.enum(["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth", "external"]),
  issuer: httpsUrl
    .optional()
    .meta({ description: "iss of the external issuer of the client's tokens; only with auth external." }),
  externalClientId: text
    .optional()
    .meta({ description: "The client's id at that issuer; only with auth external." }),
  jwks: z.optional(keySet).meta({
    description:
      "The client's public keys, for its assertions (auth private_key_jwt) and its signed requests.",
  }),
  jwksUri: serverUrl.optional().meta({
    description: "In place of jwks: the URL of the client's keys. Its host must be in IDENTITY_HOSTS.",
  }),
  certificates: z
    .array(
      z.union([thumbprint, pem, certificateSubject], {
        error: "must be a certificate in PEM, its x5t#S256, or a name under an authority",
      }),
    )
    .max(16)
    .default([])
    .meta({
      description:
        "Each item is a PEM certificate, its x5t#S256, or a name under an authority. Several are allowed for rotation.",
    }),
  corsOrigins: z
    .array(
      z
        .url({ protocol: /^https?$/u })
        .regex(/^(?:https:\/\/[a-z0-9.-]+|http:\/\/(?:localhost|127\.0\.0\.1))(?::\d{1,5})?$/u),
    )
    .max(16)
    .default([])
    .meta({
      description:
        "Web pages with scripts that may read the answers, as browsers write them in Origin: https://app.example.org. http only on a loopback host.",
    }),
  assertionProfile: z.enum(["fapi2", "smart"] satisfies AssertionProfile[]).default("fapi2"),
  dpop: z.boolean().default(false).meta({
    description:
      "true: the client's tokens are bound to a key that it proves with each request (RFC 9449), not to a certificate.",
  }),
  patient: z
    .string()
    .regex(/^[A-Za-z0-9.-]{1,64}$/u)
    .optional()
    .meta({
      description:
        "Only narrows: the token's patient must equal it, and every scope is limited to that patient. Only with auth external.",
    }),
  region: z.enum(regions).optional().meta({
    description:
      "The client's home: the location hint of its guard and of the logs of its DPoP keys, such as weur. If LEDGER_REGIONS is set, one of its regions.",
  }),
  organization: organization.meta({
    description:
      "Identifiers of the organization behind the client, such as http://hl7.org/fhir/sid/us-npi|1234567893. A Consent that names its recipient by an identifier means this client by them.",
  }),
  entity: entity.meta({
    description:
      "The name of the entity behind the client, and its address if it is known, as accountings of disclosures name the recipient (45 CFR 164.528(b)(2)(ii)). Without it they name the client's id.",
  }),
  idPrefix: z
    .string()
    .regex(/^[A-Za-z0-9]{2,30}-$/u)
    .optional()
    .meta({
      description:
        "The client may create resources under ids of its choice (PUT) that begin with this prefix: letters and digits, and a hyphen at the end. No two clients have the same.",
    }),
  unboundUntil: moment.optional().meta({
    description:
      "An exception: until this time the client may use unbound tokens. At most 90 days ahead when the file is read. Only with auth external.",
  }),
});

const agreement = z.strictObject({
  id,
  client: id,
  purposes: z.array(purpose).min(1).max(16),
  from: moment,
  to: moment.meta({ description: "The first moment at which the agreement is no longer in force." }),
  kind: z.enum(agreementKinds).optional().meta({
    description:
      "The kind of agreement. A grant of a limited data set needs data-use (45 CFR 164.514(e)(4)).",
  }),
  documentHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/u, "must be a SHA-256 in hex: 64 characters of 0 to 9 and a to f")
    .meta({ description: "SHA-256 of the signed document in hex." }),
});

const policy = z.strictObject({ name: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/u), body: z.unknown() });

const quotaCount = z.int().min(1).max(1_000_000_000);
const windowSeconds = z
  .int()
  .min(1)
  .max(31 * 86_400);
const requestQuota = z.strictObject({ requests: quotaCount, windowSeconds });
const recordQuota = z.strictObject({ records: quotaCount, windowSeconds });

const grant = z.strictObject({
  client: id,
  origin: slug,
  purpose,
  agreement: id,
  policy: text.meta({ description: "Digest of a policy, or the name of a policy in this file." }),
  scopes: z
    .string()
    .min(1)
    .max(4_096)
    .meta({ description: "SMART scopes, separated by spaces: system/*.rs, patient/Observation.rs" }),
  quotas: z.strictObject({
    default: requestQuota.meta({ description: "All requests of the client under this grant." }),
    perSubject: requestQuota.optional().meta({
      description:
        "In addition, the requests of each subject of its tokens, so that a single user cannot use up the quota of all.",
    }),
    records: recordQuota.optional().meta({
      description:
        "The number of resources that may leave, over any number of requests. Nested resources count too.",
    }),
  }),
  breakGlass: z.optional(breakGlassDemand).meta({
    description:
      "Needed for the purposes BTG and ETREAT, and only for them: the client may declare an emergency for a person who signed in anew.",
  }),
  signedRequests: z
    .boolean()
    .default(false)
    .meta({ description: "true: each request must be signed by a key of the client's jwks (RFC 9421)." }),
  signedResponses: z
    .boolean()
    .default(false)
    .meta({ description: "true: each answer is signed by the gateway's own key (RFC 9421)." }),
  keyedWrites: z
    .boolean()
    .default(false)
    .meta({ description: "true: each write must have an Idempotency-Key, so that a repeat is done once." }),
  measureElements: z.boolean().default(false).meta({
    description:
      "true: the gateway counts which elements leave, by path and day, and the ledger records the counts. `phylax access review` then proposes to hide granted elements that never left.",
  }),
});

const fhirBase = z
  .url({ protocol: /^https?$/u })
  .max(2_048)
  .regex(/^https?:\/\/[^?#@\s]+[^/?#@\s]$/u);

const known = z.boolean().optional();

const originInteraction = z.enum(typeInteractions);

const capabilities = z
  .strictObject({
    updateAsCreate: known.meta({
      description: "PUT to a new id of the form `w-` and hexadecimal digits creates the resource.",
    }),
    honoursIfMatchOnUpdate: known.meta({
      description: "PUT replaces only the version that If-Match names.",
    }),
    honoursIfNoneExist: known.meta({
      description: "POST with If-None-Exist creates nothing if a resource already matches.",
    }),
    searchByPost: known.meta({ description: "POST to _search answers like the same search by GET." }),
    everything: z.enum(["with-type", "without-type", "none"]).optional().meta({
      description:
        "Patient/$everything. with-type: it takes _type with several types. without-type: it answers, but not with _type.",
    }),
    elements: known.meta({ description: "_elements is followed." }),
    chains: known.meta({
      description:
        "A search follows patient.general-practitioner=, and subject:Patient.general-practitioner=. A user with more than 1,000 patients may then search without the name of a patient.",
    }),
    total: known.meta({ description: "_total=accurate is followed." }),
    strict: known.meta({
      description:
        "A search with an unknown parameter is refused if the request says Prefer: handling=strict.",
    }),
    pageLinks: known.meta({
      description:
        "An answer that leaves rows out has a link to the next page. False: a full page is asked for again, with more rows. Not given: so is a full page that has no link at all.",
    }),
    pageMax: z.int().min(1).max(100_000).optional().meta({
      description:
        "Rows of the longest page that the server without paging links was seen to give: a list of fewer rows is whole. Without it each list of such a server may be cut, and is refused.",
    }),
    types: z
      .record(
        z.string().regex(typeName),
        z.strictObject({
          interactions: z.array(originInteraction).max(9),
          search: z
            .array(z.string().regex(parameterName))
            .max(256)
            .meta({ description: "The search parameters that the server evaluates, by code." }),
        }),
      )
      .optional()
      .meta({ description: "The resource types of the server. A type that is not listed is not offered." }),
  })
  .meta({
    description:
      "What the server can do, as `phylax origin probe` found it. A member that is not given is unknown: reads are sent as R4 defines them, and writes that depend on it are refused.",
  });

const binding = secretName.optional().meta({
  description: "A binding that shows the gateway's client certificate to the server, beside the token.",
});

/** RFC 6749 §4.4: what the gateway tells a token endpoint. */
const tokenRequest = {
  secret: secretName,
  clientId: text,
  tokenEndpoint: serverUrl.meta({ description: "Its host must be in IDENTITY_HOSTS." }),
  scope: text.default("system/*.rs"),
  form: z
    .record(
      z.string().regex(/^(?!(?:grant_type|scope|client_.*)$)[a-z][a-z_]{0,63}$/u),
      z.string().min(1).max(1_024),
    )
    .refine((form) => Object.keys(form).length <= 8, "a token request has at most 8 further fields")
    .optional()
    .meta({ description: "Further fields of the token request, such as `resource` or `audience`." }),
  binding,
};

/** A header of RFC 9110 that the gateway does not write itself. Two writers of one header would contradict. */
const originHeader = z
  .string()
  .regex(
    /^(?!(?:accept|client-cert|connection|content-.*|cookie|expect|forwarded|host|if-.*|keep-alive|prefer|proxy-.*|te|trace.*|trailer|transfer-encoding|upgrade|x-forwarded-.*)$)[a-z][a-z0-9-]{0,63}$/u,
  );
/** RFC 9110 §5.5, without spaces at the ends. */
const headerValue = z.string().regex(/^[!-~](?:[ -~]{0,1022}[!-~])?$/u);

const givenHeader = [z.strictObject({ value: headerValue }), z.strictObject({ secret: secretName })] as const;
const areFew = (headers: object) => Object.keys(headers).length <= 8;
const tooMany = "a server has at most 8 headers";
const storageHeaders = z.record(originHeader, z.union(givenHeader)).refine(areFew, tooMany);
/** The gateway writes `traceparent` itself, where the entry asks for it. */
const originHeaders = z
  .record(
    z.union([originHeader, z.literal("traceparent")]),
    z.union([...givenHeader, z.strictObject({ from: z.literal("trace") })]),
  )
  .refine(areFew, tooMany)
  .refine(
    (headers) =>
      Object.entries(headers).every(([name, given]) => (name === "traceparent") === "from" in given),
    "traceparent, and no other header, comes from the trace",
  );

const origin = z.strictObject({
  name: slug,
  url: fhirBase.meta({ description: "FHIR base without a trailing slash. http only on a loopback host." }),
  alsoKnownAs: z.array(fhirBase).min(1).max(8).optional().meta({
    description:
      "Further FHIR bases that this server uses for itself in links, references and texts, each without a trailing slash. They are recognised and hidden from clients like `url`; the gateway never calls them.",
  }),
  credentials: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("none") }),
    z.strictObject({ kind: z.literal("bearer"), secret: secretName, binding }),
    z.strictObject({
      kind: z.literal("private_key_jwt"),
      ...tokenRequest,
      audience: text.optional().meta({
        description:
          "The audience of the gateway's assertions. Default: tokenEndpoint (SMART); FAPI 2.0 requires the issuer.",
      }),
    }),
    z.strictObject({ kind: z.literal("client_secret_basic"), ...tokenRequest }),
    z.strictObject({ kind: z.literal("client_secret_post"), ...tokenRequest }),
    z.strictObject({ kind: z.literal("mtls"), binding: secretName }),
  ]),
  headers: originHeaders.optional().meta({
    description:
      "Headers of each request to the server, in lower case, such as an API key: a value, or the name of a secret. With `traceparent` from the trace the server receives the ids of a traced request. `authorization` only with the credentials `none` or `mtls`, which do not write it.",
  }),
  forwardClientCert: z.boolean().default(false).meta({
    description:
      "true: the server receives the client's certificate, if there is one, as Client-Cert (RFC 9440).",
  }),
  transactions: z.enum(["atomic", "partial"]).optional().meta({
    description:
      "How the server does a transaction. atomic: all of its entries or none. partial: the operator accepts that it may do only some. Without this field a transaction of several writes is refused.",
  }),
  honoursIfMatchOnDelete: z.boolean().optional().meta({
    description:
      "true: the server deletes only the version that If-Match names. Without this field a DELETE is refused.",
  }),
  leasedWrites: z
    .array(z.enum(["update", "delete"]))
    .min(1)
    .max(2)
    .optional()
    .meta({
      description:
        "The operator accepts these writes although the server does not honour If-Match on them. The gateway leases the row and reads it again before it sends. A writer beside the gateway may be overwritten unseen.",
    }),
  capabilities: capabilities.optional(),
  acceptsSearchInUrl: z.boolean().optional().meta({
    description:
      "true: where capabilities say that the server takes no POST to _search, the gateway asks by GET, and the criteria stand in the URLs of its requests.",
  }),
  limits: z
    .strictObject({
      timeoutSeconds: z.int().min(1).max(originTimeoutSecondsMax).optional().meta({
        description:
          "For one question, from the request to the last byte of the answer. Default: 10. An attempt under an Idempotency-Key, which asks twice at most, ends before a repeat may take over.",
      }),
      concurrent: z.int().min(1).max(10_000).optional().meta({
        description: "Calls to this server at once, in one isolate of the gateway. Default: 256.",
      }),
      concurrentPerClient: z.int().min(1).max(10_000).optional().meta({
        description: "Of these calls, those for one client. Default: 128.",
      }),
    })
    .optional(),
  storage: z
    .array(
      z.strictObject({
        base: z.url().max(1_024).refine(isStorageBase, "must be a plain URL that ends with a slash").meta({
          description:
            "The URLs of attachments below this base lead to content that the gateway fetches. https, but http on a loopback host. Its host must be in ORIGIN_HOSTS.",
        }),
        headers: storageHeaders.optional().meta({
          description:
            "Headers of each request to this base. Without this field the gateway shows no credentials.",
        }),
        bytesMax: z.int().min(1).max(999_999_999).default(104_857_600).meta({
          description: "A longer content is not disclosed.",
        }),
      }),
    )
    .min(1)
    .max(8)
    .optional()
    .meta({
      description:
        "Where the content of attachments is stored outside of the server. Clients get sealed links in place of these URLs, and may not write the URLs.",
    }),
  consents: z
    .strictObject({
      readEverySeconds: z.int().min(60).max(86_400).meta({
        description:
          "The Consents of each patient of a request are read at the server again after this time, so a Consent that was changed there behind the gateway counts.",
      }),
      verified: z.enum(["origin", "verification"]).optional().meta({
        description:
          "The server is the source of Consents, and the gateway writes none there. Its Consents permit: each of them (origin), or those with a verification that is verified (verification). Without this field its Consents deny, and permit nothing.",
      }),
    })
    .optional(),
  organization: organization.meta({
    description:
      "Identifiers of the organization that discloses from this server, such as its NPI. A Consent names it as custodian or performer.",
  }),
  signInAt: httpsUrl.optional().meta({
    description: "iss of an issuer with endpoints: SMART apps send people there to sign in.",
  }),
});

/** The members of an origin's entry that `phylax origin probe` finds. */
export const probedMembers = origin.pick({
  alsoKnownAs: true,
  transactions: true,
  honoursIfMatchOnDelete: true,
  capabilities: true,
});

const list = <T extends z.ZodType>(each: T) => z.array(each).max(1_000).default([]);

/**
 * The registry file (docs/registry.md). Strict; `z.toJSONSchema(registryDocument, { io: "input" })` is its
 * published schema.
 */
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
