import { isObject, property, textAt, type JsonObject } from "#fhir/json/json";
import { baseNames, parseReference } from "#fhir/r4/reference";
import { err, ok, type Result } from "#kernel/result";
import type { PlainWrite } from "#policy/evaluate-write";
import { authorizeChange, type Permission } from "#gateway/admission/authorize";
import type { OriginSession } from "#gateway/origin/origin-session";
import { isRowDecided, type PlanRefusal } from "./planned-write.ts";
import { reachedRow } from "./reached-row.ts";
import type { StoredRow } from "./stored-row.ts";

/** The resource behind whose rules a new Binary stands. */
export interface ContentContext {
  readonly reference: string;
  readonly row: StoredRow;
}

const lacking = err({ reason: "content_needs_context" } as const);

/**
 * The resource that the `securityContext` of a new Binary names, if the writer may read and change the resource: each of
 * its readers may get the content. An absent resource, a hidden one and one that the writer may not change are alike.
 *
 * @param isAttached a document of the same transaction leads to the Binary: the transaction is judged by the document.
 */
export async function contentContext(
  content: JsonObject,
  isAttached: boolean,
  permission: Pick<Permission, "policy" | "access">,
  origin: OriginSession,
): Promise<Result<ContentContext | undefined, PlanRefusal>> {
  const given = property(content, "securityContext");
  const base = [origin.base, ...baseNames((await origin.traits())?.base ?? origin.base)] as const;
  const named = parseReference((isObject(given) ? textAt(given, "reference") : undefined) ?? "", base);
  if (named.kind !== "local") return isAttached ? ok(undefined) : lacking;
  const { type, id } = named;
  const write: PlainWrite & { readonly id: string } = { kind: "update", type, id };
  const grant = authorizeChange(permission, write);
  if (!grant.ok) return lacking;
  const answer = await origin.read({ path: `${type}/${id}`, query: "" });
  const row = answer.ok
    ? await reachedRow(write, grant.value, answer.value.body, origin.basesAt(answer.value.base), origin)
    : answer;
  const covered = await origin.coverRelation();
  if (!covered.ok) return covered;
  if (!row.ok) return isRowDecided(row.error) ? lacking : row;
  if (!row.value.isReadable) return lacking;
  // The answer tells that the row exists.
  if (!origin.names.concerned.decide({ type, id, ...row.value.named }))
    return err({ reason: "answer_too_large" });
  return ok({ reference: `${type}/${id}`, row: row.value });
}
