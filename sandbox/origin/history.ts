import type { BundleEntry, Resource } from "@medplum/fhirtypes";
import { err, ok, type Result } from "#kernel/result";
import type { CriterionRefusal } from "./search/criterion.ts";
import { dateSpan } from "./match/date.ts";
import { pageSizes, readPageSize } from "./search/page-size.ts";
import type { PagedListing } from "./search/pages.ts";
import type { Version } from "./versions.ts";

export interface HistoryQuery {
  readonly count: number;
  /** Only versions of this time or later, in ms since 1970. */
  readonly since: number;
}

/** Reads the parameters of `_history` (R4 http.html#history). */
export function readHistoryQuery(
  pairs: Iterable<readonly [string, string]>,
): Result<HistoryQuery, CriterionRefusal> {
  let [count, since]: [number, number] = [pageSizes.default, Number.NEGATIVE_INFINITY];
  for (const [name, value] of pairs) {
    const bad = err({ reason: "bad_value" as const, text: `The value of ${name} cannot be read.` });
    const size = readPageSize(value);
    const span = dateSpan(value);
    switch (name) {
      case "_count":
        if (size === undefined) return bad;
        count = size;
        break;
      case "_since":
        if (span === undefined) return bad;
        since = span.low;
        break;
      case "_format":
      case "_pretty":
        break;
      default:
        return err({ reason: "unsupported", text: `A history has no parameter ${name} here.` });
    }
  }
  return ok({ count, since });
}

/** The versions of one resource or of many, in the given order. */
export function historyOf(versions: readonly Version[], self: string, base: string): PagedListing {
  return {
    type: "history",
    self,
    length: versions.length,
    entries: (from, to) => versions.slice(from, to).map((version) => entryOf(version, base)),
  };
}

const entryOf = (
  { type, id, method, versionId, lastUpdated, resource }: Version,
  base: string,
): BundleEntry => ({
  fullUrl: `${base}/${type}/${id}`,
  ...(resource && { resource: resource as unknown as Resource }), // it was stored as a resource
  request: { method, url: method === "POST" ? type : `${type}/${id}` },
  response: {
    status: method === "DELETE" ? "204" : versionId === "1" ? "201" : "200",
    etag: `W/"${versionId}"`,
    lastModified: lastUpdated,
  },
});

/** The newest first, as R4 http.html#history requires; at an equal time the later stored version first. */
export function newestFirst(versions: readonly Version[]): Version[] {
  const times = new Map(versions.map((version) => [version, dateSpan(version.lastUpdated)?.low ?? 0]));
  return versions.toReversed().sort((a, b) => (times.get(b) ?? 0) - (times.get(a) ?? 0));
}
