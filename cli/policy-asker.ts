import { inForce } from "#identity/agreement";
import { choosePurpose, requestedPurposes } from "#identity/purpose";
import { readRegistry } from "#registry/read";
import type { RegistryDocument } from "#registry/document";
import { formatScopes, heldToPatient, intersectScopes, parseScopes, type Scopes } from "#identity/scopes";
import { instant, type Instant } from "#kernel/clock";
import type { ExplainStep } from "#authoring/explain-step";
import { policyDigest, readPolicyDocument, type PolicyDocument } from "#policy/document";
import { readJsonFile } from "./json-file.ts";
import { Misuse } from "./ledger-keys.ts";

/** Who asks, as the command line and the registry say it. */
export interface Asker {
  readonly document: PolicyDocument;
  readonly scopes: Scopes;
  readonly steps: readonly ExplainStep[];
  /** Nothing further is asked of a request that fails here. */
  readonly refused: string | undefined;
}

export interface AskerOptions {
  readonly policy: string | undefined;
  readonly registry: string | undefined;
  readonly client: string | undefined;
  readonly purpose: string | undefined;
  readonly origin: string;
  readonly scope: string | undefined;
  readonly patient: string | undefined;
}

/** By a policy alone: for one of its purposes, with whatever scopes are named. */
export function askerByPolicy({ policy = "", purpose, scope = "system/*.cruds" }: AskerOptions): Asker {
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
  return { document, scopes, steps, refused: serves ? undefined : "purpose_not_granted" };
}

/** By a client's grant in a registry file, as it stands at `at`. */
export async function askerByRegistry(options: AskerOptions, at: Instant): Promise<Asker> {
  const { registry: file = "", client: id, origin } = options;
  // No issuer of a file is this gateway's own: which host it has says nothing about what a policy decides.
  const read = readRegistry(readFile(file), "https://gateway.invalid");
  if (!read.ok) throw new Misuse(`${file}: ${read.error.pointer}: ${read.error.problem}`);
  const registry = read.value;
  const client = registry.clients.find((one) => one.id === id);
  if (client === undefined)
    throw new Misuse(
      id === undefined ? "--client is needed with --registry" : `${file}: there is no client ${id}`,
    );

  const granted = registry.grants.filter((grant) => grant.client === client.id && grant.origin === origin);
  const within = requestedPurposes(
    options.purpose,
    granted.map(({ purpose }) => purpose),
  );
  const purpose = within.ok ? choosePurpose(undefined, within.value) : within;
  const grant = purpose.ok ? granted.find((one) => one.purpose === purpose.value) : undefined;
  if (grant === undefined) {
    const has = granted.map((one) => one.purpose).join(", ") || "none";
    throw new Misuse(
      `${file}: no one grant of ${client.id} at ${origin} is meant; it has ${has}: choose with --purpose`,
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
  return { document, scopes, steps, refused: failed?.says };
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
    return { ok: false, of: "request", says: `there is no agreement ${grant.agreement} of the client's` };
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

/** A token without its patient is refused before any policy is asked, and so is one of another patient than the client's. */
function patientStep(held: string | undefined, scopes: Scopes, patient: string | undefined): ExplainStep {
  const needed = held !== undefined || scopes.some(({ context }) => context === "patient");
  if (needed && patient === undefined)
    return { ok: false, of: "request", says: "the token names no patient, and is held to one (--patient)" };
  const other = held !== undefined && held !== patient;
  return {
    ok: !other,
    of: "request",
    says: other
      ? "the client is held to another patient than the token's"
      : "the token's patient is one for this client",
  };
}

function scopesOf(granted: string, patient: string | undefined, { scope }: AskerOptions): Scopes {
  const common =
    scope === undefined ? scopesIn(granted) : intersectScopes(scopesIn(scope), scopesIn(granted));
  return patient === undefined ? common : heldToPatient(common);
}

/** By its name in the file, or by its digest out of the file or out of `--policy`. */
async function policyOf(
  named: string,
  registry: RegistryDocument,
  { policy }: AskerOptions,
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
