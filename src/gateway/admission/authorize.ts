import type { AccountingRequest } from "#fhir/accounting-request";
import type { Reading } from "#fhir/interaction";
import type { Listing } from "#fhir/listing";
import type { Operation } from "#fhir/operations";
import { ok } from "#kernel/result";
import type { CompiledPolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { evaluateAccounting } from "#policy/evaluate-accounting";
import { allowed, evaluateListing } from "#policy/evaluate-listing";
import { evaluateWrite, type PlainWrite } from "#policy/evaluate-write";
import type { Access } from "#policy/row-access";
import { evaluateSearch } from "#policy/search/evaluate-search";

/** The policy of a grant, and the scopes and patients of the caller by whom it is evaluated. */
export interface Permission {
  readonly policy: CompiledPolicy;
  readonly access: Access;
}

// Only this file asks a policy: what is below takes the grant.

/** For a question, for an entry of a bundle, and for the written row in an answer. */
export const authorizeReading = ({ policy, access }: Permission, reading: Reading) =>
  evaluate(policy, access, reading);

export const authorizeListing = ({ policy, access }: Permission, listing: Listing) =>
  evaluateListing(policy, access, listing);

export const authorizeAccounting = ({ policy, access }: Permission, asked: AccountingRequest) =>
  evaluateAccounting(policy, access, { purpose: access.purpose ?? "", asked });

export const authorizeOperation = ({ policy }: Permission, { kind }: { readonly kind: Operation }) =>
  allowed(policy, kind) ?? ok(undefined);

/** For the change of a stored row, whose id may be found by criteria. */
export const authorizeChange = ({ policy, access }: Permission, write: PlainWrite) =>
  evaluateWrite(policy, access, write);

/** For rows that decide: the rows that criteria find, the targets of a row. */
export const authorizeRows = ({ policy, access }: Permission, search: Parameters<typeof evaluateSearch>[2]) =>
  evaluateSearch(policy, access, search);
