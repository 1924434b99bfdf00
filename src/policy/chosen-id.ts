import { hasPatients } from "#fhir/r4/compartment-tables";
import type { CompiledPolicy } from "./compile.ts";
import { confidentialityCodes } from "./sensitivity/row-labels.ts";
import { isUnrestricted, rowAccessOf, type Access } from "./row-access.ts";

/** The beginning of the ids that the gateway gives to creates under a key. */
export const createdIdPrefix = "w-";

/**
 * Answers whether a client may create a resource under an id of its choice: the answer tells whether the id is taken.
 * The id begins with the client's own prefix, or the client sees every row of the type.
 */
export const mayChooseId = (policy: CompiledPolicy, access: Access, type: string, id: string): boolean =>
  (access.idPrefix !== undefined && id.startsWith(access.idPrefix)) ||
  (!id.startsWith(createdIdPrefix) && seesEveryRow(policy, access, type));

/**
 * Answers whether policy, scopes and type alone say that a client sees every row of a type. Consents hide rows of
 * patients, whether or not one is on file; conditions, labels and dates of service hide rows of any type.
 */
function seesEveryRow(policy: CompiledPolicy, access: Access, type: string): boolean {
  const rowAccess = rowAccessOf(access, type, "r");
  const isWhole = policy
    .rulesTo(type, "read")
    .some(
      ({ conditions, referredBy, shown, extensions }) =>
        conditions.length + referredBy.size === 0 && shown.everything && extensions.all,
    );
  return (
    isWhole &&
    rowAccess !== undefined &&
    isUnrestricted(rowAccess) &&
    !hasPatients(type) &&
    policy.dataPeriod === undefined &&
    policy.labels.leaveFor(access.purpose).level === confidentialityCodes.length - 1
  );
}
