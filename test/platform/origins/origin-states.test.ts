import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, test } from "vitest";
import type { OriginEntry } from "#registry/state";
import { instant } from "#kernel/clock";
import { originProblems } from "#platform/origins/origin-state";
import { originStates } from "#platform/origins/origin-states";
import { patience } from "../../support/patience.ts";

// Real servers, each with its own way to name itself.
let port = 0;
const asked: string[] = [];
const json =
  (value: unknown): RequestListener =>
  (_req, res) => {
    res.writeHead(200, { "content-type": "application/fhir+json" });
    res.end(JSON.stringify(value));
  };
const refuse =
  (status: number): RequestListener =>
  (_req, res) => {
    res.writeHead(status);
    res.end();
  };
const page = (url: string) =>
  json({ resourceType: "Bundle", type: "searchset", link: [{ relation: "self", url }], entry: [] });
const elsewhere = "http://ehr.internal:8080/R4";
const paths: Readonly<Record<string, () => RequestListener>> = {
  "/plain/metadata": () => json({ resourceType: "CapabilityStatement" }),
  "/plain/Organization": () => page(`http://127.0.0.1:${port}/plain/Organization?_count=1`),
  "/posts/metadata": () => json({ resourceType: "CapabilityStatement" }),
  "/posts/Organization": () => page(`http://127.0.0.1:${port}/posts/Organization?_count=1`),
  "/posts/Organization/_search": () => page(`http://127.0.0.1:${port}/posts/Organization?_count=1`),
  "/less/metadata": () =>
    json({
      resourceType: "CapabilityStatement",
      rest: [
        {
          resource: [
            {
              type: "Patient",
              interaction: [{ code: "read" }],
              searchParam: [{ name: "name", type: "string" }],
            },
          ],
        },
      ],
    }),
  "/says/metadata": () =>
    json({ resourceType: "CapabilityStatement", implementation: { description: "x", url: elsewhere } }),
  "/links/metadata": () => json({ resourceType: "CapabilityStatement" }),
  "/links/Organization": () => page(`${elsewhere}/Organization?_count=1`),
  "/shut/metadata": () => refuse(401),
  "/down/metadata": () => refuse(503),
  "/slow/metadata": () => () => {},
};
const server = createServer((req, res) => {
  const path = (req.url ?? "").split("?")[0] ?? "";
  asked.push(path);
  (paths[path]?.() ?? refuse(404))(req, res);
});
beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  ({ port } = server.address() as AddressInfo); // a listening TCP server has one
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const entry = (name: string, more: Partial<OriginEntry> = {}): OriginEntry => ({
  name,
  url: `http://127.0.0.1:${port}/${name}`,
  alsoKnownAs: undefined,
  credentials: { kind: "none" },
  forwardClientCert: false,
  signInAt: undefined,
  ...more,
});
function statesOf(entries: () => readonly OriginEntry[]) {
  let time = 1_000_000;
  const states = originStates({
    list: () => Promise.resolve(entries()),
    credentials: {
      secrets: { valueOf: () => undefined, secretHosts: new Map() },
      tokens: () => ({
        current: () => Promise.reject(new Error("no")),
        anew: () => Promise.reject(new Error("no")),
      }),
      bearers: () => ({
        current: () => Promise.reject(new Error("no")),
        anew: () => Promise.reject(new Error("no")),
      }),
    },
    allowed: { originHosts: new Set(["127.0.0.1"]) },
    clock: () => instant(time),
    keepAlive: () => {},
    wait: () => wait(300),
  });
  return { states, pass: (milliseconds: number) => (time += milliseconds) };
}

test("readiness shows the problem of each origin, but not its address", async ({ expect }) => {
  const all = [
    entry("plain"),
    entry("says"),
    entry("links"),
    entry("shut"),
    entry("down"),
    entry("slow"),
    entry("nothing"),
    entry("nowhere", { url: "https://fhir.example.org/r4" }),
    entry("keyless", { credentials: { kind: "bearer", secret: "NO_TOKEN" } }),
  ];
  const { states } = statesOf(() => all);
  // A late answer is used for the next requests; eight of nine origins are asked at a time.
  await expect.poll(states, patience).toEqual({
    plain: "ready",
    says: "named_otherwise",
    links: "named_otherwise",
    shut: "credentials_refused",
    down: "unreachable",
    slow: "unchecked",
    nothing: "no_fhir_server",
    nowhere: "host_not_allowed",
    keyless: "secret_not_available",
  });
  const said = await states();
  expect(JSON.stringify(said)).not.toMatch(/127|internal|example|http/u);
  expect(originProblems({ origins: said }, ["plain", "links", "nowhere", "absent"])).toEqual([
    "origin links: it names itself by another base than its entry: list that base in alsoKnownAs (docs/registry.md)",
    "origin nowhere: ORIGIN_HOSTS of the gateway does not list its host: every request to it is 503",
  ]);
});

test("readiness says that an origin states less than its entry: a type, an interaction or a search parameter", async ({
  expect,
}) => {
  const less = (types: object) =>
    entry("less", { capabilities: { types } as NonNullable<OriginEntry["capabilities"]> });
  const patient = { interactions: ["read"], search: ["_id", "name"] };
  let current = less({ Patient: patient });
  const { states } = statesOf(() => [current]);
  await expect.poll(states, patience).toEqual({ less: "ready" });
  for (const types of [
    { Patient: patient, Observation: patient },
    { Patient: { ...patient, interactions: ["read", "search-type"] } },
    { Patient: { ...patient, search: ["name", "birthdate"] } },
  ]) {
    current = less(types);
    await expect.poll(states, patience).toEqual({ less: "less_than_registered" });
  }
  expect(originProblems({ origins: await states() }, ["less"])[0]).toContain("phylax origin probe");
});

test("readiness says that an origin refuses the posted search of its entry, if it answers the same search by GET", async ({
  expect,
}) => {
  const byPost = (name: string, searchByPost: boolean) => entry(name, { capabilities: { searchByPost } });
  let current = byPost("plain", true);
  const { states } = statesOf(() => [current]);
  await expect.poll(states, patience).toEqual({ plain: "less_than_registered" });
  current = byPost("plain", false);
  await expect.poll(states, patience).toEqual({ plain: "ready" });
  current = byPost("posts", true);
  await expect.poll(states, patience).toEqual({ posts: "ready" });
  current = byPost("says", true); // it has no organizations at all
  await expect.poll(states, patience).toEqual({ says: "named_otherwise" });
});

test("an origin whose entry lists its second name is ready at once; an unchanged entry is asked once a minute, for any number of requests", async ({
  expect,
}) => {
  let current = entry("links");
  const { states, pass } = statesOf(() => [current]);
  await expect.poll(states, patience).toEqual({ links: "named_otherwise" });
  current = entry("links", { alsoKnownAs: [elsewhere] });
  await expect.poll(states, patience).toEqual({ links: "ready" });
  asked.length = 0;
  pass(59_999);
  await Promise.all(Array.from({ length: 50 }, states));
  expect(asked).toEqual([]);
  pass(1);
  await Promise.all(Array.from({ length: 50 }, states));
  await expect.poll(() => asked, patience).toEqual(["/links/metadata", "/links/Organization"]);
});
