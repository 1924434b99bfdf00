import { test } from "vitest";
import { linkBelow, resized } from "#fhir/origin-link";

const base = "https://fhir.example:8443/r4";

test.for([
  ["https://fhir.example:8443/r4?_getpages=1&_count=2", "?_getpages=1&_count=2"],
  ["https://fhir.example:8443/r4/Observation?page=2", "/Observation?page=2"],
  ["HTTPS://FHIR.EXAMPLE:8443/r4/Observation?page=2#top", "/Observation?page=2"],
  ["https://fhir.example:8443/r4/x/../Observation?page=2", "/Observation?page=2"],
  ["Observation?page=2", "/Observation?page=2"],
  ["?page=2", "/?page=2"],
  ["/r4/Observation?page=2", "/Observation?page=2"],
] as const)("%s is below the base: %s", ([link, below], { expect }) => {
  expect(linkBelow(base, link)).toBe(below);
});

test.for([
  "http://fhir.example:8443/r4?page=2",
  "https://fhir.example/r4?page=2",
  "https://fhir.example:8444/r4?page=2",
  "https://evil.example:8443/r4?page=2",
  "https://fhir.example.evil:8443/r4?page=2",
  "https://user@fhir.example:8443/r4?page=2",
  "https://user:pass@fhir.example:8443/r4?page=2",
  "https://fhir.example:8443/r42?page=2",
  "https://fhir.example:8443/?page=2",
  "https://fhir.example:8443/r4/../admin?page=2",
  "https://fhir.example:8443/r4/%2e%2e/admin?page=2",
  "https://fhir.example:8443/r4/..%2fadmin?page=2",
  "https://fhir.example:8443/r4/..%5cadmin?page=2",
  "//evil.example:8443/r4?page=2",
  "/admin?page=2",
  "\\\\evil.example\\r4",
  "file:///r4?page=2",
  "javascript:1",
  "urn:uuid:1",
])("%s leads elsewhere", (link, { expect }) => {
  expect(linkBelow(base, link)).toBeUndefined();
});

test("a base without a path has exactly its host's URLs below it", ({ expect }) => {
  expect(linkBelow("http://origin.internal", "http://origin.internal/Patient?x=1")).toBe("/Patient?x=1");
  expect(linkBelow("http://origin.internal", "http://origin.internal:80?x=1")).toBe("/?x=1");
  expect(linkBelow("http://origin.internal", "http://origin.internal:81?x=1")).toBeUndefined();
});

test("on the loopback address a server may use a different host name, on its own port only", ({ expect }) => {
  const local = "http://127.0.0.1:8080/fhir";
  for (const host of ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "127.1:8080"])
    expect(linkBelow(local, `http://${host}/fhir?page=2`), host).toBe("?page=2");
  for (const host of ["localhost:8081", "localhost", "127.0.0.1.example:8080", "example:8080"])
    expect(linkBelow(local, `http://${host}/fhir?page=2`), host).toBeUndefined();
  expect(linkBelow(base, "https://localhost:8443/r4?page=2")).toBeUndefined();
});

test.for([
  ["http://ehr.internal/R4/Observation?page=2", "/Observation?page=2"],
  ["http://ehr.internal/R4/v2/Observation?page=2", "/Observation?page=2"],
  ["/R4/Observation?page=2", "/Observation?page=2"],
  ["https://fhir.example:8443/r4?_getpages=1", "?_getpages=1"],
] as const)("%s is below one of the base's names: %s", ([link, below], { expect }) => {
  expect(linkBelow([base, "http://ehr.internal/R4", "http://ehr.internal/R4/v2"], link)).toBe(below);
});

test.for([
  "http://ehr.internal/R4x",
  "https://ehr.internal/R4",
  "http://evil.example/R4",
  "http://ehr.internal/R4/../admin",
  "/admin",
])("%s is below none of the base's names", (link, { expect }) => {
  expect(linkBelow([base, "http://ehr.internal/R4"], link)).toBeUndefined();
});

const half = (count: number) => Math.ceil(count / 2);

test.for([
  ["?_getpages=a&_getpagesoffset=20&_count=10", "?_getpages=a&_getpagesoffset=20&_count=5"],
  ["/Observation?patient=20&_count=10&_offset=20", "/Observation?patient=20&_count=5&_offset=20"],
] as const)("%s has a number of rows as its place", ([link, short], { expect }) => {
  expect(resized(link, 20, "patient=20&_count=10", half)).toBe(short);
});

test.for([
  ["the number of a page", "/Observation?patient=20&_count=10&page=3"],
  ["a cursor", "/Observation?patient=20&_count=10&ct=MjA"],
  ["a further parameter of the same number", "/Observation?_count=10&_offset=20&page=20"],
  ["no count", "/Observation?patient=20&_offset=20"],
  ["two counts", "/Observation?_count=10&_count=20&_offset=20"],
  ["a count in words", "/Observation?_count=ten&_offset=20"],
  ["a single row", "/Observation?_count=1&_offset=20"],
  ["no query", "/Observation"],
] as const)("a link with %s stays as it is", ([, link], { expect }) => {
  expect(resized(link, 20, "patient=20&_count=10", half)).toBeUndefined();
});
