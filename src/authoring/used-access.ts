import type { AuditEvent } from "#audit/event";
import type { RuleInteraction } from "#policy/schema";
import type { PolicyUse } from "./narrow-policy.ts";

/** The interactions of a rule that an interaction on record needs. */
const needed: Readonly<Record<string, readonly RuleInteraction[]>> = {
  read: ["read"],
  vread: ["read"],
  "history-instance": ["read"],
  "history-type": ["read", "search"],
  "search-type": ["search"],
  "search-compartment": ["search"],
  "search-system": ["search"],
  create: ["read", "create"],
  update: ["read", "update"],
  patch: ["read", "update"],
  delete: ["read", "delete"],
  "conditional-update": ["read", "search", "create", "update"],
  "conditional-patch": ["read", "search", "update"],
  "conditional-delete": ["read", "search", "delete"],
  $everything: ["read", "search"],
  $lastn: ["read", "search"],
};

// A request that no rule needs is not decided again; a client with more distinct requests than this is rare.
const requestsMax = 50_000;

/** The use of one grant, gathered from its records. */
export class UsedAccess implements PolicyUse {
  readonly types = new Map<string, Set<RuleInteraction>>();
  readonly operations = new Set<string>();
  readonly #requests = new Set<string>();
  readonly parameters = new Map<string, Set<string>>();
  readonly purposes = new Set<string>();
  count = 0;
  lastUse = 0;

  get requests(): readonly string[] {
    return [...this.#requests];
  }

  /** Adds an answered request. A refusal used nothing. */
  add({ at, kind, what, why, counts, outcome }: AuditEvent): void {
    if (!answered.has(kind) || (outcome?.status ?? 200) >= 400 || what?.interaction === undefined) return;
    this.count += 1;
    this.lastUse = Math.max(this.lastUse, at);
    for (const purpose of why?.purposes ?? []) this.purposes.add(purpose);
    const { interaction, type, parameters = [] } = what;
    if (interaction.startsWith("$")) this.operations.add(interaction.slice(1));
    if (type !== undefined) {
      this.#uses(type, needed[interaction] ?? []);
      for (const [name] of parameters) {
        const names = this.parameters.get(type) ?? new Set<string>();
        this.parameters.set(type, names.add(name));
      }
    }
    // The record does not say by which rule an included row left, so both readings of its type count as used.
    for (const each of Object.keys(counts)) if (each !== type) this.#uses(each, ["read", "search"]);
    const request = requestOf(what);
    if (request !== undefined && this.#requests.size < requestsMax) this.#requests.add(request);
  }

  #uses(type: string, interactions: readonly RuleInteraction[]): void {
    const known = this.types.get(type) ?? new Set<RuleInteraction>();
    for (const each of interactions) known.add(each);
    this.types.set(type, known);
  }
}

const answered: ReadonlySet<string> = new Set(["disclosure", "write", "notice"]);

/** The GET of a reading below the FHIR base. */
function requestOf({
  interaction,
  type,
  id,
  parameters = [],
}: NonNullable<AuditEvent["what"]>): string | undefined {
  if (type === undefined) return undefined;
  const query = parameters
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join("&");
  const asked = query === "" ? "" : `?${query}`;
  const paths: Readonly<Record<string, string>> = {
    read: `${type}/${id ?? ""}`,
    vread: `${type}/${id ?? ""}`,
    "history-instance": `${type}/${id ?? ""}/_history${asked}`,
    "history-type": `${type}/_history${asked}`,
    "search-type": `${type}${asked}`,
    "search-compartment": `${type}/${id ?? ""}/*${asked}`,
    $everything: `${type}/${id ?? ""}/$everything${asked}`,
    $lastn: `${type}/$lastn${asked}`,
  };
  return paths[interaction ?? ""];
}
