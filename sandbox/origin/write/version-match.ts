import { badRequest, ServerRefusal } from "../refusal.ts";
import type { Stored } from "../stored.ts";

/**
 * The version ids of an `If-Match` or `If-None-Match`: `W/"3"`, weak or not, in a list. Undefined: not a
 * valid header.
 */
export function versionsIn(header: string): ReadonlySet<string> | undefined {
  const tags = header
    .split(",")
    .map((tag) => /^\s*(?:W\/)?"(?<version>[^"]*)"\s*$/u.exec(tag)?.groups?.["version"]);
  return tags.includes(undefined) ? undefined : new Set(tags.flatMap((tag) => tag ?? []));
}

/**
 * Throws unless the version that the client has seen is current (R4 http.html#concurrency). `stale`: the
 * status of the refusal.
 */
export function requireVersion(
  ifMatch: string | undefined,
  current: Stored | undefined,
  stale: 412 | 409,
): void {
  if (ifMatch === undefined) return;
  if (ifMatch.trim() === "*" && current !== undefined) return;
  const versions = ifMatch.trim() === "*" ? new Set<string>() : versionsIn(ifMatch);
  if (versions === undefined) throw badRequest("If-Match is no version.");
  if (current === undefined || !versions.has(current.meta.versionId))
    throw new ServerRefusal(stale, "conflict", "This is not the current version.");
}
