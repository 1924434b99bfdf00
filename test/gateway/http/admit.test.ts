import * as fc from "fast-check";
import { test } from "vitest";
import { admit, type Arrival } from "#gateway/http/admit";
import { instant } from "#kernel/clock";

const base = "https://gateway.example/v1/fhir/main";

function arrival(url: string, headers: Record<string, string> = {}, method = "GET"): Arrival {
  return {
    id: "0".repeat(32),
    at: instant(0),
    method,
    url,
    headers: new Headers(headers),
    tlsClientAuth: undefined,
  };
}

function reasonOf(url: string, headers: Record<string, string> = {}, method = "GET"): string {
  const call = admit(arrival(url, headers, method));
  return call.ok ? "admitted" : call.error.reason;
}

test("a request is split into origin, segments and query, and its credential is a secret", ({ expect }) => {
  const call = admit(arrival(`${base}/Patient/a-1?_format=json`, { authorization: "Bearer abc.def.ghi" }));
  expect(call.ok && call.value).toMatchObject({
    origin: "main",
    segments: ["Patient", "a-1"],
    query: "_format=json",
  });
  expect(call.ok && call.value.token?.reveal()).toBe("abc.def.ghi");
  expect(JSON.stringify(call)).not.toContain("abc.def.ghi");
});

test("a path that hides something behind an encoding, a dot segment or a second host is refused", ({
  expect,
}) => {
  const paths = [
    "/Patient/a%2Fb",
    "/Patient/..%2f..",
    "/Patient/%2e%2e/x",
    "//evil.example/Patient",
    "/Patient//a",
    "/Patient/a;b",
    "/Patient/a@b",
    "/http://x",
  ];
  for (const path of paths) {
    const reason = reasonOf(base + path);
    // The URL parser folds %2e%2e like a dot segment before the gateway sees it: the rest is an ordinary
    // admitted path.
    if (path.includes("%2e%2e")) expect(reason).toBe("admitted");
    else expect(reason, path).toBe("path_malformed");
  }
});

test("a token in the URL is refused, in any letter case and place (RFC 6750 §5.3)", ({ expect }) => {
  expect(reasonOf(`${base}/Patient/a?access_token=x`)).toBe("token_in_url");
  expect(reasonOf(`${base}/Patient/a?b=c&ACCESS_TOKEN=x`)).toBe("token_in_url");
});

test("a token has one of two schemes, in any letter case, and its proof is a secret", ({ expect }) => {
  for (const scheme of ["DPoP", "dpop", "Bearer", "BEARER"]) {
    const call = admit(
      arrival(`${base}/Patient/a?_summary=false`, { authorization: `${scheme} token`, dpop: "canary" }),
    );
    expect(call.ok && call.value).toMatchObject({
      scheme: scheme.toLowerCase(),
      path: "/v1/fhir/main/Patient/a",
    });
    expect(call.ok && call.value.proof?.reveal()).toBe("canary");
    expect(JSON.stringify(call)).not.toContain("canary");
  }
  expect(reasonOf(`${base}/Patient/a`, { authorization: "Basic dXNlcjpwYXNz" })).toBe(
    "authorization_scheme_unknown",
  );
});

test("only a single well-formed bearer credential is accepted", ({ expect }) => {
  const url = `${base}/Patient/a`;
  for (const header of [
    "Bearer",
    "Bearer ",
    "Bearer a b",
    "Bearer a, Bearer b",
    "Bearer ünix",
    "a",
    "Bearer a,b",
  ]) {
    expect(reasonOf(url, { authorization: header }), header).toBe("authorization_malformed");
  }
  expect(reasonOf(url, { authorization: "Basic YTpi" })).toBe("authorization_scheme_unknown");
  expect(reasonOf(url, { authorization: "bearer abc" })).toBe("admitted");
});

test("long URLs, many or large headers and a body on a read are refused", ({ expect }) => {
  expect(reasonOf(`${base}/Patient?name=${"a".repeat(16_400)}`)).toBe("url_too_long");
  expect(reasonOf(`${base}/Patient/a`, { "x-a": "b".repeat(33_000) })).toBe("headers_too_large");
  expect(
    reasonOf(`${base}/Patient/a`, Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x-${i}`, "1"]))),
  ).toBe("headers_too_large");
  expect(reasonOf(`${base}/Patient/a`, { "content-length": "3" })).toBe("body_not_expected");
});

test("the answer has the requested media type, and XML is refused", ({ expect }) => {
  const typeOf = (accept: string) => {
    const call = admit(arrival(`${base}/Patient/a`, { accept }));
    return call.ok ? call.value.mediaType : call.error.reason;
  };
  expect(typeOf("application/json")).toBe("application/json");
  expect(typeOf("application/fhir+json")).toBe("application/fhir+json");
  expect(typeOf("application/json, text/plain, */*")).toBe("application/fhir+json");
  expect(typeOf("text/json")).toBe("application/json");
  expect(typeOf("application/fhir+xml")).toBe("not_acceptable");
  expect(typeOf("application/fhir+json;q=0")).toBe("not_acceptable");
  expect(typeOf("application/fhir+json; q=0.5, text/html")).toBe("application/fhir+json");
  expect(reasonOf(`${base}/Patient/a?_format=json`, { accept: "application/fhir+xml" })).toBe("admitted");
  // RFC 9110 §12.5.1: the weight of the most specific range counts, and application/fhir+json among equals
  const [fhir, json] = ["application/fhir+json", "application/json"];
  for (const [accept, type] of [
    [`${json};q=0.9, ${fhir};q=0.1`, json],
    [`${fhir}; q=0.1, ${json}`, json],
    [`${json}, */*;q=0.8`, json],
    [`${fhir};q=0, */*`, json],
    [`${json};q=0, application/*;q=0.5`, fhir],
    [`${fhir};q=0, ${json};q=0.0, */*;q=0`, "not_acceptable"],
    [`${json}, ${fhir}`, fhir],
    [`application/fhir+xml, ${json};q=0.4, ${fhir};q=0.4`, fhir],
    [`${fhir};q=x`, fhir],
    [`${fhir};fhirVersion=5.0;q=1, ${fhir};fhirVersion=4.0;q=0.2, ${json};q=0.1`, fhir],
  ] as const)
    expect(typeOf(accept), accept).toBe(type);
});

test("an answer of another FHIR version is not acceptable, whatever the media type", ({ expect }) => {
  const reasonFor = (accept: string) => reasonOf(`${base}/Patient/a`, { accept });
  for (const version of ["4.0", "4.0.1", '"4.0"'])
    expect(reasonFor(`application/fhir+json; fhirVersion=${version}`), version).toBe("admitted");
  for (const version of ["5.0", "3.0", "4.3", "4.0-x", "", "4.01", '"5.0"'])
    expect(reasonFor(`application/fhir+json; fhirVersion=${version}`), version).toBe("not_acceptable");
  expect(reasonFor("application/json;FHIRVERSION=5.0")).toBe("not_acceptable");
  expect(reasonFor("*/*; fhirVersion = 5.0")).toBe("not_acceptable");
  expect(reasonFor("application/fhir+json; fhirVersion=5.0, application/fhir+json; fhirVersion=4.0")).toBe(
    "admitted",
  );
  expect(reasonFor("application/fhir+json; fhirVersion=5.0, */*;q=0.1")).toBe("admitted");
});

test("no URL path or header makes admission throw", () => {
  fc.assert(
    fc.property(fc.webPath(), fc.webQueryParameters(), fc.string(), (path, query, accept) => {
      const headers = /^[\t\x20-\x7e]*$/u.test(accept)
        ? { accept, authorization: accept, traceparent: accept }
        : {};
      admit(
        arrival(
          `https://gateway.example${path}?${query}`,
          Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.trim()])),
        ),
      );
    }),
  );
});

test("every address is read as the URL parser reads it", ({ expect }) => {
  const pieces = ["/", "Patient", "a-1", ".", "..", "%2e", "%", "$", "_", "*", "\\", "@", "?", "#", "&", "="];
  const rest = [
    "'",
    '"',
    "<",
    " ",
    "\t",
    "\n",
    "é",
    "|",
    "^",
    "`",
    "{",
    "\u0000",
    "count=1",
    "name:exact",
    ";",
  ];
  const text = fc.array(fc.constantFrom(...pieces, ...rest), { maxLength: 8 }).map((all) => all.join(""));
  fc.assert(
    fc.property(fc.constantFrom("", "/", "?", "/Patient?", "/Patient/"), text, (start, end) => {
      const url = base + start + end;
      const { pathname, search } = new URL(url);
      const path = /^\/v1\/fhir\/([a-z][a-z0-9-]{0,31})((?:\/(?:[\w$.-]+|\*))*)\/?$/u.exec(pathname);
      const call = admit(arrival(url));
      expect(call.ok ? call.value : undefined).toEqual(
        path === null
          ? undefined
          : expect.objectContaining({
              path: pathname,
              origin: path[1],
              segments: (path[2] ?? "").split("/").slice(1),
              query: search.slice(1),
            }),
      );
    }),
  );
});
