import { afterAll, beforeAll, test, vi } from "vitest";
import type { ListedExport } from "#limits/listed-export";
import { instant } from "#kernel/clock";
import { exportShelf } from "#platform/exports/isolate/export-shelf";
import { ClientExports } from "../../workers/jobs/index.ts";
import { ExportDirectory } from "#platform/exports/object/export-directory";
import { send } from "../../cli/connection/mutual-tls.ts";
import { ObjectNamespace } from "../support/in-process/durable-objects.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { requestOf } from "../support/in-process/mutual-tls.ts";

// Operators list the exports of clients, and cancel them. test/admin/exports.test.ts has who may.

let phylax: Door;
let silent: string | undefined;
let isResting = false;
beforeAll(async () => {
  phylax = await startDoor({
    async remote(part, act, _method, object) {
      if (part === "exports" && object === silent) throw new Error("no answer");
      const answer = await act();
      return part === "origin" && isResting && answer instanceof Response
        ? (restingAnswer() as never)
        : answer;
    },
  });
}, 60_000);
afterAll(() => phylax.close());

const restingAnswer = () => new Response(null, { status: 503, headers: { "retry-after": "1" } });
const post = async (path: string, document: object) => {
  const reply = await phylax.within(() =>
    send(phylax.dev, phylax.dev.operators[0], `${phylax.dev.ops}/api/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(document),
    }),
  );
  return { status: reply.status, text: reply.text };
};
async function listed(document: object = {}): Promise<readonly ListedExport[]> {
  const { status, text } = await post("exports", document);
  if (status !== 200) throw new Error(text);
  return (JSON.parse(text) as { readonly exports: readonly ListedExport[] }).exports;
}

/** The URL of the status of a new export, and its id. */
async function begin(client: string, path: string): Promise<{ readonly url: string; readonly id: string }> {
  const kickOff = await phylax.ask(client, path, { headers: { prefer: "respond-async" } });
  if (kickOff.status !== 202) throw new Error(`${kickOff.status} ${kickOff.text}`);
  const url = String(kickOff.headers["content-location"]);
  return { url, id: url.split("/").at(-1) ?? "" };
}

/** The answer with a file, whose lines are not read yet. */
async function download(file: string): Promise<Response> {
  const headers = { authorization: `Bearer ${await phylax.token("telehealth")}` };
  const { cert } = phylax.client("telehealth");
  return await phylax.within(() =>
    phylax.fetch(requestOf(phylax.dev.clientCa.cert, cert, file, { headers })),
  );
}

test("a list of exports has each client's, the newest first, and no patient, Group or search", async ({
  expect,
}) => {
  const { id: first } = await begin(
    "payer",
    "Patient/$export?_type=Patient&_typeFilter=Patient%3Fgender%3Dmale",
  );
  await new Promise((resolve) => void setTimeout(resolve, 5));
  const { id: second } = await begin(
    "telehealth",
    "$export?_type=Observation,Patient&_since=2001-02-03T00:00:00Z",
  );
  const exports = await listed();
  expect(exports.map(({ id }) => id)).toEqual([second, first]);
  expect(exports[0]).toEqual({
    id: second,
    client: "telehealth",
    startedAt: expect.any(Number),
    expires: (exports[0]?.startedAt ?? 0) + 86_400_000,
    facts: {
      level: "system",
      origin: "main",
      purpose: "TREAT",
      types: ["Observation", "Patient"],
      read: [],
      run: null,
    },
  });
  expect(exports[1]?.facts?.level).toBe("patient");
  expect((await post("exports", {})).text).not.toMatch(/gender|male|2001|group|_type/iu);
  expect((await listed({ client: "payer" })).map(({ id }) => id)).toEqual([first]);
});

test("a list names neither the Group of an export nor the patients that it is limited to", async ({
  expect,
}) => {
  phylax.origin.load([
    {
      resourceType: "Group",
      id: "panel-of-the-ward",
      type: "person",
      actual: true,
      member: [{ entity: { reference: "Patient/amara-okafor" } }],
    },
  ]);
  const { id: group } = await begin("telehealth", "Group/panel-of-the-ward/$export?_type=Observation");
  const parameters = {
    resourceType: "Parameters",
    parameter: [
      { name: "_type", valueString: "Observation" },
      { name: "patient", valueReference: { reference: "Patient/amara-okafor" } },
    ],
  };
  const kickOff = await phylax.ask("telehealth", "Patient/$export", {
    method: "POST",
    headers: { prefer: "respond-async", "content-type": "application/fhir+json" },
    body: JSON.stringify(parameters),
  });
  expect(kickOff.status).toBe(202);
  const exports = await listed({ client: "telehealth" });
  expect(exports.find(({ id }) => id === group)?.facts?.level).toBe("group");
  expect(exports[0]?.facts?.level).toBe("patient");
  expect(JSON.stringify(exports)).not.toMatch(/panel|ward|amara|okafor/u);
});

test("a download that ends late does not change what a later one noted", async ({ expect }) => {
  phylax.origin.load(many);
  const { id, url } = await begin("telehealth", "$export?_type=Observation");
  const file = `${url.replace("$export-status", "$export-file")}/1`;
  const reader = (await download(file)).body?.getReader();
  await reader?.read();
  await new Promise((resolve) => void setTimeout(resolve, 5));
  const rows = (await phylax.ask("telehealth", file)).text.trimEnd().split("\n").length;
  const readOf = async () => (await listed()).find((each) => each.id === id)?.facts?.read;
  await vi.waitFor(async () => expect(await readOf()).toMatchObject([{ state: "sent", rows }]));
  await reader?.cancel();
  await new Promise((resolve) => void setTimeout(resolve, 300));
  expect(await readOf()).toMatchObject([{ state: "sent", rows }]);
});

test("a cancelled export is unknown to its client, breaks off its download, and leaves no authority", async ({
  expect,
}) => {
  phylax.origin.load(many);
  const { url, id } = await begin("telehealth", "$export?_type=Observation");
  const authorities = async () =>
    (JSON.parse((await post("authorities", {})).text) as { authorities: readonly object[] }).authorities;
  const file = `${url.replace("$export-status", "$export-file")}/1`;
  const response = await download(file);
  const before = (await phylax.records()).length;
  const reason = "the agreement ends tonight";
  let hasActed = false;
  const read = async () => {
    for await (const _ of response.body ?? []) {
      if (!hasActed) {
        expect(await authorities()).toHaveLength(1);
        const now = (await listed()).find((each) => each.id === id);
        expect(now?.facts?.read).toMatchObject([{ file: 0, state: "reading", reason: null }]);
        expect(await post("exports/cancel", { client: "telehealth", export: id, reason })).toMatchObject({
          status: 200,
        });
      }
      hasActed = true;
    }
  };
  await expect(read()).rejects.toThrow();
  await vi.waitFor(async () => expect(await authorities()).toEqual([]));
  expect((await phylax.ask("telehealth", url)).status).toBe(404);
  expect((await phylax.ask("telehealth", file)).status).toBe(404);
  expect((await listed()).map((each) => each.id)).not.toContain(id);
  const again = await post("exports/cancel", { client: "telehealth", export: id, reason });
  expect([again.status, JSON.parse(again.text)]).toMatchObject([422, { reason: "export_not_open" }]);
  const acts = (await phylax.records())
    .slice(before)
    .flatMap(({ event }) => (event?.what?.interaction === "cancel-export" ? [event] : []));
  expect(JSON.stringify(acts)).toContain(reason);
  expect(JSON.stringify(acts)).toContain(id);
});

test("a list says of each file how many rows left, and whether the file is whole", async ({ expect }) => {
  const { id, url } = await begin("telehealth", "$export?_type=Patient,Observation");
  const file = `${url.replace("$export-status", "$export-file")}/2`;
  const { text } = await phylax.ask("telehealth", file);
  const readOf = async () => (await listed()).find((each) => each.id === id)?.facts?.read;
  const rows = text.trimEnd().split("\n").length;
  await vi.waitFor(async () =>
    expect(await readOf()).toMatchObject([{ file: 1, state: "sent", rows, reason: null }]),
  );
});

test("a list says what a download waits for, and that it goes on", async ({ expect }) => {
  phylax.origin.load(many);
  const { id, url } = await begin("telehealth", "$export?_type=Observation");
  const response = await download(`${url.replace("$export-status", "$export-file")}/1`);
  const readOf = async () => (await listed()).find((each) => each.id === id)?.facts?.read;
  isResting = true;
  const whole = response.text();
  await vi.waitFor(
    async () => expect(await readOf()).toMatchObject([{ state: "waits", reason: "origin_unavailable" }]),
    5_000,
  );
  isResting = false;
  const rows = (await whole).trimEnd().split("\n").length;
  expect(rows).toBeGreaterThanOrEqual(many.length);
  await vi.waitFor(async () => expect(await readOf()).toMatchObject([{ state: "sent", rows }]));
});

test("no operator cancels an export under the name of another client", async ({ expect }) => {
  const { id, url } = await begin("payer", "$export?_type=Patient");
  const reply = await post("exports/cancel", { client: "telehealth", export: id, reason: "misspelt" });
  expect(reply.status).toBe(422);
  expect((await phylax.ask("payer", url)).status).toBe(200);
});

test("a client's store that does not answer is named, and hides no other export", async ({ expect }) => {
  const { id: lost } = await begin("payer", "$export?_type=Patient");
  const { id: found } = await begin("telehealth", "$export?_type=Patient");
  silent = "payer";
  try {
    const exports = await listed();
    expect(exports.find(({ id }) => id === lost)).toMatchObject({ client: "payer", facts: null });
    expect(exports.find(({ id }) => id === found)?.facts?.types).toEqual(["Patient"]);
  } finally {
    silent = undefined;
  }
});

test("an export is not listed after its client deleted it", async ({ expect }) => {
  const { id: deleted, url } = await begin("payer", "$export?_type=Patient");
  expect((await phylax.ask("payer", url, { method: "DELETE" })).status).toBe(202);
  expect((await listed()).map(({ id }) => id)).not.toContain(deleted);
});

test("an export that the directory does not take is none, and does not count against its client", async ({
  expect,
}) => {
  const key = Buffer.alloc(32, 7).toString("base64url");
  let isAway = true;
  const directory = {
    addEntry: () => (isAway ? Promise.reject(new Error("away")) : Promise.resolve()),
  };
  const shelf = exportShelf({
    CLIENT_EXPORTS: new ObjectNamespace(ClientExports, () => ({ CODES_KEY: key })),
    EXPORT_DIRECTORY: { getByName: () => directory },
    LEDGER_JURISDICTION: "",
  } as unknown as Parameters<typeof exportShelf>[0]); // the stubs that it calls
  const now = Date.now();
  const stored = { id: "a".repeat(32), startedAt: instant(now), expires: instant(now + 60_000) };
  await expect(shelf.addExport("payer", stored)).rejects.toThrow();
  expect(await shelf.find("payer", stored.id)).toBeUndefined();
  isAway = false;
  expect(await shelf.addExport("payer", stored)).toEqual({ ok: true, value: undefined });
  expect(await shelf.find("payer", stored.id)).toMatchObject({ id: stored.id });
});

test("the directory lists no export after its end, and says how many it leaves out", async ({ expect }) => {
  const directory = new ObjectNamespace(ExportDirectory, () => ({})).getByName("exports") as Pick<
    DurableObjectStub<ExportDirectory>,
    "addEntry" | "newest"
  >;
  const now = Date.now();
  for (const n of [1, 2, 3])
    await directory.addEntry({
      id: String(n),
      client: "payer",
      startedAt: instant(now + n),
      expires: instant(n === 3 ? now - 1 : now + 60_000),
    });
  expect(await directory.newest(undefined, 1)).toMatchObject({ entries: [{ id: "2" }], more: 1 });
  expect(await directory.newest("lab", 1)).toEqual({ entries: [], more: 0 });
});

const many = Array.from({ length: 2_600 }, (_, n) => ({
  resourceType: "Observation" as const,
  id: `many-${n}`,
  status: "final" as const,
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: "Patient/amara-okafor" },
}));
