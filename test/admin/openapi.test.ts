import { Validator } from "@seriousme/openapi-schema-validator";
import { test } from "vitest";
import { adminApp, adminVerbs } from "#admin/app";
import { openApiDocument } from "#admin/openapi";
import type { AdminPorts } from "#admin/ports";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const registrar = presented("registrar");
const digest = `sha256:${"0".repeat(64)}`;
const id = "0123456789abcdef0123456789abcdef";
const ports: AdminPorts = {
  ...nobodySignsIn,
  operators: {
    find: async () => ({ ...machine, id: "registrar", roles: ["registry-admin", "revoker"] }),
  },
  registry: {
    ...registryUnasked,
    show: async () => ({ digest, registry: {} }),
    clients: async () => [],
    plan: async () => ok({ digest, changes: [], policies: {}, opens: [] }),
    apply: async () => ok({ counts: { added: 1, changed: 0 }, changes: [] }),
    change: async () => err({ reason: "stale", pointer: "/expects", problem: "has changed" }),
    probed: async () => ok({ origin: "main", otherwise: ["capabilities/strict"] }),
    probes: async () => [],
    revoke: async () => ok(undefined),
    authorities: async () => ok([]),
    lift: async () => ok(true),
  },
  operatorTasks: { list: async () => [], suspend: async () => ok({}), remove: async () => ok({}) },
  proposals: { ...nobodySignsIn.proposals, list: async () => [], show: async () => undefined },
  ledger: recordsOnly(async () => "counted"),
  clock: () => instant(at),
  onFault: ({ name }) => {
    throw new Error(name);
  },
};
const app = adminApp(ports);

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, object>>;
}
interface ApiDocument {
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** The served document, as a client gets it. */
const served = async (): Promise<ApiDocument> =>
  JSON.parse(await (await app.request("/api/openapi.json")).text());

/** A client with a function for each operation, made from the document alone. */
function clientOf({ servers: [server], paths }: ApiDocument) {
  const calls = new Map<
    string,
    (named?: Record<string, string>, body?: object) => Promise<[number, Operation]>
  >();
  for (const [path, methods] of Object.entries(paths))
    for (const [method, operation] of Object.entries(methods))
      calls.set(operation.operationId, async (named = {}, body) => {
        const inPath = path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => named[name] ?? "");
        const request = new Request(`${server?.url ?? ""}${inPath}`, {
          method: method.toUpperCase(),
          ...(operation.requestBody !== undefined && { body: JSON.stringify(body ?? {}) }),
          headers: { "content-type": "application/json" },
        });
        const reply = await app.request(
          Object.assign(request, { cf: { tlsClientAuth: registrar.tlsClientAuth } }),
        );
        return [reply.status, operation];
      });
  return calls;
}

test("the served document is valid OpenAPI 3.1", async ({ expect }) => {
  expect(await new Validator().validate(await served())).toEqual({ valid: true });
  const broken = { ...openApiDocument(adminVerbs(ports), "https://ops.example.org"), paths: [] };
  expect((await new Validator().validate(broken)).valid, "the validator can find a fault").toBe(false);
});

test("a client that is made from the document calls each operation, and gets a status that the document lists", async ({
  expect,
}) => {
  const client = clientOf(await served());
  expect(client.size).toBe(adminVerbs(ports).length);
  for (const [operationId, call] of client) {
    const [status, operation] = await call({ proposal: id });
    expect(Object.keys(operation.responses), operationId).toContain(String(status));
  }
  const statusOf = async (name: string, body?: object) =>
    (await client.get(name)?.({ proposal: id }, body))?.[0];
  expect(await statusOf("show-registry")).toBe(200);
  expect(await statusOf("apply-registry", { clients: [] })).toBe(200);
  expect(await statusOf("change-registry", { expects: digest }), "a stale state").toBe(412);
  expect(await statusOf("show-proposal"), "no such proposal").toBe(409);
  expect(await statusOf("approve", { proposal: id }), "no approver").toBe(403);
});
