import type { ClientGrant, ClientRecord } from "#identity/client";
import type { Spend } from "#limits/ports";
import type { Disclosure } from "#phi/disclosure";

interface Spender {
  readonly client: Pick<ClientRecord, "id" | "home">;
  readonly grant: ClientGrant;
  /** Issuer of the token. */
  readonly issuer: string;
}

/** The client's own spend, and its subject's. */
export type RequestSpends = readonly [ofClient: Spend, ...ofSubject: Spend[]];

/** A spend from the client's own quota: each request costs a single unit. */
function clientSpend({ client, grant, issuer }: Spender): Spend {
  return { ...counterOf({ client, grant, issuer }), policy: "default", quota: grant.quotas.default, many: 1 };
}

/**
 * The cost of a request: a unit of the client's quota, and a unit of the subject's quota where the grant
 * counts subjects.
 *
 * @param many the number of requests: each entry of a batch is a request.
 */
export function requestSpends(who: Spender & { readonly subject: string }, many = 1): RequestSpends {
  const { perSubject } = who.grant.quotas;
  const ofClient: Spend = { ...clientSpend(who), many };
  if (perSubject === undefined) return [ofClient];
  // An issuer's URL has no space: two subjects never share a name.
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

/**
 * The record credits of an answer: a credit for each resource at any depth, or for each patient, if there
 * are more patients.
 */
export function recordsSpent({ windows }: Disclosure): number {
  const resources = windows.reduce((sum, { records }) => sum + records, 0);
  const isOfResource = ({ counts }: { readonly counts: object }) => Object.keys(counts).length > 0;
  const patients = new Set(
    windows.flatMap((window) => window.patients.filter(isOfResource).map(({ patient }) => patient)),
  );
  return Math.max(resources, patients.size);
}

/** The cost of an answer where the grant counts records. An answer without records costs nothing. */
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
  home: client.home?.region,
});
