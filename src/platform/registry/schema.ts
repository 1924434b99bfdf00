import {
  foreignKey,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  unique,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import type { Recipient } from "#audit/accounting/facts";
import type { AgreementKind } from "#identity/agreement";
import type { AssertionProfile } from "#identity/assertion";
import type { SubjectField } from "#identity/certificate/subject";
import type { BreakGlassDemand } from "#identity/break-glass-demand";
import type { PublicJwk } from "#identity/jose/jwk";
import type { Statement } from "#policy/consent/consent";
import { noticeKinds, type DenialGround } from "#registry/case-document";
import type { AuthorityTask } from "#identity/authority/authority-document";
import type { ProposalDocument } from "#registry/proposal-document";
import type { IssuerEntry, OriginEntry } from "#registry/state";
import type { Instant } from "#kernel/clock";
import type { Region } from "#kernel/region";

// The registry's tables as migrations/ makes them. CHECKs and triggers live in the SQL alone;
// test/platform/control/schema.test.ts holds the two together.

const moment = (name: string) => integer(name).$type<Instant>();

export const issuers = sqliteTable("issuers", {
  iss: text("iss").primaryKey(),
  jwks: text("jwks", { mode: "json" }).$type<{ keys: PublicJwk[] }>(),
  jwksUri: text("jwks_uri"),
  algs: text("algs", { mode: "json" }).$type<IssuerEntry["algs"]>().notNull(),
  audience: text("audience").notNull(),
  purpose: text("purpose", { mode: "json" }).$type<IssuerEntry["purpose"]>().notNull(),
  claims: text("claims", { mode: "json" }).$type<IssuerEntry["claims"]>().notNull(),
  introspection: text("introspection", { mode: "json" }).$type<NonNullable<IssuerEntry["introspection"]>>(),
  endpoints: text("endpoints", { mode: "json" }).$type<NonNullable<IssuerEntry["endpoints"]>>(),
});

export const clients = sqliteTable(
  "clients",
  {
    id: text("id").primaryKey(),
    kind: text("kind").notNull(),
    status: text("status", { enum: ["active", "suspended"] }).notNull(),
    auth: text("auth", { enum: ["private_key_jwt", "tls_client_auth", "external"] }).notNull(),
    issuer: text("issuer").references(() => issuers.iss),
    externalClientId: text("external_client_id"),
    jwks: text("jwks", { mode: "json" }).$type<{ keys: PublicJwk[] }>(),
    jwksUri: text("jwks_uri"),
    assertionProfile: text("assertion_profile").$type<AssertionProfile>().notNull(),
    dpop: integer("dpop", { mode: "boolean" }).notNull(),
    patient: text("patient"),
    unboundUntil: moment("unbound_until"),
    selfSigned: integer("self_signed", { mode: "boolean" }).notNull().default(false),
    corsOrigins: text("cors_origins", { mode: "json" }).$type<string[]>().notNull().default([]),
    region: text("region").$type<Region>(),
    regionSince: moment("region_since"),
    organization: text("organization", { mode: "json" }).$type<string[]>(),
    entity: text("entity", { mode: "json" }).$type<Recipient>(),
    idPrefix: text("id_prefix"),
  },
  (table) => [uniqueIndex("clients_external").on(table.issuer, table.externalClientId)],
);

export const certificates = sqliteTable(
  "certificates",
  {
    client: text("client")
      .notNull()
      .references(() => clients.id),
    x5t: text("x5t").notNull(),
    notBefore: moment("not_before"),
    notAfter: moment("not_after"),
  },
  (table) => [primaryKey({ columns: [table.client, table.x5t] })],
);

export const certificateSubjects = sqliteTable(
  "certificate_subjects",
  {
    client: text("client")
      .notNull()
      .references(() => clients.id),
    issuerDn: text("issuer_dn").notNull(),
    field: text("field").$type<SubjectField>().notNull(),
    value: text("value").notNull(),
  },
  (table) => [primaryKey({ columns: [table.client, table.issuerDn, table.field, table.value] })],
);

export const agreements = sqliteTable(
  "agreements",
  {
    id: text("id").primaryKey(),
    client: text("client")
      .notNull()
      .references(() => clients.id),
    begins: moment("begins").notNull(),
    ends: moment("ends").notNull(),
    documentHash: text("document_hash").notNull(),
    kind: text("kind").$type<AgreementKind>(),
  },
  (table) => [unique().on(table.id, table.client)],
);

export const agreementPurposes = sqliteTable(
  "agreement_purposes",
  {
    agreement: text("agreement")
      .notNull()
      .references(() => agreements.id),
    purpose: text("purpose").notNull(),
  },
  (table) => [primaryKey({ columns: [table.agreement, table.purpose] })],
);

export const policies = sqliteTable("policies", {
  digest: text("digest").primaryKey(),
  name: text("name").notNull(),
  body: text("body", { mode: "json" }).notNull(),
});

export const policyPurposes = sqliteTable(
  "policy_purposes",
  {
    policy: text("policy")
      .notNull()
      .references(() => policies.digest),
    purpose: text("purpose").notNull(),
  },
  (table) => [primaryKey({ columns: [table.policy, table.purpose] })],
);

export const origins = sqliteTable("origins", {
  name: text("name").primaryKey(),
  url: text("url").notNull(),
  forwardClientCert: integer("forward_client_cert", { mode: "boolean" }).notNull().default(false),
  signInAt: text("sign_in_at").references(() => issuers.iss),
  alsoKnownAs: text("also_known_as", { mode: "json" }).$type<string[]>(),
  transactions: text("transactions", { enum: ["atomic", "partial"] }),
  honoursIfMatchOnDelete: integer("honours_if_match_on_delete", { mode: "boolean" }),
  capabilities: text("capabilities", { mode: "json" }).$type<NonNullable<OriginEntry["capabilities"]>>(),
  leasedWrites: text("leased_writes", { mode: "json" }).$type<NonNullable<OriginEntry["leasedWrites"]>>(),
  acceptsSearchInUrl: integer("accepts_search_in_url", { mode: "boolean" }),
  limits: text("limits", { mode: "json" }).$type<NonNullable<OriginEntry["limits"]>>(),
  organization: text("organization", { mode: "json" }).$type<string[]>(),
  consents: text("consents", { mode: "json" }).$type<NonNullable<OriginEntry["consents"]>>(),
  credentials: text("credentials", { mode: "json" }).$type<OriginEntry["credentials"]>().notNull(),
  headers: text("headers", { mode: "json" }).$type<NonNullable<OriginEntry["headers"]>>(),
  storage: text("storage", { mode: "json" }).$type<NonNullable<OriginEntry["storage"]>>(),
});

/** The newest changes of the registry, which triggers list (migration 0035). Read as SQL. */
export const registryChanges = sqliteTable("registry_changes", {
  number: integer("number").primaryKey(),
  version: text("version").notNull().unique(),
  record: text("record").notNull(),
});

/** The last probe of each origin. Read and written as SQL (platform/origins). */
export const originProbes = sqliteTable("origin_probes", {
  origin: text("origin")
    .primaryKey()
    .references(() => origins.name, { onDelete: "cascade" }),
  probedAt: integer("probed_at").notNull(),
  probedBy: text("probed_by").notNull(),
  wrote: integer("wrote").notNull(),
  otherwise: text("otherwise").notNull(),
  parameters: text("parameters").notNull(),
});

export const grants = sqliteTable(
  "grants",
  {
    client: text("client")
      .notNull()
      .references(() => clients.id),
    origin: text("origin")
      .notNull()
      .references(() => origins.name),
    purpose: text("purpose").notNull(),
    agreement: text("agreement").notNull(),
    policy: text("policy").notNull(),
    scopes: text("scopes").notNull(),
    quotaRequests: integer("quota_requests").notNull(),
    quotaWindowSeconds: integer("quota_window_seconds").notNull(),
    revision: integer("revision").notNull(),
    signedRequests: integer("signed_requests", { mode: "boolean" }).notNull().default(false),
    signedResponses: integer("signed_responses", { mode: "boolean" }).notNull().default(false),
    subjectQuotaRequests: integer("subject_quota_requests"),
    subjectQuotaWindowSeconds: integer("subject_quota_window_seconds"),
    recordQuotaRecords: integer("record_quota_records"),
    recordQuotaWindowSeconds: integer("record_quota_window_seconds"),
    keyedWrites: integer("keyed_writes", { mode: "boolean" }).notNull().default(false),
    breakGlass: text("break_glass", { mode: "json" }).$type<BreakGlassDemand>(),
    measureElements: integer("measure_elements", { mode: "boolean" }).notNull().default(false),
  },
  (table) => [
    primaryKey({ columns: [table.client, table.origin, table.purpose] }),
    foreignKey({
      columns: [table.agreement, table.client],
      foreignColumns: [agreements.id, agreements.client],
    }),
    foreignKey({
      columns: [table.agreement, table.purpose],
      foreignColumns: [agreementPurposes.agreement, agreementPurposes.purpose],
    }),
    foreignKey({
      columns: [table.policy, table.purpose],
      foreignColumns: [policyPurposes.policy, policyPurposes.purpose],
    }),
  ],
);

export const consents = sqliteTable(
  "consents",
  {
    origin: text("origin").notNull(),
    subject: text("subject").notNull(),
    consent: text("consent").notNull(),
    change: integer("change").notNull(),
    digest: text("digest").notNull(),
    form: text("form").notNull(),
    isActive: integer("is_active", { mode: "boolean" }).notNull(),
    mayPermit: integer("may_permit", { mode: "boolean" }).notNull(),
    filedBy: text("filed_by"),
    filedAt: integer("filed_at").$type<Instant>().notNull(),
    keyId: text("key_id"),
    consentKeyId: text("consent_key_id"),
    recordedAs: text("recorded_as"),
  },
  (table) => [
    primaryKey({ columns: [table.subject, table.consent, table.change] }),
    index("consents_by_consent").on(table.consent),
    index("consents_by_key").on(table.keyId),
    index("consents_by_consent_key").on(table.consentKeyId),
  ],
);

export const consentReadings = sqliteTable("consent_readings", {
  subject: text("subject").primaryKey(),
  readAt: integer("read_at").$type<Instant>().notNull(),
  seen: text("seen", { mode: "json" }).$type<readonly string[]>().notNull(),
  claim: integer("claim").notNull(),
  claimedUntil: integer("claimed_until").$type<Instant>().notNull(),
  keyId: text("key_id"),
});

export const reviews = sqliteTable("reviews", {
  id: text("id").primaryKey(),
  openedAt: integer("opened_at").$type<Instant>().notNull(),
  requestId: text("request_id").notNull(),
  client: text("client").notNull(),
  origin: text("origin").notNull(),
  purpose: text("purpose").notNull(),
  closedAt: integer("closed_at").$type<Instant>(),
  closedBy: text("closed_by"),
  finding: text("finding", { enum: ["justified", "unjustified"] }),
  until: integer("until").$type<Instant>(),
  note: text("note"),
});

export const cases = sqliteTable(
  "cases",
  {
    id: text("id").primaryKey(),
    receivedAt: integer("received_at").$type<Instant>().notNull(),
    requestId: text("request_id").notNull(),
    client: text("client").notNull(),
    origin: text("origin").notNull(),
    patient: text("patient").notNull(),
    resource: text("resource"),
    extendedAt: integer("extended_at").$type<Instant>(),
    extendedBy: text("extended_by"),
    extensionLetter: text("extension_letter"),
    amendedAt: integer("amended_at").$type<Instant>(),
    amendedBy: text("amended_by"),
    amendedRequest: text("amended_request"),
    decidedAt: integer("decided_at").$type<Instant>(),
    decidedBy: text("decided_by"),
    decision: text("decision", { enum: ["accepted", "denied", "partly-denied"] }),
    reasons: text("reasons", { mode: "json" }).$type<readonly DenialGround[]>(),
    denialLetter: text("denial_letter"),
    disputed: text("disputed", { mode: "json" }).$type<readonly string[]>(),
    statedAt: integer("stated_at").$type<Instant>(),
    statedBy: text("stated_by"),
    statement: text("statement", { mode: "json" }).$type<Statement>(),
    amendedRows: text("amended_rows", { mode: "json" }).$type<readonly string[]>(),
    informedBy: text("informed_by"),
    disagreements: text("disagreements", { mode: "json" }).$type<
      Readonly<Record<string, { readonly at: Instant; readonly resource: string | null }>>
    >(),
  },
  (table) => [index("cases_by_resource").on(table.origin, table.resource)],
);

export const caseNotices = sqliteTable(
  "case_notices",
  {
    caseId: text("case_id").notNull(),
    kind: text("kind", { enum: noticeKinds }).notNull(),
    recipient: text("recipient").notNull(),
    notedAt: moment("noted_at").notNull(),
    notedBy: text("noted_by").notNull(),
    lastAt: integer("last_at"),
    purposes: text("purposes", { mode: "json" }).$type<readonly string[]>(),
    endedAt: moment("ended_at"),
    endedBy: text("ended_by"),
    letter: text("letter"),
    reason: text("reason"),
  },
  (table) => [primaryKey({ columns: [table.caseId, table.kind, table.recipient] })],
);

export const operators = sqliteTable("operators", {
  id: text("id").primaryKey(),
  status: text("status", { enum: ["active", "suspended"] }).notNull(),
  x5t: text("x5t").notNull().unique(),
  roles: text("roles", { mode: "json" }).$type<readonly string[]>().notNull(),
  kind: text("kind", { enum: ["person", "machine"] })
    .notNull()
    .default("person"),
  // operators may write it by hand: read it with `signInDemand`
  signIn: text("sign_in", { mode: "json" }).$type<unknown>(),
});

export const proposals = sqliteTable(
  "proposals",
  {
    id: text("id").primaryKey(),
    kind: text("kind", { enum: ["change", "lift", "elevation", "operator"] }).notNull(),
    body: text("body", { mode: "json" }).$type<ProposalDocument>().notNull(),
    digest: text("digest").notNull(),
    expects: text("expects"),
    why: text("why").notNull(),
    proposedAt: integer("proposed_at").$type<Instant>().notNull(),
    expiresAt: integer("expires_at").$type<Instant>().notNull(),
    proposedBy: text("proposed_by").notNull(),
    proposerIssuer: text("proposer_issuer").notNull(),
    proposerSubject: text("proposer_subject").notNull(),
    state: text("state", { enum: ["open", "approved", "closed"] })
      .notNull()
      .default("open"),
    decidedAt: integer("decided_at").$type<Instant>(),
    decidedBy: text("decided_by"),
    deciderIssuer: text("decider_issuer"),
    deciderSubject: text("decider_subject"),
    note: text("note"),
  },
  (table) => [index("proposals_by_state").on(table.state, table.proposedAt)],
);

export const elevations = sqliteTable(
  "elevations",
  {
    proposal: text("proposal")
      .primaryKey()
      .references(() => proposals.id),
    operator: text("operator")
      .notNull()
      .references(() => operators.id),
    role: text("role").notNull(),
    ends: integer("ends").$type<Instant>().notNull(),
  },
  (table) => [index("elevations_by_operator").on(table.operator, table.ends)],
);

export const authorities = sqliteTable(
  "authorities",
  {
    id: text("id").primaryKey(),
    client: text("client").notNull(),
    person: text("person").notNull(),
    token: text("token").notNull(),
    origin: text("origin").notNull(),
    purpose: text("purpose").notNull(),
    agreement: text("agreement").notNull(),
    boundTo: text("bound_to").notNull(),
    task: text("task").$type<AuthorityTask>().notNull(),
    madeAt: moment("made_at").notNull(),
    endsAt: moment("ends_at").notNull(),
    endedAt: moment("ended_at"),
    endedBy: text("ended_by"),
    evidence: text("evidence"),
  },
  (table) => [
    index("authorities_by_client").on(table.client, table.person),
    index("authorities_by_person").on(table.person),
    index("authorities_by_token").on(table.token),
    index("authorities_by_end").on(table.endsAt),
    index("authorities_by_early_end").on(table.endedAt),
  ],
);
