import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import type { PolicyForm } from "#policy/schema";

/**
 * Answers whether rows may leave in a form now: a limited data set under a data use agreement (164.514(e)(4)), an expert's
 * determination between its dates. The agreement itself is in force: the principal has it.
 */
export function mayAnswerAt(
  form: PolicyForm,
  { client, agreement }: Pick<Principal, "client" | "agreement">,
  at: Instant,
): boolean {
  const day = new Date(at).toISOString().slice(0, 10);
  switch (form.kind) {
    case "limited-data-set":
      return client.agreements.find(({ id }) => id === agreement)?.kind === "data-use";
    case "safe-harbor":
      return form.noActualKnowledge.on <= day;
    case "expert":
      return form.on <= day && day < form.until;
  }
}

/**
 * Answers whether a token may be used under a form: its conditions are those of the grant. A condition that the client
 * adds, or a patient of the token, is compared with a row as it is before the form: an original id would find its code.
 */
export function areScopesOfGrant({
  scopes,
  grant,
}: Pick<Principal, "scopes"> & { readonly grant: Pick<Principal["grant"], "scopes"> }): boolean {
  const stated = new Set(grant.scopes.flatMap(({ filters }) => filters.map((each) => JSON.stringify(each))));
  return scopes.every(
    ({ context, filters }) =>
      context === "system" && filters.every((each) => stated.has(JSON.stringify(each))),
  );
}
