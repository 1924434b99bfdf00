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

test("a GET that was answered with 410 is a deletion, as some servers write it", ({ expect }) => {
  const request = { method: "GET", url: "Patient/1/_history/3" };
  const deletion = { kind: "deletion", type: "Patient", id: "1" };
  for (const status of ["410", "410 Gone"])
    expect(read({ request, response: { status } })).toMatchObject(deletion);
  for (const status of ["200", "4100", ""])
    expect(read({ request, response: { status } })).toEqual({ kind: "unreadable" });
});

test("an entry that is no version and no deletion of a named resource is unreadable, alone", ({ expect }) => {
  for (const entry of [
    { response: { status: "204" } },
    { request: { method: "DELETE" } },
    { resource, request: { method: "DELETE", url: "Patient/1" } },
    { resource: "Patient/1" },
    { request: { method: "POST", url: "Patient" } },
  ])
    expect(read(entry)).toEqual({ kind: "unreadable" });
});
