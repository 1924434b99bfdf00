import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { breakingChanges, type Contracts } from "./support/contract-changes.ts";
import { presentContracts, storedContracts } from "./support/contracts.ts";

/*
 * A user of a release goes on with its OpenAPI document, registry file, policy file, environment's file, dev.json,
 * reason codes, and results of the command. docs/releasing.md says how a release may break one of these.
 */

const present = presentContracts();
const releases = readdirSync(join(import.meta.dirname, "../contracts"));

test("nothing of a release is removed or narrowed: additions alone", () => {
  expect(releases).toContain("0.1.0");
  for (const version of releases)
    expect(breakingChanges(storedContracts(version), present), version).toEqual([]);
});

type Path = readonly (string | number)[];
const removed = Symbol("removed");

/** A copy with another value at a path of members, or without it. */
function replaced(value: unknown, [name, ...rest]: Path, change: (old: unknown) => unknown): unknown {
  if (name === undefined) return change(value);
  const old: unknown = Reflect.get(Object(value), name);
  const now = replaced(old, rest, change);
  if (Array.isArray(value)) return value.map((each, at) => (at === name ? now : each));
  const others = Object.entries(Object(value)).filter(([key]) => key !== String(name));
  return Object.fromEntries(now === removed ? others : [...others, [name, now]]);
}

const edited = (contracts: Contracts, path: Path, change: (old: unknown) => unknown): Contracts =>
  replaced(contracts, path, change) as Contracts; // the test breaks one part of it

const without = () => removed;
const set = (value: unknown) => () => value;
const shorter = (old: unknown) => (old as readonly unknown[]).slice(0, -1); // the test names lists
const longer = (added: unknown) => (old: unknown) => [...(old as readonly unknown[]), added];

const clients = ["openApi", "paths", "/api/clients", "get"];
const answer = [...clients, "responses", "200", "content", "application/json", "schema"];
const policy = ["files", "policy", "properties"];

const broken: readonly (readonly [string, Path, (old: unknown) => unknown, RegExp])[] = [
  ["an operation", clients, without, /GET \/api\/clients: removed/u],
  ["its name", [...clients, "operationId"], set("other"), /GET \/api\/clients: operationId/u],
  [
    "a query parameter",
    ["openApi", "paths", "/api/proposals", "get", "parameters"],
    set([]),
    /parameter query state removed/u,
  ],
  ["a member of an answer", [...answer, "properties", "clients"], without, /\.clients: removed/u],
  ["a member that was always there", [...answer, "required"], set([]), /\.clients: may now be absent/u],
  [
    "a status",
    ["openApi", "paths", "/api/registry/changes", "post", "responses", "412"],
    without,
    /status 412 removed/u,
  ],
  ["a role", [...clients, "x-roles"], shorter, /role: .* removed/u],
  ["a member of a file", ["files", "registry", "properties", "clients"], without, /\.clients: removed/u],
  ["a file", ["files", "policy"], without, /^policy: removed$/u],
  ["an optional member", ["files", "registry", "required"], set(["clients"]), /clients: now required/u],
  ["a value", [...policy, "users", "items", "enum"], shorter, /users\[\]: .* removed/u],
  ["a limit", [...policy, "title", "maxLength"], set(10), /title: maxLength/u],
  ["a pattern", [...policy, "name", "pattern"], set("^a$"), /name: pattern/u],
  ["a type", [...policy, "name", "type"], set("number"), /type string is now number/u],
  ["a key of dev.json", ["devFile"], (old) => (old as string[]).filter((key) => key !== "ca"), /ca removed/u],
  ["a reason", ["reasons", "token_missing"], without, /reason token_missing: removed or changed/u],
  [
    "its status",
    ["reasons", "token_missing", "gateway", 0],
    set(418),
    /reason token_missing: removed or changed/u,
  ],
  ["a verb", ["verbs", "why"], without, /phylax why: removed/u],
  ["an option", ["verbs", "token", "options"], shorter, /phylax token: --.* removed/u],
  ["a member of a result", ["verbs", "token", "members"], shorter, /phylax token: member token/u],
  ["the form of a result", ["verbs", "token", "form"], set("lines"), /phylax token: form/u],
];

test("each part that is removed or narrowed is found", () => {
  for (const [what, path, change, problem] of broken)
    expect(breakingChanges(present, edited(present, path, change)).join("\n"), what).toMatch(problem);
});

const added: readonly (readonly [Path, (old: unknown) => unknown])[] = [
  [["openApi", "paths", "/api/new"], set({ get: { operationId: "new", responses: {} } })],
  [
    ["openApi", "paths", "/api/proposals", "get", "parameters"],
    longer({ name: "limit", in: "query", schema: {} }),
  ],
  [[...answer, "properties", "next"], set({ type: "string" })],
  [["files", "registry", "properties", "labs"], set({ type: "array" })],
  [[...policy, "users", "items", "enum"], longer("guardian")],
  [[...policy, "title", "maxLength"], set(400)],
  [["devFile"], longer("more")],
  [["reasons", "new_reason"], set({ gateway: [400, "invalid"] })],
  [["verbs", "token", "options"], longer("--new")],
  [["verbs", "token", "members"], longer("until")],
];

test("an addition is no difference, and so is no change", () => {
  expect(breakingChanges(present, present)).toEqual([]);
  const more = added.reduce((contracts, [path, change]) => edited(contracts, path, change), present);
  expect(breakingChanges(present, more)).toEqual([]);
  expect(breakingChanges(more, present), "each of them is one if it goes").toHaveLength(added.length);
});
