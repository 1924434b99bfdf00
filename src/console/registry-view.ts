import type { ExportedRegistry } from "#registry/export";

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
