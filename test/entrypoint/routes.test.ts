import * as fc from "fast-check";
import { Hono } from "hono";
import { test } from "vitest";
import { Routes } from "#entrypoint/routes";
import { inLane } from "../support/lane.ts";

const origin = ":origin{[a-z][a-z0-9-]{0,31}}";
/** The gateway's kinds of routes, in an order like the gateway's. `passes`: the route calls the routes behind it. */
const table = [
  ["GET", "/healthz", false],
  ["OPTIONS", "/v1/fhir/*", true],
  ["ALL", "/.well-known/*", true],
  ["ALL", "/v1/fhir/:origin/metadata", true],
  ["ALL", "/v1/fhir/*", true],
  ["ALL", "/oauth/*", true],
  ["GET", `/.well-known/protected/v1/fhir/${origin}`, false],
  ["GET", `/v1/fhir/${origin}/.well-known/smart-configuration`, false],
  ["GET", `/v1/fhir/${origin}/metadata`, true],
  ["ALL", "/v1/fhir/*", false],
] as const;
/** The routes of a door that is put behind these routes. */
const further = [
  ["POST", "/oauth/token", false],
  ["GET", "/oauth/jwks", false],
  ["ALL", "/oauth/token", false],
] as const;

/** Each route notes itself on the way in and on the way out. The route `fails` throws instead. */
function ours(notes: string[], fails: number) {
  const [door, behind] = [new Routes(), new Routes()];
  const fill = (routes: Routes, rows: typeof table | typeof further, from: number) => {
    for (const [index, [method, path, passes]] of rows.entries()) {
      const place = from + index;
      routes.add(method, path, async ({ parameters, answer }, next) => {
        notes.push(`${place} ${path.includes("{") ? parameters["origin"] : ""}`);
        if (place === fails) throw new TypeError(String(place));
        if (!passes) return new Response(String(place), { headers: { by: String(place) } });
        await next();
        answer().headers.append("through", String(place));
        return undefined;
      });
    }
  };
  fill(door, table, 0);
  fill(behind, further, 100);
  door.notFound(() => new Response("absent", { status: 404 }));
  door.onError(({ message }) => new Response(`fault ${message}`, { status: 503 }));
  behind.onError(({ message }) => new Response(`behind ${message}`, { status: 500 }));
  door.join(behind);
  return door;
}

function byTheLibrary(notes: string[], fails: number) {
  const [door, behind] = [new Hono(), new Hono()];
  const fill = (app: Hono, rows: typeof table | typeof further, from: number) => {
    for (const [index, [method, path, passes]] of rows.entries()) {
      const place = from + index;
      app.on(method, path, async (context, next) => {
        notes.push(`${place} ${path.includes("{") ? context.req.param("origin") : ""}`);
        if (place === fails) throw new TypeError(String(place));
        if (!passes) return new Response(String(place), { headers: { by: String(place) } });
        await next();
        context.res.headers.append("through", String(place));
        return undefined;
      });
    }
  };
  fill(door, table, 0);
  fill(behind, further, 100);
  door.notFound(() => new Response("absent", { status: 404 }));
  door.onError(({ message }) => new Response(`fault ${message}`, { status: 503 }));
  behind.onError(({ message }) => new Response(`behind ${message}`, { status: 500 }));
  door.route("/", behind);
  return door;
}

test("a request goes through the routes, and its faults are answered, as a well-known library does it", async ({
  expect,
}) => {
  // no part is a pattern itself: the library goes through a route twice whose pattern a path has literally
  const part = fc.oneof(
    fc.constantFrom("v1", "fhir", "main", "metadata", ".well-known", "oauth", "token", "jwks", "healthz", ""),
    fc.constantFrom(
      "smart-configuration",
      "protected",
      "Main",
      "%6dain",
      "met%61data",
      "a%2Fb",
      "%2e%2e",
      "%25",
    ),
    fc.constantFrom("..", "%C3%BC", "%ff", "a".repeat(33), "%E2%80%A8", "x.y"),
  );
  const known = table.map(([, path]) =>
    path.replace(origin, "main").replace(":origin", "main").replace("*", "Patient"),
  );
  const path = fc.oneof(
    fc.array(part, { maxLength: 6 }).map((parts) => `/${parts.join("/")}`),
    fc.array(part, { maxLength: 4 }).map((parts) => `/v1/fhir/${parts.join("/")}`),
    fc.constantFrom(
      ...known,
      "/v1/fhir",
      "/v1/fhir/",
      "/oauth",
      "/oauth/token",
      "/oauth/jwks",
      "/oauth/token/",
    ),
  );
  const method = fc.constantFrom("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE");
  const fails = fc.oneof(fc.constant(-1), fc.constantFrom(0, 2, 3, 4, 6, 7, 8, 9, 100, 101, 102));
  await fc.assert(
    fc.asyncProperty(
      path,
      method,
      fc.constantFrom("", "?a=/b#c", "?"),
      fails,
      async (at, verb, query, failing) => {
        const request = () => new Request(`https://gateway.example${at}${query}`, { method: verb });
        const told = async (response: Response) => [
          response.status,
          response.headers.get("by"),
          response.headers.get("through"),
          await response.text(),
        ];
        const [mine, theirs]: string[][] = [[], []];
        const answer = await told(await ours(mine ?? [], failing).fetch(request()));
        expect(answer).toEqual(await told(await byTheLibrary(theirs ?? [], failing).fetch(request())));
        expect(mine).toEqual(theirs);
      },
    ),
    { numRuns: inLane({ fast: 600, slow: 5_000, long: 30_000 }) },
  );
});
