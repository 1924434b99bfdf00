import { beforeAll, test } from "vitest";
import { instant } from "#kernel/clock";
import { applyRegistry } from "#platform/registry/apply-registry";
import { withExternalClient } from "../../support/registry-file.ts";
import { emptyRegistry, sampleFile } from "./registry.ts";

let registry: D1Database;
beforeAll(async () => {
  registry = await emptyRegistry();
  const applied = await applyRegistry(registry, await withExternalClient(await sampleFile()), "add", {
    clock: () => instant(1_000),
    publicUrl: "https://gateway.example.org",
  });
  if (!applied.ok) throw new Error(applied.error.pointer);
});

test.for([
  ["a client of an unknown status", "UPDATE clients SET status = 'resting'"],
  ["a client with no key to prove itself by", "UPDATE clients SET jwks = NULL"],
  ["a client with keys from two places", "UPDATE clients SET jwks_uri = 'https://a.example.org'"],
  ["an external client without an issuer", "UPDATE clients SET auth = 'external'"],
  [
    "an external client without the name that its issuer has for it",
    "UPDATE clients SET external_client_id = NULL WHERE auth = 'external'",
  ],
  [
    "a client of an issuer that is not registered",
    "UPDATE clients SET issuer = 'https://other.example.org' WHERE auth = 'external'",
  ],
  [
    "two clients of one name at an issuer",
    "INSERT INTO clients (id, kind, status, auth, issuer, external_client_id, jwks, jwks_uri, assertion_profile, dpop, patient) SELECT 'second', kind, status, auth, issuer, external_client_id, jwks, jwks_uri, assertion_profile, dpop, patient FROM clients WHERE auth = 'external'",
  ],
  [
    "a client of its own with an issuer's name",
    "UPDATE clients SET issuer = 'https://issuer.example.org' WHERE auth <> 'external'",
  ],
  [
    "a client that signs its own certificate and has another way",
    "UPDATE clients SET self_signed = 1 WHERE auth <> 'tls_client_auth'",
  ],
  ["browser origins that are no list", "UPDATE clients SET cors_origins = '{}'"],
  [
    "a certificate's name under nobody",
    "INSERT INTO certificate_subjects VALUES ('telehealth', '', 'sanDns', 'a.example')",
  ],
  [
    "a certificate's name of no kind",
    "INSERT INTO certificate_subjects VALUES ('telehealth', 'CN=ca', 'sanOther', 'a.example')",
  ],
  ["an exception for a client of its own", "UPDATE clients SET unbound_until = 1 WHERE auth <> 'external'"],
  [
    "a grant whose requests are perhaps signed",
    "UPDATE grants SET signed_requests = 2, revision = revision + 1",
  ],
  [
    "a grant whose answers are perhaps signed",
    "UPDATE grants SET signed_responses = 2, revision = revision + 1",
  ],
  ["an origin that is perhaps told of certificates", "UPDATE origins SET forward_client_cert = 2"],
  ["an issuer without keys", "UPDATE issuers SET jwks = NULL"],
  ["an issuer with keys from two places", "UPDATE issuers SET jwks_uri = 'https://issuer.example.org/jwks'"],
  ["an issuer whose endpoints are no object", "UPDATE issuers SET endpoints = '[]'"],
  [
    "an origin that has people sign in nowhere",
    "UPDATE origins SET sign_in_at = 'https://other.example.org'",
  ],
  ["an issuer without an audience", "UPDATE issuers SET audience = ''"],
  ["an issuer taken away while a client is its", "DELETE FROM issuers"],
  ["a thumbprint that is none", "UPDATE certificates SET x5t = 'AA'"],
  ["a certificate that ends before it begins", "UPDATE certificates SET not_after = not_before - 1"],
  ["an agreement that ends before it begins", "UPDATE agreements SET ends = begins"],
  ["an agreement without a document", "UPDATE agreements SET document_hash = ''"],
  ["a purpose that is no code", "INSERT INTO agreement_purposes VALUES ('telehealth-baa', 'treatment')"],
  [
    "a grant for a purpose that the agreement does not permit",
    "UPDATE grants SET purpose = 'HRESCH', revision = revision + 1",
  ],
  [
    "a grant for a purpose that the policy does not serve",
    "UPDATE grants SET purpose = 'COC', revision = revision + 1",
  ],
  ["a grant by an agreement of another client", "UPDATE agreements SET client = 'other'"],
  [
    "a grant at an origin that is not registered",
    "UPDATE grants SET origin = 'elsewhere', revision = revision + 1",
  ],
  ["a grant that changes without a higher revision", "UPDATE grants SET scopes = 'system/*.r'"],
  ["a grant without a quota", "UPDATE grants SET quota_requests = 0, revision = revision + 1"],
  [
    "a subject's quota without a window",
    "UPDATE grants SET subject_quota_requests = 5, revision = revision + 1",
  ],
  [
    "a window of no subject's quota",
    "UPDATE grants SET subject_quota_window_seconds = 5, revision = revision + 1",
  ],
  [
    "a quota of no records",
    "UPDATE grants SET record_quota_records = 0, record_quota_window_seconds = 5, revision = revision + 1",
  ],
  [
    "a quota of records without a window",
    "UPDATE grants SET record_quota_records = 5, revision = revision + 1",
  ],
  [
    "a window of no records' quota",
    "UPDATE grants SET record_quota_window_seconds = 5, revision = revision + 1",
  ],
  ["a second grant for one client, origin and purpose", "INSERT INTO grants SELECT * FROM grants"],
  ["a policy that changes under its digest", "UPDATE policies SET body = '{}'"],
  [
    "a permitted purpose taken away while a grant rests on it",
    "DELETE FROM agreement_purposes WHERE purpose = 'TREAT'",
  ],
  ["a client taken away while a grant is its", "DELETE FROM clients"],
  ["an origin with credentials that are no object", `UPDATE origins SET credentials = '"none"'`],
] as const)("the registry cannot hold %s", async ([, sql], { expect }) => {
  await expect(registry.prepare(sql).run()).rejects.toThrow(/constraint|revision|never changes/iu);
});
