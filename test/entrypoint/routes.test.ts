import { Hono } from "hono";
import { test } from "vitest";
import { type RouteMethod, Routes } from "#entrypoint/routes";

function door() {
  const faults: string[] = [];
  const routes = new Routes({ newId: () => "0".repeat(32), onFault: ({ name }) => faults.push(name) });
  return { routes, faults };
}
const at = (path: string, method = "GET") => new Request(`https://api.example${path}`, { method });

/** The addresses in Hono's form, and in the form of the routes. */
const addresses: readonly (readonly [method: RouteMethod, hono: string, routes: RegExp])[] = [
  ["GET", "/healthz", /^\/healthz$/u],
  ["OPTIONS", "/v1/fhir/*", /^\/v1\/fhir(?:\/|$)/u],
  ["POST", "/oauth/token", /^\/oauth\/token$/u],
  ["any", "/oauth/token", /^\/oauth\/token$/u],
  ["GET", "/.well-known/keys", /^\/\.well-known\/keys$/u],
  [
    "GET",
    "/v1/fhir/:origin{[a-z][a-z0-9-]{0,31}}/metadata",
    /^\/v1\/fhir\/(?<origin>[a-z][a-z0-9-]{0,31})\/metadata$/u,
  ],
  ["any", "/v1/fhir/*", /^\/v1\/fhir(?:\/|$)/u],
];

test("each spelling of an address reaches the route that Hono's router would choose", async ({ expect }) => {
  const { routes } = door();
  const hono = new Hono();
  hono.notFound(() => new Response("none", { status: 404 }));
  for (const [number, [method, pattern, path]] of addresses.entries()) {
    routes.on(method, path, (_request, _next, { origin = "" }) => new Response(`${number} ${origin}`));
    hono.on(method === "any" ? "ALL" : method, pattern, (context) => {
      const { origin = "" } = context.req.param() as { origin?: string };
      return new Response(`${number} ${origin}`);
    });
  }
  const spellings = [
    "/",
    "/healthz",
    "/healthz?a=/v1/fhir/",
    "/healthz/",
    "//healthz",
    "/HEALTHZ",
    "/%68ealthz",
    "/healthz%3Fa",
    "/healthz%2F",
    "/healthz%0A",
    "/healthz%00",
    "/healthz;a",
    "/v1/fhir",
    "/v1/fhir/",
    "/v1/fhirs",
    "/v1//fhir/main",
    "/v1/fhir/main/metadata",
    "/v1/fhir/main/metadata/",
    "/v1/fhir/main/metadata?_format=json",
    "/v1/fhir/Main/metadata",
    "/v1/fhir/m%61in/metadata",
    "/v1/fhir/main%2Fmetadata",
    "/v1/fhir/main/Patient/1%2F2",
    "/v1/fhir/main/Patient/1%252F",
    "/v1/fh%69r/main/Patient/%",
    "/v1/fh%69r/main/Patient/%C3",
    "/v1/fh%69r/main/Patient/%C3%A9%zz",
    "/oauth/token",
    "/oauth/token/x",
    "/.well-known/keys",
    "/%2Ewell-known/keys",
    "/xwell-known/keys",
    `/v1/fhir/${"a".repeat(33)}/metadata`,
  ];
  for (const path of spellings) {
    for (const method of ["GET", "HEAD", "POST", "PUT", "OPTIONS"]) {
      const [ours, theirs] = [await routes.fetch(at(path, method)), await hono.request(at(path, method))];
      const text = await ours.text();
      expect([ours.status, ours.status === 404 ? "none" : text], `${method} ${path}`).toEqual([
        theirs.status,
        theirs.status === 404 ? "none" : await theirs.text(),
      ]);
    }
  }
});

test("HEAD has the status and the headers of GET, and no body", async ({ expect }) => {
  const { routes } = door();
  routes.on("GET", /^\/a$/u, () => Response.json({ a: 1 }, { status: 201, headers: { "x-a": "b" } }));
  const answer = await routes.fetch(at("/a", "HEAD"));
  expect([answer.status, answer.headers.get("x-a"), await answer.text()]).toEqual([201, "b", ""]);
});

test("a route may hand a request on, and change the answer of the routes after it, also that of a fault", async ({
  expect,
}) => {
  const { routes, faults } = door();
  routes.on("any", /^\//u, async (_request, next) => {
    const answer = await next();
    answer.headers.set("x-seen", "yes");
    return answer;
  });
  routes.on("GET", /^\/fails$/u, () => {
    throw new TypeError("patient Amara");
  });
  routes.on("GET", /^\/fails-later$/u, () => Promise.reject(new RangeError("patient Amara")));
  for (const path of ["/fails", "/fails-later"]) {
    const answer = await routes.fetch(at(path));
    expect([answer.status, answer.headers.get("x-seen")]).toEqual([503, "yes"]);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(await answer.text()).not.toContain("Amara");
  }
  expect(faults).toEqual(["TypeError", "RangeError"]);
  const unknown = await routes.fetch(at("/elsewhere"));
  expect([unknown.status, unknown.headers.get("x-seen")]).toEqual([404, "yes"]);
  expect(await unknown.json()).toMatchObject({ title: "Not Found", status: 404 });
});
