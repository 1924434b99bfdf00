import type { ClientGrant } from "#identity/client";
import type { Spend } from "#limits/ports";
import type { Disclosure } from "#phi/disclosure";

interface Spender {
  readonly client: { readonly id: string };
  readonly grant: ClientGrant;
  /** Of the token. */
  readonly issuer: string;
}

/** The client's own quota, of which each request is one. */
export function clientSpend({ client, grant, issuer }: Spender): Spend {
  return { ...counterOf({ client, grant, issuer }), policy: "default", quota: grant.quotas.default, many: 1 };
}

/**
 * All that a request costs: one of the client's, and one of its token's subject where the grant counts those.
 *
 * @param many of a batch: each of its entries is a request.
 */
export function requestSpends(who: Spender & { readonly subject: string }, many = 1): readonly Spend[] {
  const { perSubject } = who.grant.quotas;
  const ofClient: Spend = { ...clientSpend(who), many };
  if (perSubject === undefined) return [ofClient];
  // An issuer's URL has no space: no two subjects are one.
  return [
    ofClient,
    {
      ...counterOf(who),
      policy: "subject",
      subject: `${who.issuer} ${who.subject}`,
      quota: perSubject,
      many,
    },
  ];
}

/** What the resources of an answer cost: one record each, at whatever depth, and one more for each further patient of whom they are. */
export function recordsOf({ windows }: Disclosure): number {
  const resources = windows.reduce((sum, { records }) => sum + records, 0);
  const isOfResource = ({ counts }: { readonly counts: object }) => Object.keys(counts).length > 0;
  const patients = new Set(
    windows.flatMap((window) => window.patients.filter(isOfResource).map(({ patient }) => patient)),
  );
  return Math.max(resources, patients.size);
}

/** What an answer costs where the grant counts records. An answer without any costs nothing. */
export function recordSpends(who: Spender, many: number): readonly Spend[] {
  const { records } = who.grant.quotas;
  return records === undefined || many === 0
    ? []
    : [{ ...counterOf(who), policy: "records", quota: records, many }];
}

const counterOf = ({ client, grant, issuer }: Spender) => ({
  client: client.id,
  key: `${grant.origin}/${grant.purpose}`,
  issuer,
});
