/**
 * The state of an origin, in words that do not show its address. `named_otherwise`: its CapabilityStatement
 * or a page of its links names a base that its entry does not list. `less_than_registered`: its CapabilityStatement
 * lacks a type, an interaction or a search parameter of its entry, or it refuses a posted search that its entry
 * lists. `unchecked`: not asked yet.
 */
export type OriginState =
  | "ready"
  | "host_not_allowed"
  | "secret_not_available"
  | "unreachable"
  | "credentials_refused"
  | "no_fhir_server"
  | "named_otherwise"
  | "less_than_registered"
  | "unchecked";

const problems: ReadonlyMap<string, string> = new Map<OriginState, string>([
  ["host_not_allowed", "ORIGIN_HOSTS of the gateway does not list its host: every request to it is 503"],
  [
    "secret_not_available",
    "its secret or its certificate binding is not there, or SECRET_HOSTS does not name its host: every request to it is 503",
  ],
  ["unreachable", "it does not answer"],
  ["credentials_refused", "it refuses the gateway's credentials"],
  ["no_fhir_server", "there is no CapabilityStatement below its url"],
  [
    "named_otherwise",
    "it names itself by another base than its entry: list that base in alsoKnownAs (docs/registry.md)",
  ],
  [
    "less_than_registered",
    "it lacks a type, an interaction, a search parameter or the posted search of its entry: run phylax origin probe (docs/origins.md)",
  ],
]);

/** The problems of the named origins, a line each, read from `origins` of the gateway's `/readyz`. */
export function originProblems(readiness: unknown, names: Iterable<string>): readonly string[] {
  const origins: unknown =
    typeof readiness === "object" && readiness !== null ? Reflect.get(readiness, "origins") : undefined;
  if (typeof origins !== "object" || origins === null) return [];
  return [...names].flatMap((name) => {
    const problem = problems.get(String(Reflect.get(origins, name)));
    return problem === undefined ? [] : [`origin ${name}: ${problem}`];
  });
}
