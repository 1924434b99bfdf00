import type { Instant } from "#kernel/clock";
import { agreementState, endsSoon, isInForce } from "./ends-soon.ts";
import type { RegistryState } from "./state.ts";

/** A client with everything that it needs to work, the missing parts, and the parts that end soon. */
export interface ClientStanding {
  readonly id: string;
  readonly kind: string;
  readonly status: "active" | "suspended";
  readonly auth: string;
  /** `ends` is undefined for a certificate that was registered by its thumbprint alone. */
  readonly certificates: readonly { readonly x5t: string; readonly ends: Instant | undefined }[];
  /** Names under an authority, each good for any certificate that has the name. */
  readonly certificateNames: number;
  /** `kid` of its public keys. */
  readonly keys: readonly string[];
  readonly agreements: readonly { readonly id: string; readonly ends: Instant }[];
  readonly grants: readonly {
    readonly origin: string;
    readonly purpose: string;
    readonly agreement: string;
  }[];
  /** The missing parts, in words. Empty: the client can send requests. */
  readonly missing: readonly string[];
  /** Certificates and keys of a client without an agreement that is in force or still begins, in words. */
  readonly unneeded: readonly string[];
  readonly warnings: readonly EndingSoon[];
}

/** A thing that ends within thirty days, or has ended and is still registered. */
export interface EndingSoon {
  readonly what: "certificate" | "agreement";
  readonly name: string;
  readonly ends: Instant;
}

/** The standing of each client, by id. */
export function clientStandings(state: RegistryState, at: Instant): readonly ClientStanding[] {
  const agreementsOf = Map.groupBy(state.agreements.values(), ({ client }) => client);
  const grantsOf = Map.groupBy(state.grants.values(), ({ client }) => client);
  const isOver = (ends: Instant | undefined) => ends !== undefined && ends <= at;
  const ending = (what: EndingSoon["what"], name: string, ends: Instant | undefined): readonly EndingSoon[] =>
    ends !== undefined && endsSoon(ends, at) ? [{ what, name, ends }] : [];
  return [...state.clients.values()]
    .sort((left, right) => (left.id < right.id ? -1 : 1))
    .map((client) => {
      const { id, kind, status, auth, dpop, jwks } = client;
      const certificates = (state.certificates.get(id) ?? []).map(({ x5t, to }) => ({ x5t, ends: to }));
      const certificateNames = state.certificateSubjects.get(id)?.length ?? 0;
      const agreements = agreementsOf.get(id) ?? [];
      const grants = grantsOf.get(id) ?? [];
      const inForce = new Set(
        agreements.filter((each) => isInForce(agreementState(each, at))).map(({ id: name }) => name),
      );
      const missing = [
        ...(!dpop && certificateNames === 0 && certificates.every(({ ends }) => isOver(ends))
          ? ["a certificate in force"]
          : []),
        ...(inForce.size === 0 ? ["an agreement in force"] : []),
        ...(grants.length === 0 ? ["a grant"] : []),
        ...grants
          .filter(({ agreement }) => !inForce.has(agreement))
          .map(
            ({ origin, purpose, agreement }) =>
              `an agreement in force for the grant ${origin} ${purpose}: ${agreement} is not`,
          ),
        ...(status === "suspended" ? ["the end of its suspension"] : []),
      ];
      const keys = jwks?.keys.flatMap(({ kid }) => kid ?? []) ?? [];
      const isNeeded = agreements.some(({ to }) => to > at) || agreements.length === 0;
      const unneeded = [
        ...certificates.map(({ x5t }) => `certificate ${x5t}`),
        ...(state.certificateSubjects.get(id) ?? []).map(() => "a certificate's name"),
        ...keys.map((kid) => `key ${kid}`),
      ];
      return {
        id,
        kind,
        status,
        auth,
        certificates,
        certificateNames,
        keys,
        agreements: agreements.map((agreement) => ({ id: agreement.id, ends: agreement.to })),
        grants: grants.map(({ origin, purpose, agreement }) => ({ origin, purpose, agreement })),
        missing,
        unneeded: isNeeded ? [] : unneeded.map((each) => `${each}: every agreement has ended`),
        warnings: [
          ...certificates.flatMap(({ x5t, ends }) => ending("certificate", x5t, ends)),
          // An agreement without a grant is history, and needs nothing.
          ...agreements
            .filter((agreement) => grants.some((grant) => grant.agreement === agreement.id))
            .flatMap((agreement) => ending("agreement", agreement.id, agreement.to)),
        ],
      };
    });
}
