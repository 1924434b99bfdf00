import { issuerStandingOf, type IssuerStandings } from "#identity/authority/issuer-standing";
import type { IssuerDirectory, KeySets } from "#identity/ports";
import type { PublicJwk } from "#identity/jose/jwk";

/** The issuers of the registry, and the built-in issuer, as they are now: seconds old, their keys minutes. */
export const issuerStandings = ({
  builtIn,
  issuers,
  keySets,
}: {
  readonly builtIn: { readonly iss: string; readonly publicKeys: () => Promise<readonly PublicJwk[]> };
  readonly issuers: IssuerDirectory;
  readonly keySets: KeySets;
}): IssuerStandings => ({
  of: async (iss) => {
    if (iss === builtIn.iss) return issuerStandingOf({ iss }, await builtIn.publicKeys());
    const entry = await issuers.find(iss);
    if (entry === undefined) return undefined;
    const keys = entry.jwksUri === undefined ? entry.keys : await keySets.at(entry.jwksUri, iss);
    return issuerStandingOf(entry, keys);
  },
});
