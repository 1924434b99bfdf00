import { createHash, X509Certificate } from "node:crypto";
import { isPurposeOfUse } from "#fhir/r4/purpose-of-use";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { parseScopes } from "#identity/scopes";
import { rowFilterOf } from "#policy/scope-filters";
import type { RegisteredSubject } from "#identity/certificate/subject";
import type { RegisteredCertificate } from "#identity/client";
import type { Prepared } from "#registry/merge";
import type { RegistryDocument } from "#registry/document";
import { invalid, pointer, type RegistryProblem } from "#registry/problem";
import { secretNamesIn } from "#platform/config/secret-names";
import type { PolicyEntry } from "#registry/state";
import { instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { proveExamples } from "#authoring/prove-examples";
import { parsePolicyDocument, policyDigest, type PolicyDocument, type PolicyProblem } from "#policy/document";
import { ownSecrets } from "#platform/config/gateway-config";
import { isPublicKey } from "#platform/keys/public-key";

/**
 * Checks the content of a registry file: purposes, keys, certificates and policy documents. The examples of a
 * policy must hold.
 */
export async function prepareRegistry(file: RegistryDocument): Promise<Result<Prepared, RegistryProblem>> {
  for (const [i, { purposes }] of file.agreements.entries()) {
    const unknown = purposes.findIndex((purpose) => !isPurposeOfUse(purpose));
    if (unknown !== -1)
      return err(invalid(["agreements", i, "purposes", unknown], "is not a code of v3-PurposeOfUse"));
  }
  for (const [i, { purpose }] of file.issuers.entries()) {
    const unknown = "fixed" in purpose ? purpose.fixed.findIndex((each) => !isPurposeOfUse(each)) : -1;
    if (unknown !== -1)
      return err(invalid(["issuers", i, "purpose", "fixed", unknown], "is not a code of v3-PurposeOfUse"));
  }
  const { origins, issuers } = file;
  const gatewaySecret = secretNamesIn({ origins, issuers }).find(({ name }) => ownSecrets.has(name));
  if (gatewaySecret !== undefined)
    return err(invalid(gatewaySecret.at, "is one of the gateway's own secrets, which no server may receive"));
  for (const list of ["issuers", "clients"] as const) {
    for (const [i, { jwks }] of file[list].entries()) {
      for (const [j, key] of (jwks?.keys ?? []).entries()) {
        if (!(await isPublicKey(key)))
          return err(invalid([list, i, "jwks", "keys", j], "is not a public key"));
      }
    }
  }
  const unjudged = file.grants.findIndex(({ scopes }) => hasUnjudgedFilter(scopes));
  if (unjudged !== -1)
    return err({
      reason: "not_supported",
      pointer: pointer(["grants", unjudged, "scopes"]),
      problem: "this version cannot enforce a condition of these scopes: no type's rows can be judged by it",
    });
  const certificates: (readonly RegisteredCertificate[])[] = [];
  const certificateSubjects = file.clients.map((client) => client.certificates.flatMap(subjectOf));
  for (const [i, client] of file.clients.entries()) {
    const read = client.certificates.map((entry) =>
      typeof entry === "string" ? readRegistered(entry) : "named",
    );
    const unreadable = read.indexOf(undefined);
    if (unreadable !== -1)
      return err(invalid(["clients", i, "certificates", unreadable], "is not a certificate"));
    certificates.push(read.filter((certificate) => certificate !== undefined && certificate !== "named"));
  }
  const policies: PolicyEntry[] = [];
  for (const [i, { name, body }] of file.policies.entries()) {
    const document = readPolicy(body);
    if (!document.ok) {
      return err({
        reason: "invalid",
        pointer: `${pointer(["policies", i, "body"])}${document.error.pointer}`,
        problem: document.error.problem,
      });
    }
    policies.push({
      digest: await policyDigest(document.value),
      name,
      purposes: document.value.purposes,
      body: document.value,
    });
  }
  return ok({ policies, certificates, certificateSubjects });
}

/**
 * A condition that no row of its scope's types can be judged by. A token's scope with it grants nothing; an
 * operator who registers it would believe that it grants something.
 */
function hasUnjudgedFilter(text: string): boolean {
  const scopes = parseScopes(text);
  if (!scopes.ok) return false; // the file's reader has refused it
  return scopes.value.some(({ type, filters }) =>
    filters.some((filter) =>
      (type === "*" ? r4ResourceTypes : [type]).every((each) => rowFilterOf(each, filter) === undefined),
    ),
  );
}

function readPolicy(body: unknown): Result<PolicyDocument, PolicyProblem> {
  const document = parsePolicyDocument(body);
  const [untrue] = document.ok ? proveExamples(document.value) : [];
  return untrue === undefined ? document : err(untrue);
}

/** The schema allows exactly one name, and its authority. */
function subjectOf(entry: RegistryDocument["clients"][number]["certificates"][number]): RegisteredSubject[] {
  if (typeof entry === "string") return [];
  const { issuerDn, ...name } = entry;
  return Object.entries(name).map(([field, value]) => ({
    issuerDn,
    field: field as keyof typeof name,
    value,
  })); // its keys are those of the schema
}

/** A thumbprint unchanged, or a PEM certificate by its DER and dates. */
function readRegistered(text: string): RegisteredCertificate | undefined {
  if (!text.includes("-----BEGIN")) return { x5t: text, from: undefined, to: undefined };
  try {
    const { raw, validFrom, validTo } = new X509Certificate(text);
    const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
    if (!(from < to)) return undefined;
    return {
      x5t: createHash("sha256").update(raw).digest("base64url"),
      from: instant(from),
      to: instant(to),
    };
  } catch {
    return undefined; // not a certificate: the result says so
  }
}
