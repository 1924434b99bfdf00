/** A grant, as far as its name states it. */
export interface NamedGrant {
  readonly client: string;
  readonly origin: string;
  readonly purpose: string;
}

/** The grant's name in records (`why.grant`). No part has a slash (registry/document). */
export const grantName = ({ client, origin, purpose }: NamedGrant): string =>
  `${client}/${origin}/${purpose}`;

/** Reads a name that {@link grantName} made. Throws when it is none. */
export function readGrantName(name: string): NamedGrant {
  const [client, origin, purpose, ...rest] = name.split("/");
  if (!client || !origin || !purpose || rest.length > 0) throw new RangeError("no name of a grant");
  return { client, origin, purpose };
}
