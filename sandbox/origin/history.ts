import type { Resource } from "@medplum/fhirtypes";
import { err, ok, type Result } from "#kernel/result";
import type { SearchRefusal } from "./criterion.ts";
import { dateSpan } from "./match/date.ts";
import { pageSizes, readPageSize } from "./page-size.ts";
import type { Listing } from "./pages.ts";
import type { Version } from "./versions.ts";

export interface HistoryQuery {
  readonly count: number;
  /** Only versions of this time or later, in ms since 1970. */
  readonly since: number;
}

/** Reads the parameters of `_history` (R4 §3.1.0.9). */
export function readHistoryQuery(pairs: Iterable<readonly [string, string]>): Result<HistoryQuery, SearchRefusal> {
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

/** @param url of the resource. */
export function historyOf(versions: readonly Version[], self: string, url: string): Listing {
  return {
    type: "history",
    self,
    length: versions.length,
    entryAt(place) {
      const version = versions[place];
      const [type = "", id = ""] = url.split("/").slice(-2);
      return (
        version && {
          fullUrl: url,
          ...(version.resource && { resource: version.resource as unknown as Resource }), // stored as one
          request: { method: version.method, url: version.method === "POST" ? type : `${type}/${id}` },
          response: {
            status: version.method === "DELETE" ? "204" : version.versionId === "1" ? "201" : "200",
            etag: `W/"${version.versionId}"`,
            lastModified: version.lastUpdated,
          },
        }
      );
    },
  };
}
