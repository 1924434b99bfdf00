import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import * as z from "zod";

/**
 * A place in a resource's JSON where a search parameter finds values; made by
 * scripts/generate-sandbox-definitions.ts.
 */
const place = z.object({
  /** JSON keys joined by dots; `telecom[system=phone]` selects the items with that `system`. */
  path: z.string(),
  /** FHIR type of the values; `present`: true if any of the keys (comma) has a value except false. */
  type: z.string(),
  /** `where(resolve() is Patient)`: references to this type only. */
  only: z.string().optional(),
});
const searchParameter = z.object({
  type: z.enum(["token", "reference", "string", "date", "number", "quantity", "uri"]),
  target: z.array(z.string()).optional(),
  at: z.array(place),
});
export type ServedParameter = z.infer<typeof searchParameter>;

const file = join(import.meta.dirname, "search-parameters.gen.json.gz");
const table = z
  .record(z.string(), z.record(z.string(), searchParameter))
  .parse(JSON.parse(gunzipSync(readFileSync(file)).toString("utf8")));
const { Resource: shared = {}, ...byType } = table;

/** What US Core 6.1 adds to R4's parameters and reads no extension. */
const concept = (path: string): ServedParameter => ({
  type: "token",
  at: [{ path, type: "CodeableConcept" }],
});
const usCore: Readonly<Record<string, Readonly<Record<string, ServedParameter>>>> = {
  CareTeam: { role: concept("participant.role") },
  Encounter: { "discharge-disposition": concept("hospitalization.dischargeDisposition") },
  Goal: { description: concept("description") },
};

/** Every resource type of R4 4.0.1. */
export const servedTypes: ReadonlySet<string> = new Set(Object.keys(byType));

/** The search parameters of a type, by code; the parameters of every resource (`_id` …) included. */
export function servedParametersOf(type: string): ReadonlyMap<string, ServedParameter> {
  return merged.get(type) ?? new Map();
}

const merged = new Map(
  Object.entries(byType).map(([type, own]) => [
    type,
    new Map(Object.entries({ ...shared, ...own, ...usCore[type] })),
  ]),
);
