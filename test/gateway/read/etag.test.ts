import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { BodyValidators, etagOf, isKnown, lastModified } from "#gateway/read/etag";

const body = utf8('{"resourceType":"Patient","id":"1"}');
const etag = etagOf(body, "sha256:a");
const asked = (headers: Record<string, string>) => new Headers(headers);

test("a tag is strong, the same for the same bytes by the same policy, and another for any other", ({
  expect,
}) => {
  expect(etag).toMatch(/^"[A-Za-z0-9_-]{32}"$/u);
  expect(etagOf(utf8('{"resourceType":"Patient","id":"1"}'), "sha256:a")).toBe(etag);
  expect(etagOf(body, "sha256:b")).not.toBe(etag);
  expect(etagOf(utf8('{"resourceType":"Patient","id":"2"}'), "sha256:a")).not.toBe(etag);
});

test("If-None-Match is a list of tags, compared weakly, or a star; a malformed tag matches nothing", ({
  expect,
}) => {
  const known = (tags: string) => isKnown(asked({ "if-none-match": tags }), { etag, lastUpdated: undefined });
  for (const tags of [etag, `W/${etag}`, `"x", ${etag}`, `"x",W/${etag} , "y"`, "*"])
    expect(known(tags), tags).toBe(true);
  for (const tags of [
    "",
    '"x"',
    etag.slice(1),
    etag.slice(0, -1),
    `w/${etag}`,
    `"${etag}"`,
    `${'"x",'.repeat(80)}${etag}`,
  ])
    expect(known(tags), tags).toBe(false);
});

test("If-Modified-Since is compared in whole seconds with the time that the answer shows, and is ignored if it shows none", ({
  expect,
}) => {
  const since = "Wed, 01 Jul 2026 10:00:00 GMT";
  const known = (
    lastUpdated: string | undefined,
    headers: Record<string, string> = { "if-modified-since": since },
  ) => isKnown(asked(headers), { etag, lastUpdated });
  expect(known("2026-07-01T10:00:00Z")).toBe(true);
  expect(known("2026-07-01T12:00:00.900+02:00")).toBe(true);
  expect(known("2026-07-01T10:00:01Z")).toBe(false);
  expect(known(undefined)).toBe(false);
  expect(known("2026-07")).toBe(false);
  expect(known("2026-07-01T10:00:00Z", { "if-modified-since": "2026-07-02" })).toBe(false);
  // RFC 9110 §13.1.3: a matching time does not overrule a tag that does not match.
  expect(known("2026-07-01T10:00:00Z", { "if-modified-since": since, "if-none-match": '"x"' })).toBe(false);
  expect(lastModified("2026-07-01T12:00:00.900+02:00")).toBe(since);
  expect(lastModified(undefined)).toBeUndefined();
});

test("a body's validators have its tag, whenever it is asked for, and the tag of known bytes stays what it was", ({
  expect,
}) => {
  const validators = new BodyValidators(body, "sha256:a", undefined);
  expect([validators.etag, validators.etag]).toEqual([etag, etag]);
  expect(isKnown(asked({ "if-none-match": etag }), new BodyValidators(body, "sha256:a", undefined))).toBe(
    true,
  );
  expect(etag).toBe('"9bbsbHHSDHF8UAiacIxIcCJ7A2-hW1LK"');
});
