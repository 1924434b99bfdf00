import { isArray, isObject, property, readJson, textAt, type JsonObject } from "#fhir/json/json";
import type { Grant } from "#policy/grant";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { NextLinks } from "#gateway/admission/page-links";
import { gather } from "./gather.ts";

/** The facts by which a reader knows a person. */
export interface PersonShown {
  readonly name: string | undefined;
  /** As FHIR writes a date: `1984-03-12`, `1984-03` or `1984`. */
  readonly birthDate: string | undefined;
}

/**
 * The name and the birth date of a patient, as a read with this grant shows them; undefined for a record that
 * the reader may not see, that is absent, or that the origin does not answer: a page without a name is still
 * an accounting.
 */
export async function personShown(
  grant: Grant,
  origin: OriginSession,
  links: NextLinks,
): Promise<PersonShown | undefined> {
  const seen = await gather(grant, undefined, origin, links);
  const [window] = seen.ok ? seen.value.windows : [];
  const row = window === undefined ? undefined : readJson(window.body);
  if (row?.ok !== true || !isObject(row.value)) return undefined;
  return { name: nameOf(row.value), birthDate: textAt(row.value, "birthDate") };
}

/** The official name, or else the first, as a person writes it. */
function nameOf(patient: JsonObject): string | undefined {
  const names = property(patient, "name");
  const known = isArray(names) ? names.filter(isObject) : [];
  const name = known.find((each) => textAt(each, "use") === "official") ?? known[0];
  if (name === undefined) return undefined;
  const given = property(name, "given");
  const parts = [...(isArray(given) ? given : []), property(name, "family")].filter(
    (part) => typeof part === "string",
  );
  return textAt(name, "text") ?? (parts.join(" ") || undefined);
}
