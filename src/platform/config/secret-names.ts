/** The name of a secret in an entry of the registry file, and its place there. */
export interface SecretName {
  readonly name: string;
  readonly at: readonly PropertyKey[];
}

/** Each secret that a value of the registry file names: the texts of its members `secret`, at any depth. */
export function secretNamesIn(value: unknown, at: readonly PropertyKey[] = []): readonly SecretName[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    key === "secret" && typeof member === "string"
      ? [{ name: member, at: [...at, key] }]
      : secretNamesIn(member, [...at, Array.isArray(value) ? Number(key) : key]),
  );
}
