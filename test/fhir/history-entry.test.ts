import { test } from "vitest";
import { readHistoryEntry } from "#fhir/history-entry";
import { utf8 } from "#kernel/encoded";

const base = "https://origin.example/fhir";
const read = (entry: object) => {
  const found = readHistoryEntry(utf8(JSON.stringify(entry)), base);
  return found.ok ? found.value : found.error.reason;
};
const resource = { resourceType: "Patient", id: "1" };

test("an entry without a request is a version if it has a resource, and else a deletion of the resource that it names", ({
  expect,
}) => {
  expect(read({ resource })).toMatchObject({ kind: "version", created: false });
  expect(read({ resource, request: { url: "Patient/1" } })).toMatchObject({
    kind: "version",
    created: false,
  });
  const deletion = { kind: "deletion", type: "Patient", id: "1", version: "" };
  expect(read({ fullUrl: `${base}/Patient/1` })).toEqual(deletion);
  expect(read({ request: { url: "Patient/1" }, response: { etag: 'W/"3"' } })).toEqual({
    ...deletion,
    version: "3",
  });
});

test("a deletion that names no resource is unreadable, and a stated deletion without a name is no history", ({
  expect,
}) => {
  expect(read({ response: { status: "204" } })).toEqual({ kind: "unreadable" });
  expect(read({ request: { method: "DELETE" } })).toBe("not_a_searchset");
  expect(read({ resource, request: { method: "DELETE", url: "Patient/1" } })).toBe("not_a_searchset");
  expect(read({ resource: "Patient/1" })).toBe("not_a_searchset");
});
