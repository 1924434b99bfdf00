import { afterAll, beforeAll, describe, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { lane } from "../support/lane.ts";
import { eventsOf } from "../support/auditor.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { policyEntry, rule } from "../policy/granting.ts";
import type { PolicyDocument, PolicyRule } from "#policy/schema";

/*
 * Rows and writes that name many patients. The records of a write fit the ledger whatever it names, a row that
 * names too many patients is missing alone, and a write names few patients beyond the access of its author.
 */

const code = (text: string) => ({ coding: [{ system: "urn:c", code: text }] });
const named = (prefix: string, many: number) =>
  Array.from({ length: many }, (_, n) => to(`Patient/${prefix}-${n}`));
const observation = (id: string, patient: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: code("pulse"),
  subject: to(`Patient/${patient}`),
  ...more,
});
const inWard = { encounter: to("Encounter/visit") };
const world = [
  { resourceType: "Patient", id: "amara" },
  { resourceType: "Patient", id: "bela" },
  {
    resourceType: "Encounter",
    id: "visit",
    status: "finished",
    class: { code: "AMB" },
    subject: to("Patient/amara"),
  },
  observation("small", "amara", { code: code("join"), ...inWard }),
  ...["one", "two", "three"].map((id) =>
    observation(`large-${id}`, "amara", { code: code("join"), ...inWard, focus: named("crowd", 3_000) }),
  ),
  observation("plain", "bela", { code: code("page") }),
  ...["read", "removed", "removed-in-batch", "removed-in-transaction"].map((id) =>
    observation(id, "bela", { code: code("page"), focus: named("crowd", 5_100) }),
  ),
  observation("pulse", "amara"),
  observation("known", "amara", { focus: named("crowd", 30) }),
  ...[0, 21, 1_000].map((many) => observation(`hidden-${many}`, "amara", { focus: named("stranger", many) })),
];

const writing = (types: PolicyRule["types"], show: PolicyRule["show"] = "everything") =>
  rule(types, show, { interactions: ["read", "search", "create", "update", "delete"], deletes: "unseen" });
const policy = (name: string, more: Partial<PolicyDocument> = {}) =>
  policyEntry(name, [writing(["Patient", "Observation", "Encounter", "Group", "List"])], {
    purposes: ["PATRQT"],
    operations: ["everything"],
    ...more,
  });

const patient = { scopes: "patient/*.cruds", claims: { patient: "amara" } };
const apps = {
  clinic: { policy: "open", scopes: "system/*.cruds" },
  app: { policy: "open", ...patient },
  strict: { policy: "strict", ...patient },
  narrow: { policy: "narrow", ...patient },
} as const;
type Who = keyof typeof apps;
let phylax: Door;
let ask: AskAs<Who>;

beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  const policies = [
    policy("open"),
    policy("strict", { namesBeyondAccess: 0 }),
    policy("narrow", {
      rules: [
        writing(
          ["Observation"],
          ["status", "code", "component.code", "subject", "performer", "value[x]", "dataAbsentReason"],
        ),
      ],
    }),
  ];
  ask = await outsideApps(phylax, apps, policies);
}, 120_000);
afterAll(() => phylax.close());

const send = (who: Who, method: string, path: string, body: unknown, headers: object = {}): Promise<Reply> =>
  ask(who, path, fhirSending(method, body, headers));
const bundle = (type: string, ...entry: readonly object[]) => ({ resourceType: "Bundle", type, entry });
const posting = (resource: { readonly resourceType: string; readonly [member: string]: unknown }) => ({
  resource,
  request: { method: "POST", url: resource.resourceType },
});
const eventsAbout = (reply: Reply) => eventsOf(phylax.dev, reply.headers["x-request-id"]);
/** The patients in the events of a kind, each once. */
const namedOnRecord = async (reply: Reply, kind: string): Promise<ReadonlySet<string>> =>
  new Set(
    (await eventsAbout(reply)).flatMap((event) =>
      event.kind === kind ? event.patients.map(({ patient }) => patient) : [],
    ),
  );
const idsOf = (reply: Reply): readonly string[] =>
  (JSON.parse(reply.text).entry ?? [])
    .map((entry: { resource: { id: string } }) => entry.resource.id)
    .toSorted();
const statusesOf = (reply: Reply): readonly string[] =>
  JSON.parse(reply.text).entry.map((entry: { response: { status: string } }) =>
    entry.response.status.slice(0, 3),
  );
const { id: _id, ...fresh } = observation("", "amara");
/** The requests at the origin that write. */
const writesSince = (from: number) =>
  phylax.forwarded.slice(from).filter((one) => !one.startsWith("GET ") && !one.includes("_search"));

describe("the records of a write fit the ledger, whatever it names", () => {
  test("a create that names 4,900 patients is stored, with all of them on record before and after", async ({
    expect,
  }) => {
    const crowd = { ...fresh, focus: named("crowd", 4_900) };
    const prefer = (shown: string) => ({ prefer: `return=${shown}` });
    const made = await send("clinic", "POST", "Observation", crowd, prefer("representation"));
    expect(made.status).toBe(201);
    const { id } = JSON.parse(made.text);
    const changed = { ...crowd, id, status: "amended" };
    const put = await send("clinic", "PUT", `Observation/${id}`, changed, prefer("minimal"));
    const gone = await ask("clinic", `Observation/${id}`, { method: "DELETE" });
    expect([put.status, gone.status]).toEqual([200, 204]);
    for (const reply of [made, put, gone]) {
      const events = await eventsAbout(reply);
      const namesOf = (kind: string) =>
        new Set(
          events
            .flatMap((event) => (event.kind === kind ? event.patients : []))
            .map(({ patient }) => patient),
        );
      // the existence of the stored row, or the row itself, is disclosed
      for (const kind of ["intent", "write", "disclosure"]) expect(namesOf(kind).size, kind).toBe(4_901);
    }
  });

  test.skipIf(lane === "fast")(
    "a row that names 5,100 patients can be deleted, alone and in bundles: each of them is on record before the origin is asked",
    async ({ expect }) => {
      const alone = await ask("clinic", "Observation/removed", { method: "DELETE" });
      expect(alone.status).toBe(204);
      expect((await namedOnRecord(alone, "intent")).size).toBe(5_101);
      expect((await namedOnRecord(alone, "write")).size).toBe(5_101);
      for (const type of ["batch", "transaction"]) {
        const removal = { request: { method: "DELETE", url: `Observation/removed-in-${type}` } };
        const reply = await send("clinic", "POST", "", bundle(type, removal));
        expect([reply.status, statusesOf(reply)]).toEqual([200, ["204"]]);
        expect((await namedOnRecord(reply, "intent")).size).toBe(5_101);
        expect((await namedOnRecord(reply, "write")).size).toBe(5_101);
      }
    },
  );

  test.skipIf(lane === "fast")(
    "bundles of writes that name 4,900 patients each are done",
    async ({ expect }) => {
      for (const type of ["batch", "transaction"]) {
        const crowds = Array.from({ length: 3 }, (_, n) =>
          posting({ ...fresh, focus: named(`crowd-${n}`, 4_900) }),
        );
        const reply = await send("clinic", "POST", "", bundle(type, ...crowds));
        expect([reply.status, statusesOf(reply)]).toEqual([200, ["201", "201", "201"]]);
        expect((await namedOnRecord(reply, "write")).size).toBe(3 * 4_900 + 1);
      }
    },
  );
});

describe("a row that names too many patients is missing alone", () => {
  test("on a page, in a batch, in $everything and in a read of the row itself", async ({ expect }) => {
    const page = await ask("clinic", "Observation?code=page&status=final");
    expect([page.status, idsOf(page)]).toEqual([200, ["plain"]]);
    const read = await ask("clinic", "Observation/read");
    expect(read.status).toBe((await ask("clinic", "Observation/absent")).status);
    const reads = ["Observation?code=page&status=final", "Observation/read", "Observation/plain"].map(
      (url) => ({
        request: { method: "GET", url },
      }),
    );
    const batch = await send("clinic", "POST", "", bundle("batch", ...reads));
    expect([batch.status, statusesOf(batch)]).toEqual([200, ["200", `${read.status}`, "200"]]);
    const everything = await ask("clinic", "Patient/bela/$everything");
    expect([everything.status, idsOf(everything)]).toEqual([200, ["bela", "plain"]]);
  });

  test("in a join: three rows that name 3,000 patients each stop nobody's _has and nobody's chain", async ({
    expect,
  }) => {
    const joins = await ask("clinic", "Encounter?_has:Observation:encounter:code=urn:c|join");
    expect([joins.status, idsOf(joins)]).toEqual([200, ["visit"]]);
    const chain = await ask("clinic", "Observation?encounter.status=finished&code=urn:c|join");
    expect(chain.status).toBe(200);
    expect(idsOf(chain)).toEqual(["large-one", "large-three", "large-two", "small"]);
  });
});

describe("a write names few patients beyond the access of its author", () => {
  const crowded = (many: number, prefix = "stranger") => ({ ...fresh, focus: named(prefix, many) });

  test("a create that names 20 is stored; one more is refused before anything is sent, on record", async ({
    expect,
  }) => {
    const few = await send("app", "POST", "Observation", crowded(20));
    expect(few.status).toBe(201);
    const from = phylax.forwarded.length;
    const many = await send("app", "POST", "Observation", crowded(21));
    expect([many.status, writesSince(from)]).toEqual([422, []]);
    const events = await eventsAbout(many);
    expect(events.map(({ kind, outcome }) => [kind, outcome?.reason])).toEqual([
      ["refusal", "names_beyond_access"],
    ]);
  });

  test.for<[form: string, write: () => Promise<Reply>]>([
    ["an update", () => send("app", "PUT", "Observation/pulse", { ...crowded(21), id: "pulse" })],
    [
      "a patch",
      () =>
        send(
          "app",
          "PATCH",
          "Observation/pulse",
          [{ op: "add", path: "/focus", value: named("stranger", 21) }],
          {
            "content-type": "application/json-patch+json",
          },
        ),
    ],
    ["a conditional update", () => send("app", "PUT", "Observation?_id=pulse", crowded(21))],
    [
      "a conditional create",
      () => send("app", "POST", "Observation", crowded(21), { "if-none-exist": "_id=no" }),
    ],
    [
      "contained resources",
      () =>
        send("app", "POST", "Observation", {
          ...fresh,
          contained: [
            { ...fresh, id: "one", focus: named("one", 11) },
            { ...fresh, id: "other", focus: named("other", 11) },
          ],
          hasMember: [to("#one"), to("#other")],
        }),
    ],
    [
      "extensions",
      () =>
        send("app", "POST", "Observation", {
          ...fresh,
          extension: named("stranger", 21).map((valueReference) => ({ url: "urn:x", valueReference })),
        }),
    ],
    [
      "a List",
      () =>
        send("app", "POST", "List", {
          resourceType: "List",
          status: "current",
          mode: "working",
          subject: to("Patient/amara"),
          entry: named("stranger", 21).map((item) => ({ item })),
        }),
    ],
    [
      "a transaction, each entry by itself",
      () => send("app", "POST", "", bundle("transaction", posting(fresh), posting(crowded(21)))),
    ],
    [
      "a transaction, all entries together",
      () =>
        send(
          "app",
          "POST",
          "",
          bundle("transaction", posting(crowded(11, "one")), posting(crowded(10, "other"))),
        ),
    ],
  ])("%s", async ([, write], { expect }) => {
    const from = phylax.forwarded.length;
    const reply = await write();
    expect([reply.status, writesSince(from)], reply.text).toEqual([422, []]);
    const reasons = (await eventsAbout(reply)).map(({ outcome }) => outcome?.reason);
    expect(reasons, reply.text).toContain("names_beyond_access");
  });

  test("an entry of a batch is refused alone", async ({ expect }) => {
    const both = bundle("batch", posting(crowded(21)), posting(crowded(20)));
    const reply = await send("app", "POST", "", both);
    expect([reply.status, statusesOf(reply)]).toEqual([200, ["422", "201"]]);
  });

  test("the same patients in several entries of a transaction count once", async ({ expect }) => {
    const both = bundle("transaction", posting(crowded(20)), posting(crowded(20)));
    expect((await send("app", "POST", "", both)).status).toBe(200);
  });

  test("a row that names 30 already can be changed, and cannot name a further one; names are no longer added in small steps", async ({
    expect,
  }) => {
    const known = JSON.parse((await ask("app", "Observation/known")).text);
    const put = (focus: readonly object[]) => send("app", "PUT", "Observation/known", { ...known, focus });
    expect((await put(known.focus)).status).toBe(200);
    expect((await put([...known.focus, ...named("stranger", 1)])).status).toBe(422);
    expect((await put(known.focus.slice(0, 25))).status).toBe(200);
    const small = await send("app", "POST", "Observation", crowded(15));
    const id = small.headers["location"]?.split("/").at(-3) ?? "";
    const steps = { ...crowded(20), id };
    expect((await send("app", "PUT", `Observation/${id}`, steps)).status).toBe(200);
    const further = { ...steps, focus: [...steps.focus, ...named("further", 1)] };
    expect((await send("app", "PUT", `Observation/${id}`, further)).status).toBe(422);
  });

  test("a client whose scopes reach every patient names as many as it needs, such as a Group of 500", async ({
    expect,
  }) => {
    const group = {
      resourceType: "Group",
      type: "person",
      actual: true,
      member: named("member", 500).map((entity) => ({ entity })),
    };
    expect((await send("clinic", "POST", "Group", group)).status).toBe(201);
  });

  test("the patients whom only hidden elements name are neither new nor counted: the answer tells nothing of them", async ({
    expect,
  }) => {
    for (const row of ["hidden-0", "hidden-21", "hidden-1000"]) {
      const shown = JSON.parse((await ask("narrow", `Observation/${row}`)).text);
      expect(shown.focus).toBeUndefined();
      const put = (many: number) =>
        send("narrow", "PUT", `Observation/${row}`, { ...shown, performer: named("stranger", many) });
      expect([(await put(21)).status, (await put(20)).status, (await put(1)).status], row).toEqual([
        422, 200, 200,
      ]);
    }
  });

  test("a policy may permit none", async ({ expect }) => {
    expect((await send("strict", "POST", "Observation", crowded(1))).status).toBe(422);
    expect((await send("strict", "POST", "Observation", fresh)).status).toBe(201);
  });
});
