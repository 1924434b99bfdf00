import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { noSharedData } from "../phi/shared-data.ts";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { eventsOf } from "../support/auditor.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { fhirSending, restricted, to } from "../support/fhir-parts.ts";

const code = { coding: [{ system: "http://loinc.org", code: "8867-4" }] };
const observation = (patient: string, more: object = {}) => ({
  resourceType: "Observation",
  status: "final",
  code,
  subject: to(patient),
  ...more,
});
const world = [
  {
    resourceType: "Patient",
    id: "amara",
    name: [{ family: "Okafor" }],
    telecom: [{ system: "phone", value: "canary-phone" }],
  },
  {
    resourceType: "Patient",
    id: "bela",
    identifier: [{ system: "urn:mrn", value: "b" }],
    name: [{ family: "Nagy" }],
  },
  { id: "pulse-amara", ...observation("Patient/amara", { note: [{ text: "canary-note" }] }) },
  { id: "pulse-bela", ...observation("Patient/bela") },
  { id: "secret-amara", ...observation("Patient/amara", { meta: restricted }) },
  ...["amara", "bela", "batch", "transaction"].map((name) =>
    observation(`Patient/${name === "bela" ? name : "amara"}`, {
      id: `each-${name}`,
      note: [{ text: "canary-each" }],
    }),
  ),
  {
    resourceType: "Practitioner",
    id: "vera",
    identifier: [{ system: "urn:npi", value: "1" }],
    name: [{ family: "Vera" }],
  },
  {
    resourceType: "Practitioner",
    id: "hidden",
    identifier: [{ system: "urn:npi", value: "2" }],
    meta: restricted,
  },
];

const why = "45 CFR 164.506(c)(2): treatment activities of a provider.";
const rule = (types: readonly string[], interactions: readonly string[], show: unknown) => ({
  types,
  interactions,
  show,
  ...(interactions.includes("delete") && { deletes: "unseen" }),
  why,
  examples: [{ says: "It may be read.", request: `${types[0]}/1`, is: "permitted" }],
});
const writer = {
  format: "phylax.policy.v1",
  name: "writer",
  title: "Writes",
  purposes: ["PATRQT"],
  rules: [
    rule(["Patient"], ["read", "search", "create", "update"], ["identifier", "name", "gender"]),
    rule(
      ["Observation"],
      ["read", "search", "create", "update", "delete"],
      [
        "identifier",
        "status",
        "code",
        "component.code",
        "subject",
        "performer",
        "value[x]",
        "dataAbsentReason",
      ],
    ),
    rule(["Practitioner"], ["read", "search"], "everything"),
  ],
};
const loader = {
  ...writer,
  name: "loader",
  rules: [rule([...r4ResourceTypes], ["read", "search", "create"], "everything")],
};

// A relative signed in: labels withhold no row from amara herself.
const ofAmara = { patient: "amara", fhirUser: "RelatedPerson/relative" };
const apps = {
  clinic: { policy: "writer", scopes: "system/*.cruds" },
  app: { policy: "writer", scopes: "patient/*.cruds", claims: ofAmara },
  loader: { policy: "loader", scopes: "system/*.cruds" },
  blind: { policy: "writer", scopes: "system/*.cuds" },
} as const;
type Who = keyof typeof apps;
let phylax: Door;
let ask: AskAs<Who>;
beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  const policies = [writer, loader].map((body) => ({ name: body.name, body }));
  ask = await outsideApps(phylax, apps, policies);
}, 120_000);
afterAll(() => phylax.close());

interface Entry {
  readonly fullUrl?: string;
  readonly resource?: {
    readonly resourceType: string;
    readonly id: string;
    readonly [name: string]: unknown;
  };
  readonly response: {
    readonly status: string;
    readonly location?: string;
    readonly etag?: string;
    readonly outcome?: unknown;
  };
}
async function post(
  who: Who,
  bundle: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply & { readonly entries: readonly Entry[] }> {
  const sending = fhirSending("POST", bundle, headers);
  const reply = await ask(who, "", sending);
  return { ...reply, entries: (JSON.parse(reply.text).entry ?? []) as readonly Entry[] };
}
const bundle = (type: "batch" | "transaction", ...entry: readonly object[]) => ({
  resourceType: "Bundle",
  type,
  entry,
});
const asks = (method: string, url: string, more: object = {}) => ({ request: { method, url }, ...more });
const patch = (operations: object) => ({
  resource: {
    resourceType: "Binary",
    contentType: "application/json-patch+json",
    data: Buffer.from(JSON.stringify(operations)).toString("base64"),
  },
});
const statuses = ({ entries }: { readonly entries: readonly Entry[] }) =>
  entries.map(({ response }) => response.status);
const stored = async (path: string): Promise<Record<string, unknown>> =>
  (await fetch(`${phylax.dev.origin}/${path}`)).json();

test("a batch answers each entry like a single request: permitted, refused and absent", async ({
  expect,
}) => {
  const reply = await post(
    "app",
    bundle(
      "batch",
      asks("GET", "Patient/amara"),
      asks("GET", "Patient/bela"),
      asks("GET", "Observation/secret-amara"),
      asks("GET", "Observation/nobody"),
      asks("GET", "Observation?code=8867-4"),
      asks("GET", "Observation?favourite=1"),
      asks("GET", "Practitioner?name=Vera"),
      asks("POST", "Observation", { resource: observation("Patient/amara") }),
      asks("POST", "Observation", { resource: observation("Patient/bela") }),
      asks("DELETE", "Observation/pulse-bela"),
      asks("GET", "Patient/amara/$everything"),
      asks("HEAD", "Patient/amara"),
    ),
  );
  expect(reply.status, reply.text).toBe(200);
  expect(JSON.parse(reply.text).type).toBe("batch-response");
  expect(statuses(reply)).toEqual([
    "200",
    "404",
    "404",
    "404",
    "200",
    "400",
    "403",
    "201",
    "403",
    "404",
    "403",
    "200",
  ]);
  const [amara, bela, secret, nobody, search] = reply.entries;
  expect(amara?.resource).toMatchObject({
    resourceType: "Patient",
    id: "amara",
    name: [{ family: "Okafor" }],
  });
  expect(amara?.response.etag).toMatch(/^"/u);
  expect(reply.entries.map(({ fullUrl }) => fullUrl?.replace(`${phylax.dev.fhir}/`, ""))).toEqual([
    "Patient/amara",
    ...Array.from({ length: 11 }, () => undefined), // no resource, or a searchset, which no address names
  ]);
  expect(JSON.stringify([bela, secret])).toBe(JSON.stringify([nobody, nobody]));
  expect(JSON.stringify(search?.resource)).toContain("pulse-amara");
  expect(reply.entries[7]?.response.location).toMatch(
    new RegExp(`^${phylax.dev.fhir}/Observation/[^/]+/_history/1$`, "u"),
  );
  expect(reply.entries[11]).not.toHaveProperty("resource");
  expect(reply.text).not.toContain("canary");
  expect(reply.text).not.toContain(phylax.dev.origin);
  expect(await stored("Observation/pulse-bela")).toMatchObject({ id: "pulse-bela" });
});

test("the resources of a batch's answer have their addresses as fullUrl, each once", async ({ expect }) => {
  const reply = await post(
    "app",
    bundle(
      "batch",
      asks("GET", "Patient/amara"),
      asks("GET", "Patient/amara/_history/1"),
      asks("GET", "Patient/amara?_elements=name"),
      asks("POST", "Observation", { resource: observation("Patient/amara") }),
    ),
    { prefer: "return=representation" },
  );
  expect(statuses(reply), reply.text).toEqual(["200", "200", "200", "201"]);
  const [read, version, cut, created] = reply.entries;
  expect([read?.fullUrl, version?.fullUrl, cut?.fullUrl]).toEqual([
    `${phylax.dev.fhir}/Patient/amara`,
    undefined, // bdl-7: the same address would have to show another version
    undefined,
  ]);
  expect(created?.fullUrl).toBe(`${phylax.dev.fhir}/Observation/${created?.resource?.id}`);
});

test("each entry of a batch is on record as its own request: intents before the first write, results, refusals, disclosures", async ({
  expect,
}) => {
  const reply = await post(
    "clinic",
    bundle(
      "batch",
      asks("GET", "Patient/bela"),
      asks("PUT", "Observation/pulse-bela", {
        resource: { id: "pulse-bela", ...observation("Patient/bela", { status: "amended" }) },
      }),
      asks("GET", "Toaster/1"),
    ),
  );
  expect(statuses(reply)).toEqual(["200", "200", "404"]);
  const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
  expect(
    events.map(({ kind, what, outcome }) => [kind, what?.interaction ?? what?.path, outcome?.status]),
  ).toEqual([
    ["intent", "update", undefined],
    ["write", "update", 200],
    ["disclosure", "read", 200],
    ["disclosure", "update", 200], // the row exists
    ["refusal", "batch", 404],
  ]);
  expect(new Set(events.map(({ step }) => step)).size).toBe(5);
  for (const event of events.slice(0, 4))
    expect(event.patients).toMatchObject([{ patient: "main/Patient/bela" }]);
  expect(await stored("Observation/pulse-bela")).toMatchObject({ status: "amended" });
});

test("an entry of a batch that cannot be read is answered and recorded alone, and refuses a whole transaction", async ({
  expect,
}) => {
  const faulty = [
    asks("GET", "https://origin.example/fhir/Patient/bela"),
    asks("GET", "Patient/bela#name"),
    { fullUrl: "urn:uuid:33333333-3333-4333-8333-333333333333" },
    null,
    asks("TRACE", "Patient/bela"),
    asks("GET", "Patient/bela", { fullUrl: 1 }),
    { request: { method: "DELETE", url: "Observation/pulse-bela", ifMatch: 1 } },
    asks("DELETE", "Observation/pulse-bela", { unless: "never" }),
  ];
  const reply = await post(
    "clinic",
    bundle("batch", asks("GET", "Patient/bela"), ...(faulty as object[]), asks("GET", "Patient/amara")),
    { "idempotency-key": `"${crypto.randomUUID()}"` },
  );
  expect(reply.status, reply.text).toBe(200);
  expect(statuses(reply)).toEqual(["200", ...faulty.map(() => "400"), "200"]);
  expect(reply.entries[1]).toMatchObject({
    response: { outcome: { resourceType: "OperationOutcome", issue: [{ severity: "error" }] } },
  });
  expect(reply.text).not.toContain("origin.example");
  expect(await stored("Observation/pulse-bela")).toMatchObject({ id: "pulse-bela" });
  const refusals = (await eventsOf(phylax.dev, reply.headers["x-request-id"])).filter(
    ({ kind }) => kind === "refusal",
  );
  expect(refusals.map(({ outcome }) => outcome?.reason)).toEqual([
    "entry_url_malformed",
    "entry_url_malformed",
    ...Array.from({ length: 6 }, () => "entry_malformed"),
  ]);
  for (const entry of faulty as object[]) {
    const whole = await post("clinic", bundle("transaction", asks("GET", "Patient/bela"), entry));
    expect([whole.status, whole.entries], whole.text).toEqual([400, []]);
  }
});

test("a read in a batch whose ifNoneMatch is its ETag is 304 without the resource, and is on record like the resource", async ({
  expect,
}) => {
  const read = (ifNoneMatch?: string) => ({ request: { method: "GET", url: "Patient/amara", ifNoneMatch } });
  const first = await post("app", bundle("batch", read()));
  const { etag = "" } = first.entries[0]?.response ?? {};
  const search = { request: { method: "GET", url: "Observation?code=8867-4", ifNoneMatch: "*" } };
  const hidden = { request: { method: "GET", url: "Patient/bela", ifNoneMatch: "*" } };
  const reply = await post(
    "app",
    bundle(
      "batch",
      read(etag),
      read(`"other", W/${etag}`),
      read("*"),
      read('"other"'),
      read("junk"),
      search,
      hidden,
    ),
  );
  expect(statuses(reply)).toEqual(["304", "304", "304", "200", "200", "200", "404"]);
  for (const entry of reply.entries.slice(0, 3)) expect(entry).toEqual({ response: { status: "304", etag } });
  const disclosed = async (id: unknown) =>
    (await eventsOf(phylax.dev, id)).filter(({ kind }) => kind === "disclosure");
  const [shown] = await disclosed(first.headers["x-request-id"]);
  const [known] = await disclosed(reply.headers["x-request-id"]);
  expect(known?.patients).toEqual(shown?.patients);
  expect([shown?.outcome?.status, known?.outcome?.status]).toEqual([200, 304]);
});

test("a reference to a new resource by its address in fullUrl leads to it, and its owner is undecided like that of any new name", async ({
  expect,
}) => {
  const address = "http://example.org/fhir/Patient/amara";
  for (const fullUrl of [address, `${phylax.dev.fhir}/Patient/amara`]) {
    const transaction = bundle(
      "transaction",
      asks("POST", "Patient", {
        fullUrl,
        resource: { resourceType: "Patient", name: [{ family: "Newborn" }] },
      }),
      asks("POST", "Observation", { resource: observation(fullUrl) }),
    );
    const reply = await post("clinic", transaction);
    expect(reply.status, reply.text).toBe(200);
    const [newborn, pulse] = reply.entries.map(({ response }) => response.location ?? "");
    const places = [newborn, pulse].map((place = "") =>
      place.replace(`${phylax.dev.fhir}/`, "").replace(/\/_history\/.*$/u, ""),
    );
    expect(await stored(places[1] ?? "")).toMatchObject({ subject: { reference: places[0] } });
    const owned = await post("app", bundle("transaction", ...transaction.entry.slice(1)));
    const whole = await post("app", transaction);
    expect([owned.status, whole.status]).toEqual([fullUrl === address ? 403 : 200, 403]);
  }
});

test("a transaction is done whole: its names, conditional references and conditional creates are resolved among the rows that the client may see", async ({
  expect,
}) => {
  const transaction = bundle(
    "transaction",
    asks("POST", "Patient", {
      fullUrl: "urn:uuid:11111111-1111-4111-8111-111111111111",
      resource: { resourceType: "Patient", name: [{ family: "Newborn" }] },
    }),
    asks("POST", "Observation", {
      resource: observation("urn:uuid:11111111-1111-4111-8111-111111111111", {
        performer: [to("Practitioner?identifier=urn:npi|1")],
      }),
    }),
    {
      request: { method: "POST", url: "Patient", ifNoneExist: "Patient?identifier=urn:mrn|b" },
      fullUrl: "urn:uuid:22222222-2222-4222-8222-222222222222",
      resource: { resourceType: "Patient", name: [{ family: "Nagy" }] },
    },
    // by the gateway's own address
    asks("POST", `${phylax.dev.fhir}/Observation`, {
      resource: observation("urn:uuid:22222222-2222-4222-8222-222222222222", {
        performer: [to(`${phylax.dev.fhir}/Practitioner?identifier=urn:npi|1`)],
      }),
    }),
    asks("PATCH", "Observation/pulse-amara", {
      fullUrl: "Observation/pulse-amara",
      ...patch([{ op: "replace", path: "/status", value: "amended" }]),
    }),
    asks("GET", "Observation/pulse-amara"),
  );
  const reply = await post("clinic", transaction);
  expect(reply.status, reply.text).toBe(200);
  expect(statuses(reply)).toEqual(["201", "201", "200", "201", "200", "200"]);
  const places = reply.entries.map(({ response }) =>
    response.location?.replace(`${phylax.dev.fhir}/`, "").replace(/\/_history\/.*$/u, ""),
  );
  expect(places[2]).toBe("Patient/bela");
  expect(await stored(places[1] ?? "")).toMatchObject({
    subject: { reference: places[0] },
    performer: [{ reference: "Practitioner/vera" }],
  });
  expect(await stored(places[3] ?? "")).toMatchObject({
    subject: { reference: "Patient/bela" },
    performer: [{ reference: "Practitioner/vera" }],
  });
  expect(await stored("Observation/pulse-amara")).toMatchObject({
    status: "amended",
    note: [{ text: "canary-note" }],
  });
  expect(reply.entries[5]?.resource).toMatchObject({ status: "amended" });
  expect(reply.text).not.toContain("canary");
  const kinds = (await eventsOf(phylax.dev, reply.headers["x-request-id"])).map(({ kind }) => kind);
  expect(kinds.slice(0, 8)).toEqual([
    ...Array.from({ length: 4 }, () => "intent"),
    ...Array.from({ length: 4 }, () => "write"),
  ]);
  // the rows that decided, the read, and the row that existed already
  expect(kinds.slice(8).sort()).toEqual(["disclosure", "disclosure", "write"]);
});

test("a reference to the fullUrl of a conditional update or patch leads to the resource that it finds or makes", async ({
  expect,
}) => {
  for (const fullUrl of [
    "http://example.org/fhir/Patient/9",
    "urn:uuid:66666666-6666-4666-8666-666666666666",
  ])
    for (const [method, value, found] of [
      ["PUT", "b", "Patient/bela"],
      ["PATCH", "b", "Patient/bela"],
      ["PUT", crypto.randomUUID(), undefined],
    ] as const) {
      const renamed = [{ op: "replace", path: "/name/0/family", value: "Nagy" }];
      const updated = {
        resourceType: "Patient",
        identifier: [{ system: "urn:mrn", value }],
        name: [{ family: "Nagy" }],
      };
      const reply = await post(
        "clinic",
        bundle(
          "transaction",
          asks(method, `Patient?identifier=urn:mrn|${value}`, {
            ...(method === "PATCH" ? patch(renamed) : { resource: updated }),
            fullUrl,
          }),
          asks("POST", "Observation", { resource: observation(fullUrl) }),
        ),
      );
      expect(reply.status, reply.text).toBe(200);
      const [patient, pulse] = reply.entries.map(({ response: { location = "" } }) =>
        location.replace(`${phylax.dev.fhir}/`, "").replace(/\/_history\/.*$/u, ""),
      );
      const label = `${method} ${fullUrl}`;
      expect(await stored(pulse ?? ""), label).toMatchObject({ subject: { reference: found ?? patient } });
      const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
      const created = events.filter(({ kind, what }) => kind === "write" && what?.interaction === "create");
      expect(created.at(-1)?.patients, label).toEqual(
        found === undefined ? [] : [expect.objectContaining({ patient: `main/${found}` })],
      );
    }
});

test("an empty reference stays refused beside a conditional update without a fullUrl: it is no reference to its row", async ({
  expect,
}) => {
  const renamed = [{ op: "replace", path: "/name/0/family", value: "Nagy" }];
  const reply = await post(
    "clinic",
    bundle(
      "transaction",
      asks("PATCH", "Patient?identifier=urn:mrn|b", patch(renamed)),
      asks("POST", "Observation", { resource: observation("") }),
    ),
  );
  expect(reply.status, reply.text).toBe(422);
  expect(reply.text).toContain("Observation.subject.reference");
});

test("a transaction whose entries find one row by different names is refused before the origin gets a write; conditions that find different rows of a type are done together", async ({
  expect,
}) => {
  const numbered = (value: string) => ({ identifier: [{ system: "urn:twice", value }] });
  const both = await post(
    "clinic",
    bundle(
      "transaction",
      ...["1", "2"].map((value) =>
        asks("POST", "Observation", { resource: observation("Patient/amara", numbered(value)) }),
      ),
    ),
  );
  const [id = ""] = both.entries.map(({ response }) => response.location?.split("/").at(-3) ?? "");
  const to = (value: string, status: string) =>
    asks(
      "PATCH",
      `Observation?identifier=urn:twice|${value}`,
      patch([{ op: "replace", path: "/status", value: status }]),
    );
  const whole = { id, ...observation("Patient/amara", { ...numbered("1"), status: "corrected" }) };
  for (const other of [
    asks("PUT", `Observation/${id}`, { resource: whole }),
    asks("DELETE", `Observation/${id}`),
    asks("DELETE", "Observation?identifier=urn:twice|1&status=final"),
    to("1", "corrected"),
  ]) {
    const reply = await post("clinic", bundle("transaction", to("1", "amended"), other));
    expect(reply.status, reply.text).toBe(400);
    expect(reply.text).toContain("Two entries of the transaction have one resource");
    const kinds = (await eventsOf(phylax.dev, reply.headers["x-request-id"])).map(({ kind }) => kind);
    expect(kinds).not.toContain("intent");
  }
  expect(await stored(`Observation/${id}`)).toMatchObject({ status: "final", meta: { versionId: "1" } });
  const done = await post("clinic", bundle("transaction", to("1", "amended"), to("2", "amended")));
  expect(statuses(done), done.text).toEqual(["200", "200"]);
});

/** Writes of each kind, of which one finds its resource and has nothing to do. */
const writesOfEachKind = (label: string) => [
  asks("POST", "Observation", {
    fullUrl: "urn:uuid:44444444-4444-4444-8444-444444444444",
    resource: observation("Patient/amara", { identifier: [{ system: "urn:each", value: label }] }),
  }),
  asks("PUT", "Observation/each-amara", {
    resource: { id: "each-amara", ...observation("Patient/amara", { status: "amended" }) },
  }),
  asks("PATCH", "Observation/each-bela", patch([{ op: "replace", path: "/status", value: "amended" }])),
  {
    request: { method: "POST", url: "Patient", ifNoneExist: "identifier=urn:mrn|b" },
    resource: { resourceType: "Patient", name: [{ family: "Nagy" }] },
  },
  asks("DELETE", `Observation/each-${label}`),
];

test.for(["batch", "transaction"] as const)(
  "a %s shows what its writes stored as `Prefer: return` asks, in the view of its writer, and each shown resource is on record",
  async (type, { expect }) => {
    const sent = (prefer: string) => ({ prefer: `return=${prefer}` });
    const shown = await post("clinic", bundle(type, ...writesOfEachKind(type)), sent("representation"));
    expect(shown.status, shown.text).toBe(200);
    expect(statuses(shown)).toEqual(["201", "200", "200", "200", "204"]);
    const [created, updated, patched, found, deleted] = shown.entries;
    expect(created?.resource).toMatchObject({
      resourceType: "Observation",
      identifier: [{ value: type }],
      meta: { tag: [{ code: "SUBSETTED" }] },
    });
    expect(created?.fullUrl).toBe(`${phylax.dev.fhir}/Observation/${created?.resource?.id}`);
    expect(updated?.resource).toMatchObject({ id: "each-amara", status: "amended" });
    expect(patched?.resource).toMatchObject({ id: "each-bela", status: "amended" });
    expect(found?.resource).toMatchObject({ id: "bela", name: [{ family: "Nagy" }] });
    for (const entry of [created, updated, patched, found]) expect(entry?.response.etag).toMatch(/^"/u);
    expect(deleted).not.toHaveProperty("resource");
    expect(shown.text).not.toContain("canary");
    expect(shown.text).not.toContain(phylax.dev.origin);
    const events = await eventsOf(phylax.dev, shown.headers["x-request-id"]);
    const disclosed = events.filter(
      ({ kind, counts }) => kind === "disclosure" && counts["Observation"] === 1,
    );
    const names = disclosed.flatMap(({ patients }) => patients.map(({ patient }) => patient)).sort();
    expect(names.slice(-3)).toEqual(["main/Patient/amara", "main/Patient/amara", "main/Patient/bela"]);
    expect(
      events.filter(({ kind, what }) => kind === "disclosure" && what?.type === "Patient"),
    ).toMatchObject([{ what: { interaction: "create" }, patients: [{ patient: "main/Patient/bela" }] }]);

    const again = bundle(type, ...writesOfEachKind(type).slice(0, 4));
    for (const prefer of ["minimal", "OperationOutcome"]) {
      const reply = await post("clinic", again, sent(prefer));
      expect(statuses(reply), reply.text).toEqual(["201", "200", "200", "200"]);
      for (const { resource, response } of reply.entries)
        expect([resource, (response.outcome as { issue?: unknown[] } | undefined)?.issue?.length]).toEqual([
          undefined,
          prefer === "minimal" ? undefined : 1,
        ]);
    }
  },
);

test.for(["batch", "transaction"] as const)(
  "a %s shows nothing of a written resource to a client that may not read it",
  async (type, { expect }) => {
    const entries = writesOfEachKind(type).slice(0, 2);
    const reply = await post("blind", bundle(type, ...entries), { prefer: "return=representation" });
    expect(statuses(reply), reply.text).toEqual(["201", "200"]);
    for (const { resource, response, fullUrl } of reply.entries)
      expect([resource, response.etag, fullUrl]).toEqual([undefined, undefined, undefined]);
    const labelled = asks("PUT", "Observation/each-amara", {
      resource: { id: "each-amara", ...observation("Patient/amara", { meta: restricted }) },
    });
    const hidden = await post("app", bundle(type, labelled), { prefer: "return=representation" });
    expect(hidden.text).not.toContain('"resourceType":"Observation"');
  },
);

test("a repeated transaction under a key shows what its writes stored", async ({ expect }) => {
  const creating = bundle("transaction", ...writesOfEachKind("key").slice(0, 2));
  const headers = { prefer: "return=representation", "idempotency-key": `"${crypto.randomUUID()}"` };
  const first = await post("clinic", creating, headers);
  const repeat = await post("clinic", creating, headers);
  expect(statuses(repeat), repeat.text).toEqual(["201", "200"]);
  expect(repeat.entries.map(({ resource }) => resource)).toEqual(
    first.entries.map(({ resource }) => resource),
  );
  const kinds = (await eventsOf(phylax.dev, repeat.headers["x-request-id"])).map(({ kind }) => kind);
  expect(kinds.sort()).toEqual(["disclosure", "disclosure", "notice", "notice"]);
});

test("a single forbidden entry refuses the whole transaction, and the origin gets no request", async ({
  expect,
}) => {
  const good = asks("POST", "Observation", {
    resource: observation("Patient/amara", { identifier: [{ system: "urn:t", value: "never" }] }),
  });
  for (const [status, entry] of [
    [403, asks("POST", "Observation", { resource: observation("Patient/bela") })],
    [
      404,
      asks("PUT", "Observation/pulse-bela", {
        resource: { id: "pulse-bela", ...observation("Patient/bela") },
      }),
    ],
    [404, asks("PUT", "Observation/nobody", { resource: { id: "nobody", ...observation("Patient/amara") } })],
    [403, asks("DELETE", "Patient/amara")],
    [403, asks("GET", "Practitioner/vera")],
    [
      422,
      asks("POST", "Observation", { resource: observation("Patient/amara", { note: [{ text: "hidden" }] }) }),
    ],
    [
      415,
      asks("PATCH", "Observation/pulse-amara", { resource: { resourceType: "Parameters", parameter: [] } }),
    ],
    [400, asks("GET", "https://origin.example/fhir/Patient/1")],
    [400, asks("POST", "Patient/$match")],
    [400, asks("POST", "?_format=json", { resource: bundle("batch", good) })],
    [405, asks("DELETE", "?_id=pulse-amara")],
    [400, asks("GET", "?_type=Patient,Observation&_sort=date")],
  ] as const) {
    const before = phylax.forwarded.length;
    const reply = await post("app", bundle("transaction", good, entry));
    expect(reply.status, reply.text).toBe(status);
    expect(
      phylax.forwarded.slice(before).filter((line) => !line.startsWith("GET") && !line.includes("_search")),
      reply.text,
    ).toEqual([]);
  }
  expect(JSON.stringify(await stored("Observation?identifier=urn:t|never"))).not.toContain('"entry"');
});

test("a reference that is a search finds no hidden row, and is refused outside a transaction", async ({
  expect,
}) => {
  const naming = (query: string) =>
    asks("POST", "Observation", {
      resource: observation("Patient/amara", { performer: [to(`Practitioner?${query}`)] }),
    });
  const face = ({ status, text }: Reply) => [status, text.replaceAll(/[0-9a-f]{32}/gu, "id")];
  const hidden = await post("clinic", bundle("transaction", naming("identifier=urn:npi|2")));
  expect(hidden.status, hidden.text).toBe(412);
  expect(face(hidden)).toEqual(
    face(await post("clinic", bundle("transaction", naming("identifier=urn:npi|3")))),
  );
  expect(statuses(await post("clinic", bundle("batch", naming("identifier=urn:npi|1"))))).toEqual(["422"]);
  expect((await post("app", bundle("transaction", naming("identifier=urn:npi|1")))).status).toBe(403);
});

test("a Bundle that is no batch, is too long, or names a resource twice is refused by its form", async ({
  expect,
}) => {
  expect((await post("clinic", { resourceType: "Bundle", type: "searchset" })).status).toBe(400);
  expect(
    (await post("clinic", bundle("batch", ...Array.from({ length: 51 }, () => asks("GET", "Patient/amara")))))
      .status,
  ).toBe(413);
  expect(
    (
      await post(
        "clinic",
        bundle("transaction", asks("DELETE", "Observation/x"), asks("DELETE", "Observation/x")),
      )
    ).status,
  ).toBe(400);
  expect((await post("clinic", bundle("batch"), { "content-type": "application/xml" })).status).toBe(415);
  const empty = await post("clinic", bundle("batch"));
  expect([empty.status, JSON.parse(empty.text)]).toEqual([
    200,
    { resourceType: "Bundle", type: "batch-response" },
  ]);
});

test.skipIf(noSharedData)(
  "a real Synthea transaction is accepted, and each of its resources exists (needs ../shared/data)",
  { timeout: 60_000 },
  async ({ expect }) => {
    const folder = join(import.meta.dirname, "../../../shared/data/fhir/synthea-2019");
    for (const name of readdirSync(folder).slice(0, 2)) {
      const transaction = JSON.parse(gunzipSync(readFileSync(join(folder, name))).toString()) as {
        entry: { resource: { resourceType: string } }[];
      };
      const reply = await post("loader", transaction);
      expect(reply.status, reply.text.slice(0, 2_000)).toBe(200);
      expect(new Set(statuses(reply))).toEqual(new Set(["201"]));
      expect(reply.entries).toHaveLength(transaction.entry.length);
      const at = reply.entries.map(
        ({ response }) => response.location?.replace(`${phylax.dev.fhir}/`, "").split("/")[0],
      );
      expect(at).toEqual(transaction.entry.map(({ resource }) => resource.resourceType));
      expect(
        (await eventsOf(phylax.dev, reply.headers["x-request-id"])).filter(({ kind }) => kind === "intent"),
      ).toHaveLength(transaction.entry.length);
    }
  },
);
