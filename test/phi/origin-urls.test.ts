import { test } from "vitest";
import { originUrlMap } from "#phi/origin-urls";

const gateway = "https://api.example/v1/fhir/main";
const map = originUrlMap({ origin: "https://origin.internal/fhir", public: gateway });

test("a URL below the origin's base becomes the gateway's, in whatever form it is written", ({ expect }) => {
  for (const url of [
    "https://origin.internal/fhir",
    "http://origin.internal/fhir",
    "HTTPS://Origin.Internal/fhir",
    "https://origin.internal:443/fhir",
    "//origin.internal/fhir",
  ]) {
    expect(map(`${url}/Patient/1?x=1#y`), url).toBe(`${gateway}/Patient/1?x=1#y`);
  }
  expect(map('<a href="https://origin.internal/fhir/Patient/1">x</a> https://origin.internal/fhir')).toBe(
    `<a href="${gateway}/Patient/1">x</a> ${gateway}`,
  );
});

test("no other URL of the origin's host leaves", ({ expect }) => {
  for (const url of [
    "https://origin.internal/files/x.pdf?token=1",
    "https://origin.internal",
    "https://origin.internal:8443/fhir/Patient/1",
    "ftp://origin.internal/x",
    "https://u:p@origin.internal/x",
    "https://origin.internal./x",
    "//origin.internal/x",
    "https://origin.internal/fhir2/Patient/1",
  ]) {
    expect(map(`see ${url} there`), url).toBe(`see ${gateway} there`);
  }
});

test("what is not the origin's stays as it is", ({ expect }) => {
  for (const text of [
    "Patient/1",
    "https://origin.internal.evil.example/fhir/Patient/1",
    "https://notorigin.internal/x",
    "origin.internal",
    "https://elsewhere.example/?u=origin.internal",
    "urn:uuid:1",
    gateway,
    `${gateway}/Patient/1`,
  ]) {
    expect(map(text), text).toBe(text);
  }
});

test("gateway and origin on one host, as in development, do not take each other for the other", ({ expect }) => {
  const local = originUrlMap({ origin: "http://localhost:9000/fhir", public: "https://localhost:8443/v1/fhir/main" });
  expect(local("http://localhost:9000/fhir/Patient/1")).toBe("https://localhost:8443/v1/fhir/main/Patient/1");
  expect(local("http://localhost:9000/admin")).toBe("https://localhost:8443/v1/fhir/main");
});

test("a long text costs no more than its length, and the end of a sentence hides nothing", ({ expect }) => {
  expect(map(`${"a".repeat(300_000)} https://origin.internal.`)).not.toContain("origin");
  expect(map("https://origin.internal...")).not.toContain("origin");
  expect(map(`${"//".repeat(100_000)}origin.internal`)).not.toContain("origin");
});

test("special signs in either base are no patterns", ({ expect }) => {
  const odd = originUrlMap({ origin: "https://o.example/a+b(c)", public: "https://g.example/$&$1" });
  expect(odd("https://o.example/a+b(c)/Patient/1")).toBe("https://g.example/$&$1/Patient/1");
  expect(odd("https://oxexample/a+b(c)/Patient/1")).toBe("https://oxexample/a+b(c)/Patient/1");
});
