import { Misuse } from "../misuse.ts";
import { inForce } from "#identity/agreement";
import { choosePurpose, requestedPurposes } from "#identity/purpose";
import { readRegistry } from "#registry/read";
import type { RegistryDocument } from "#registry/document";
import { formatScopes, limitToPatient, intersectScopes, parseScopes, type Scopes } from "#identity/scopes";
import { instant, type Instant } from "#kernel/clock";
import type { ExplainStep } from "#authoring/explain-step";
import { policyDigest, readPolicyDocument, type PolicyDocument } from "#policy/document";
import { readJsonFile } from "../json-file.ts";

/** The caller, as the command line and the registry describe it. */
export interface PolicyCaller {
  readonly document: PolicyDocument;
  readonly purpose: string | undefined;
  readonly scopes: Scopes;
  /** The client's kind and the identifiers of its organization; undefined: no registry file says them. */
  readonly kind?: string | undefined;
  readonly organization?: readonly string[] | undefined;
  readonly steps: readonly ExplainStep[];
  /** The reason of the refusal; the rest of the request is not looked at then. */
  readonly refused: string | undefined;
}

export interface CallerOptions {
  readonly policy: string | undefined;
  readonly registry: string | undefined;
  readonly client: string | undefined;
  readonly purpose: string | undefined;
  readonly origin: string;
  readonly scope: string | undefined;
  readonly patient: string | undefined;
}

/** A caller under a policy alone, for one of its purposes, with the scopes of the command line. */
export function callerByPolicy(options: CallerOptions): PolicyCaller {
  const { policy = "", purpose, scope = "system/*.cruds" } = options;
  const document = policyAt(policy, readFile(policy));
  const scopes = scopesIn(scope);
  const serves = purpose === undefined || document.purposes.includes(purpose);
  const steps: readonly ExplainStep[] = [
    {
      ok: serves,
      of: "request",
      says: `the policy ${document.name} serves ${document.purposes.join(", ")}${serves ? "" : `, not ${purpose}`}`,
    },
    { ok: true, of: "scope", says: `scopes of the token: ${formatScopes(scopes)}` },
  ];
  return {
    document,
    purpose: purpose ?? document.purposes[0],
    scopes,
    steps,
    refused: serves ? undefined : "purpose_not_granted",
  };
}

/** A caller by a client's grant in a registry file, as the file applies at `at`. */
export async function callerByRegistry(options: CallerOptions, at: Instant): Promise<PolicyCaller> {
  const { registry: file = "", client: id, origin } = options;
  // No issuer in a file is this gateway itself: the gateway's host name has no effect on a policy's decision.
  const read = readRegistry(readFile(file), "https://gateway.invalid");
  if (!read.ok) throw new Misuse(`${file}: ${read.error.pointer}: ${read.error.problem}`);
  const registry = read.value;
  const client = registry.clients.find((each) => each.id === id);
  if (client === undefined)
    throw new Misuse(
      id === undefined ? "name the client: --registry needs --client" : `${file} has no client ${id}`,
    );

  const granted = registry.grants.filter((grant) => grant.client === client.id && grant.origin === origin);
  const within = requestedPurposes(
    options.purpose,
    granted.map(({ purpose }) => purpose),
  );
  const purpose = within.ok ? choosePurpose(undefined, within.value) : within;
  const grant = purpose.ok ? granted.find((each) => each.purpose === purpose.value) : undefined;
  if (grant === undefined) {
    const purposes = granted.map((each) => each.purpose).join(", ") || "none";
    throw new Misuse(
      `${file}: ${client.id} has no single matching grant at ${origin}; ` +
        `its purposes there: ${purposes}: choose with --purpose`,
    );
  }
  const document = await policyOf(grant.policy, registry, options);
  const scopes = scopesOf(grant.scopes, client.patient, options);
  const steps = [
    {
      ok: client.status === "active",
      of: "request",
      says: `the client ${client.id} is ${client.status}`,
    } as const,
    agreementStep(registry, grant, at),
    patientStep(client.patient, scopes, options.patient),
    {
      ok: true,
      of: "scope",
      says: `scopes of token and grant together: ${formatScopes(scopes) || "none"}`,
    } as const,
  ];
  const failed = steps.find(({ ok }) => !ok);
  const { kind, organization } = client;
  return { document, purpose: grant.purpose, scopes, kind, organization, steps, refused: failed?.says };
}

function agreementStep(
  registry: RegistryDocument,
  grant: RegistryDocument["grants"][number],
  at: Instant,
): ExplainStep {
  const agreement = registry.agreements.find(
    ({ id, client }) => id === grant.agreement && client === grant.client,
  );
  if (agreement === undefined)
    return { ok: false, of: "request", says: `the client has no agreement ${grant.agreement}` };
  const { id, purposes, from, to } = agreement;
  const force = inForce(
    { id, purposes, from: instant(Date.parse(from)), to: instant(Date.parse(to)) },
    grant.purpose,
    at,
  );
  const says = force.ok
    ? `the agreement ${id} is in force for ${grant.purpose}, until ${to}`
    : `${id}: ${force.error.reason}`;
  return { ok: force.ok, of: "request", says };
}

/**
 * A token without its patient is refused before any policy is evaluated, and so is a token for a different
 * patient than the client's.
 */
function patientStep(held: string | undefined, scopes: Scopes, patient: string | undefined): ExplainStep {
  const needed = held !== undefined || scopes.some(({ context }) => context === "patient");
  if (needed && patient === undefined)
    return {
      ok: false,
      of: "request",
      says: "the token is limited to a patient and names no patient (--patient)",
    };
  const isDifferent = held !== undefined && held !== patient;
  return {
    ok: !isDifferent,
    of: "request",
    says: isDifferent
      ? "the client is limited to a different patient than the token's"
      : "the token's patient is allowed for this client",
  };
}

function scopesOf(granted: string, patient: string | undefined, { scope }: CallerOptions): Scopes {
  const common =
    scope === undefined ? scopesIn(granted) : intersectScopes(scopesIn(scope), scopesIn(granted));
  return patient === undefined ? common : limitToPatient(common);
}

/** A policy by its name in the file, or by its digest in the file or in `--policy`. */
async function policyOf(
  named: string,
  registry: RegistryDocument,
  { policy }: CallerOptions,
): Promise<PolicyDocument> {
  const inFile = registry.policies.find(({ name }) => name === named);
  if (inFile !== undefined) return policyAt(named, inFile.body);
  const bodies = [
    ...registry.policies.map(({ body }) => body),
    ...(policy === undefined ? [] : [readFile(policy)]),
  ];
  for (const body of bodies) {
    const document = policyAt("policy", body);
    if ((await policyDigest(document)) === named) return document;
  }
  throw new Misuse(`the grant's policy ${named} is not in the registry file: name its file with --policy`);
}

function policyAt(name: string, body: unknown): PolicyDocument {
  const read = readPolicyDocument(body);
  if (read.ok) return read.value;
  const [{ pointer, problem }] = read.error;
  throw new Misuse(`${name}: ${pointer}: ${problem}`);
}

function scopesIn(text: string): Scopes {
  const scopes = parseScopes(text);
  if (!scopes.ok) throw new Misuse(`${text}: ${scopes.error.reason}`);
  return scopes.value;
}

function readFile(file: string): unknown {
  const body = readJsonFile(file);
  if (!body.ok) throw new Misuse(`${file}: ${body.error}`);
  return body.value;
}
