import { denialName } from "#identity/denial";
import type { Instant } from "#kernel/clock";
import type { ExportedRegistry } from "#registry/export";
import { type DenialInForce, denialsShownMax, type LastingDenial } from "./denials.ts";

type Entry<K extends keyof ExportedRegistry> = Extract<
  NonNullable<ExportedRegistry[K]>,
  readonly unknown[]
>[number];
export type ShownClient = Entry<"clients">;
export type ShownGrant = Entry<"grants">;
export type ShownAgreement = Entry<"agreements">;

/** The answer of `show-registry`: the registry as a file, and the digest of its state. */
export interface RegistryView {
  readonly digest: string;
  readonly registry: ExportedRegistry;
}

/** The verb's own answer crossed no boundary but JSON. */
export const registryViewOf = (value: unknown): RegistryView => value as RegistryView;

export const clientIn = ({ registry }: RegistryView, id: string): ShownClient | undefined =>
  registry.clients?.find((client) => client.id === id);

export const grantsOf = ({ registry }: RegistryView, id: string): readonly ShownGrant[] =>
  (registry.grants ?? []).filter(({ client }) => client === id);

export const agreementsOf = ({ registry }: RegistryView, id: string): readonly ShownAgreement[] =>
  (registry.agreements ?? []).filter(({ client }) => client === id);

/** True if a thing is denied. Undefined: the denials could not be read, or there are more than were read. */
export function isDenied(
  denials: readonly DenialInForce[] | undefined,
  thing: LastingDenial,
): boolean | undefined {
  const sought = denialName(thing);
  const isFound = denials?.some(({ name }) => name === sought);
  return isFound === false && areCut(denials) ? undefined : isFound;
}

/** True if more denials are in force than a page shows. */
export const areCut = (denials: readonly DenialInForce[] | undefined): boolean =>
  denials !== undefined && denials.length > denialsShownMax;

/** `unagreed`: no agreement of the client is in force, so each of its requests is refused. */
export type Standing = "active" | "suspended" | "denied" | "unagreed";

/** Whether requests of the client can be served now. A token or a single key may be denied all the same. */
export function standingOf(
  view: RegistryView,
  { id, status = "active" }: ShownClient,
  denials: readonly DenialInForce[] | undefined,
  at: Instant,
): Standing {
  if (isDenied(denials, { kind: "client", client: id }) === true) return "denied";
  if (status === "suspended") return "suspended";
  const isInForce = agreementsOf(view, id).some(
    ({ from, to }) => Date.parse(from) <= at && at < Date.parse(to),
  );
  return isInForce ? "active" : "unagreed";
}
