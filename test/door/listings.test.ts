import { afterAll, beforeAll, test } from "vitest";
import { send, type Reply, type Sending } from "../../cli/connection/mutual-tls.ts";
import { policy, rule } from "../policy/granting.ts";
import { openLedger } from "../support/auditor.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

let phylax: Door;
let askApp: AskAs<"archive">;
// The starter policies hide some rows of every type. This policy hides no row of a Location.
const archive = policy(rule(["Location"], "everything"));
beforeAll(async () => {
  phylax = await startDoor();
  const app = { purpose: "TREAT", policy: "archive", scopes: "system/*.rs" };
  askApp = await outsideApps(phylax, { archive: app }, [{ name: "archive", body: archive }]);
}, 120_000);
afterAll(() => phylax.close());

interface Entry {
  readonly fullUrl: string;
  readonly resource?: {
    readonly resourceType: string;
    readonly id: string;
    readonly meta?: { readonly versionId?: string };
    readonly status?: string;
  };
  readonly request?: { readonly method: string; readonly url: string };
  readonly response?: { readonly status: string; readonly etag?: string; readonly lastModified?: string };
  readonly search?: { readonly mode: string };
}
interface Bundle {
  readonly type: string;
  readonly total?: number;
  readonly link: readonly { readonly relation: string; readonly url: string }[];
  readonly entry?: readonly Entry[];
}
const ask = (client: string, path: string, sending: Sending = {}): Promise<Reply> =>
  client === "archive" ? askApp("archive", path, sending) : phylax.ask(client, path, sending);
const bundle = async (client: string, path: string): Promise<Bundle> => {
  const reply = await ask(client, path);
  if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${reply.text}`);
  return JSON.parse(reply.text) as Bundle;
};
const named = (mode: string, { entry = [] }: Bundle) =>
  entry.flatMap(({ resource, search }) =>
    search?.mode === mode && resource ? [`${resource.resourceType}/${resource.id}`] : [],
  );
async function pagesOf(client: string, path: string): Promise<readonly Bundle[]> {
  const pages: Bundle[] = [];
  for (let url: string | undefined = path; url !== undefined;) {
    const page: Bundle = await bundle(client, url);
    pages.push(page);
    url = page.link.find(({ relation }) => relation === "next")?.url;
  }
  return pages;
}
const outcome = async (client: string, path: string, method = "GET") => {
  const reply = await ask(client, path, { method });
  return { status: reply.status, text: reply.text.replaceAll(/[0-9a-f]{32}/gu, "") };
};
/** Asks the origin directly, without the gateway. */
const atOrigin = async (method: string, path: string, resource?: object) => {
  const body = resource === undefined ? null : JSON.stringify(resource);
  const reply = await fetch(`${phylax.dev.origin}/${path}`, {
    method,
    body,
    headers: { "content-type": "application/fhir+json" },
  });
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`);
};
const observation = (id: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { coding: [{ system: "urn:test", code: "listed" }] },
  subject: { reference: "Patient/amara-okafor" },
  ...more,
});
const labelled = {
  meta: { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }] },
};

test("everything about a patient is the rows of the searches by that patient, whole over all its pages, and the resources that they refer to", async ({
  expect,
}) => {
  const whole = await bundle("telehealth", "Patient/amara-okafor/$everything?_count=1000");
  const own = named("match", whole);
  expect(own).toContain("Patient/amara-okafor");
  for (const type of ["Observation", "Condition", "Encounter", "Immunization"]) {
    const found = named("match", await bundle("telehealth", `${type}?patient=amara-okafor&_count=1000`));
    expect(own.filter((name) => name.startsWith(`${type}/`)).toSorted(), type).toEqual(found.toSorted());
  }
  const beside = new Set(named("include", whole).map((name) => name.replace(/\/.*$/u, "")));
  expect(beside.has("Practitioner")).toBe(true);
  for (const type of ["Patient", "Observation", "Encounter"]) expect(beside.has(type), type).toBe(false);
  expect(whole).toMatchObject({ type: "searchset", total: own.length });

  const pages = await pagesOf("telehealth", "Patient/amara-okafor/$everything?_count=7");
  expect(pages.flatMap((page) => named("match", page))).toEqual(own);
  for (const page of pages) {
    expect(named("match", page).length).toBeLessThanOrEqual(7);
    for (const { url } of page.link)
      expect(url.startsWith(`${phylax.dev.fhir}/Patient/amara-okafor/$everything`)).toBe(true);
  }
});

test("everything can be narrowed by type, and its link to a further page opens for no further request and no further client", async ({
  expect,
}) => {
  const some = await bundle(
    "telehealth",
    "Patient/amara-okafor/$everything?_type=Condition,Immunization&_count=1",
  );
  expect(named("match", some)).toHaveLength(1);
  const next = some.link.find(({ relation }) => relation === "next")?.url ?? "";
  const rest = await bundle("telehealth", next);
  expect(named("match", rest)[0]).toMatch(/^(?:Condition|Immunization)\//u);
  const sealed = next.slice(next.indexOf("?"));
  for (const [client, path] of [
    ["patient-app", `Patient/amara-okafor/$everything${sealed}`],
    ["telehealth", `Patient/someone-else/$everything${sealed}`],
    ["telehealth", `Condition${sealed}`],
    ["telehealth", `Patient/amara-okafor/_history${sealed}`],
    ["telehealth", `Patient/amara-okafor${sealed}`],
  ] as const)
    expect([400, 410], path).toContain((await outcome(client, path)).status);
});

test("a patient's app gets everything about its own patient; another patient is the 404 of an absent patient, after as many questions", async ({
  expect,
}) => {
  const { patient } = phylax.client("patient-app");
  const own = await bundle("patient-app", `Patient/${patient}/$everything?_count=1000`);
  expect(named("match", own)).toContain(`Patient/${patient}`);
  const asked = async (path: string) => {
    const before = phylax.forwarded.length;
    const got = await outcome("patient-app", path);
    return {
      ...got,
      questions: phylax.forwarded
        .slice(before)
        .map((line) => line.replace(/\?.*$/u, "").replace(/Patient\/[^/]+/u, "Patient/…")),
    };
  };
  const { entry = [] } = await bundle("telehealth", "Patient?_count=10");
  const other = entry.map(({ resource }) => resource?.id ?? "").find((id) => id !== patient);
  for (const below of ["$everything", "_history"]) {
    const [forbidden, absent] = [
      await asked(`Patient/${other}/${below}`),
      await asked(`Patient/nobody/${below}`),
    ];
    expect(forbidden, below).toEqual(absent);
    expect(absent.status).toBe(404);
    expect(absent.questions).toHaveLength(2);
  }
});

test("the record of everything names the patient, counts the released rows by type, and the withheld rows", async ({
  expect,
}) => {
  const reply = await phylax.ask(
    "telehealth",
    "Patient/amara-okafor/$everything?_type=Condition&_count=1000",
  );
  const record = (await openLedger(phylax.dev)).find(
    ({ event }) => event.id === reply.headers["x-request-id"],
  )?.event;
  const matched = named("match", JSON.parse(reply.text) as Bundle).length;
  expect(record).toMatchObject({
    kind: "disclosure",
    what: {
      interaction: "$everything",
      type: "Patient",
      id: "amara-okafor",
      parameters: [
        ["_type", "Condition"],
        ["_count", "1000"],
      ],
    },
    counts: { Condition: matched },
    patients: [{ patient: "main/Patient/amara-okafor" }],
  });
});

test("the last of each kind is taken from the rows that the client may see: a newer labelled row leaves no gap", async ({
  expect,
}) => {
  for (const [id, day, more] of [
    ["last-1", "2026-01-01", {}],
    ["last-2", "2026-02-01", {}],
    ["last-3", "2026-03-01", labelled],
  ] as const)
    await atOrigin("PUT", `Observation/${id}`, observation(id, { effectiveDateTime: day, ...more }));
  const last = async (query: string) =>
    named("match", await bundle("telehealth", `Observation/$lastn?patient=amara-okafor&${query}`));
  expect(await last("code=urn:test%7Clisted")).toEqual(["Observation/last-2"]);
  expect(await last("code=urn:test%7Clisted&max=5")).toEqual(["Observation/last-2", "Observation/last-1"]);
  const kinds = await last("max=1");
  expect(kinds).toContain("Observation/last-2");
  expect(kinds.length).toBeGreaterThan(3);
  expect((await outcome("telehealth", "Observation/$lastn?code=urn:test%7Clisted")).status).toBe(400);
});

test("each version in a history is shown by its own view; a later label hides all versions", async ({
  expect,
}) => {
  for (const status of ["registered", "preliminary", "final"])
    await atOrigin("PUT", "Observation/history-1", observation("history-1", { status }));
  const { entry = [], type } = await bundle("telehealth", "Observation/history-1/_history");
  expect(type).toBe("history");
  expect(entry.map(({ resource }) => resource?.status)).toEqual(["final", "preliminary", "registered"]);
  for (const { fullUrl, request, response, resource } of entry) {
    expect(fullUrl).toBe(`${phylax.dev.fhir}/Observation/history-1`);
    expect(request?.url).toMatch(/^Observation(?:\/history-1)?$/u);
    expect(response?.etag).toBe(`W/"${resource?.meta?.versionId}"`);
  }
  const pages = await pagesOf("telehealth", "Observation/history-1/_history?_count=1");
  expect(pages.map((page) => (page.entry ?? []).map(({ resource }) => resource?.status))).toEqual([
    ["final"],
    ["preliminary"],
    ["registered"],
  ]);
  // The view of research shows no version and no time. The history entries show neither.
  const research = JSON.stringify(
    (await bundle("research", "Observation/history-1/_history").catch(() => ({ entry: [] }))).entry,
  );
  expect(research).not.toMatch(/etag|lastModified|versionId/u);

  await atOrigin("PUT", "Observation/history-1", observation("history-1", labelled));
  const absent = await outcome("telehealth", "Observation/no-such/_history");
  expect(absent.status).toBe(404);
  expect(await outcome("telehealth", "Observation/history-1/_history")).toEqual(absent);
});

const location = (id: string, more: object = {}) => ({
  resourceType: "Location",
  id,
  name: "Listed",
  ...more,
});

test("a reader of the whole type sees that a resource was deleted, and no reader sees more", async ({
  expect,
}) => {
  await atOrigin("PUT", "Location/history-2", location("history-2"));
  await atOrigin("DELETE", "Location/history-2");
  const { entry = [] } = await bundle("archive", "Location/history-2/_history");
  expect(entry).toEqual([
    {
      fullUrl: `${phylax.dev.fhir}/Location/history-2`,
      request: { method: "DELETE", url: "Location/history-2" },
      response: { status: "204" },
    },
  ]);
  expect((await outcome("archive", "Location/history-none/_history")).status).toBe(404);
  // Some observations are hidden here from every client, so a deletion shows for none of them.
  await atOrigin("PUT", "Observation/history-2", observation("history-2"));
  await atOrigin("DELETE", "Observation/history-2");
  expect((await outcome("telehealth", "Observation/history-2/_history")).status).toBe(404);
});

test("the history of a type is for readers of all its rows, each version by the current resource; there is no history of the whole server", async ({
  expect,
}) => {
  await atOrigin("PUT", "Location/history-3", location("history-3"));
  await atOrigin("PUT", "Location/history-3", location("history-3", labelled));
  await atOrigin("PUT", "Location/history-4", location("history-4"));
  const pages = await pagesOf("archive", "Location/_history?_count=2");
  const entries = pages.flatMap(({ entry = [] }) => entry);
  const ids = entries.map(({ resource, request }) => resource?.id ?? request?.url);
  expect(ids).toContain("history-4");
  expect(ids).toContain("Location/history-2"); // deleted
  for (const hidden of ["history-3", "history-2"]) expect(ids).not.toContain(hidden);
  expect(pages.length).toBeGreaterThan(1);
  for (const { link } of pages)
    for (const { url } of link)
      expect(url.startsWith(`${phylax.dev.fhir}/Location/_history?`), url).toBe(true);
  for (const [client, type] of [
    ["patient-app", "Observation"],
    ["patient-app", "Location"],
    ["telehealth", "Observation"],
  ] as const)
    expect((await outcome(client, `${type}/_history`)).status, `${client} ${type}`).toBe(403);
  expect(await outcome("archive", "_history")).toMatchObject({
    status: 400,
    text: expect.stringContaining("history-system"),
  });
});

test("a search by a hidden time is refused, like a search by any hidden element", async ({ expect }) => {
  for (const query of ["_since=2026-01-01", "_at=2026"]) {
    const { status, text } = await outcome("research", `Observation/last-1/_history?${query}`);
    expect({ status, text }).toMatchObject({ status: 403, text: expect.stringContaining(query.slice(0, 3)) });
  }
  expect((await outcome("telehealth", "Observation/last-1/_history?_since=2026-01-01")).status).toBe(200);
});

test("the policy refuses an operation that it does not allow, and an unknown operation is refused by its name; the origin gets no request", async ({
  expect,
}) => {
  const before = phylax.forwarded.length;
  for (const path of ["Patient/amara-okafor/$everything", "Observation/$lastn?patient=amara-okafor"])
    expect((await outcome("payer", path)).status, path).toBe(403);
  for (const [method, path] of [
    ["POST", "$graphql"],
    ["GET", "$graphql"],
    ["POST", "Patient/$match"],
    ["POST", "Patient/$member-match"],
    ["GET", "Patient/$everything"],
    ["GET", "Encounter/x/$everything"],
    ["GET", "Patient/amara-okafor/$graph"],
  ] as const)
    expect(await outcome("telehealth", path, method), path).toMatchObject({
      status: 400,
      text: expect.stringContaining(`(${/\$[\w-]+/u.exec(path)?.[0]})`),
    });
  expect(phylax.forwarded.slice(before)).toEqual([]);
});

test("a structure is validated without the origin and without its body on record", async ({ expect }) => {
  const before = phylax.forwarded.length;
  const send = (path: string, body: unknown, client = "telehealth", type = "application/fhir+json") =>
    phylax.ask(client, path, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": type },
    });
  const fine = await send("Observation/$validate", observation("v"));
  expect({ status: fine.status, body: JSON.parse(fine.text) as unknown }).toMatchObject({
    status: 200,
    body: { resourceType: "OperationOutcome", issue: [{ severity: "information" }] },
  });
  const wrong = await send(
    "Observation/$validate",
    observation("v", { status: "canary-status", issued: "canary-time" }),
  );
  expect(wrong.status).toBe(200);
  expect(wrong.text).toContain("Observation.issued");
  expect(wrong.text).not.toContain("canary");
  expect(
    (
      await send("Observation/v/$validate", {
        resourceType: "Parameters",
        parameter: [{ name: "resource", resource: observation("v") }],
      })
    ).status,
  ).toBe(200);
  for (const [path, body, type, status] of [
    ["Observation/$validate", { resourceType: "Patient" }, "application/fhir+json", 400],
    ["Observation/w/$validate", observation("v"), "application/fhir+json", 400],
    ["Observation/$validate", "{", "application/fhir+json", 400],
    ["Observation/$validate", observation("v"), "application/fhir+xml", 415],
    [
      "Observation/$validate",
      {
        resourceType: "Parameters",
        parameter: [
          { name: "mode", valueCode: "create" },
          { name: "resource", resource: observation("v") },
        ],
      },
      "application/fhir+json",
      400,
    ],
  ] as const)
    expect((await send(path, body, "telehealth", type)).status, path).toBe(status);
  expect((await send("Observation/$validate", observation("v"), "payer")).status).toBe(403);
  expect(phylax.forwarded.slice(before)).toEqual([]);
  const records = (await openLedger(phylax.dev))
    .filter(({ event }) => event.what?.interaction === "$validate")
    .map(({ event }) => event);
  expect(records.filter(({ kind }) => kind === "notice")).toHaveLength(3);
  expect(JSON.stringify(records)).not.toContain("canary");
});

test("anonymous metadata describes the gateway as a whole, a client's metadata its own rights; a bad credential is 401", async ({
  expect,
}) => {
  interface Statement {
    readonly rest: readonly {
      readonly resource: readonly {
        readonly type: string;
        readonly interaction: readonly { readonly code: string }[];
        readonly searchParam?: readonly { readonly name: string }[];
        readonly operation?: readonly { readonly name: string }[];
      }[];
    }[];
  }
  const typesOf = (text: string) => (JSON.parse(text) as Statement).rest[0]?.resource ?? [];
  const mine = async (client: string) => typesOf((await phylax.ask(client, "metadata")).text);
  const anonymous = await fetchAnonymous();
  expect(typesOf(anonymous).length).toBeGreaterThan(140);
  const [treat, pay] = [await mine("telehealth"), await mine("payer")];
  expect(pay.length).toBeLessThan(treat.length);
  const observations = treat.find(({ type }) => type === "Observation");
  expect(observations?.operation?.map(({ name }) => name)).toEqual(["lastn", "validate"]);
  expect(observations?.searchParam?.map(({ name }) => name)).toContain("code");
  expect(pay.find(({ type }) => type === "Patient")?.searchParam?.map(({ name }) => name)).not.toContain(
    "phone",
  );
  // Requests agree with the statement.
  for (const { type, interaction } of pay.slice(0, 8)) {
    const searches = interaction.some(({ code }) => code === "search-type");
    expect((await outcome("payer", type)).status, type).toBe(searches ? 200 : 403);
  }
  for (const type of ["Binary", "Basic"])
    if (!pay.some((one) => one.type === type)) expect((await outcome("payer", type)).status).toBe(403);

  const bad = await phylax.ask("telehealth", "metadata", { headers: { authorization: "Bearer not-one" } });
  expect(bad.status).toBe(401);
  const reply = await phylax.ask("telehealth", "metadata");
  const record = (await openLedger(phylax.dev)).find(
    ({ event }) => event.id === reply.headers["x-request-id"],
  )?.event;
  expect(record).toMatchObject({
    kind: "notice",
    what: { interaction: "capabilities" },
    who: { client: "telehealth" },
    patients: [],
  });
});

/** Asks with a certificate and without a token. */
async function fetchAnonymous(): Promise<string> {
  return (await send(phylax.dev, phylax.client("telehealth"), `${phylax.dev.fhir}/metadata`)).text;
}

test("a name that is no parameter is refused, and under handling=lenient ignored: the first page says so, and nothing else changes", async ({
  expect,
}) => {
  const ask = async (path: string, prefer: string) => {
    const { status, text } = await phylax.ask("telehealth", path, { headers: { prefer } });
    return {
      status,
      text,
      body: JSON.parse(text) as { entry?: readonly object[]; link?: readonly object[] },
    };
  };
  const plain = await ask("Observation?patient=amara-okafor&_count=2", "handling=strict");
  const path = "Observation?patient=amara-okafor&colour=canary-red&subject-shade:exact=x&_count=2";
  expect((await ask(path, "handling=strict")).status).toBe(400);
  expect((await ask(path, "return=minimal")).status).toBe(400);
  const lenient = await ask(path, 'respond-async, handling="lenient"');
  const [told, ...rows] = lenient.body.entry ?? [];
  const text = "Ignored, since the type has no such parameter: colour, subject-shade.";
  expect(told).toEqual({
    resource: {
      resourceType: "OperationOutcome",
      issue: [{ severity: "warning", code: "not-supported", details: { text } }],
    },
    search: { mode: "outcome" },
  });
  expect(rows).toEqual(plain.body.entry);
  expect(rows).toHaveLength(2);
  expect(lenient.body.link?.[0]).toEqual(plain.body.link?.[0]);
  expect(lenient.text).not.toContain("canary");
  const none = await ask("Observation?patient=nobody&colour=red", "handling=lenient");
  expect([none.status, none.body.entry?.length]).toEqual([200, 1]);
  const { url = "" } =
    (lenient.body.link ?? []).find(
      (link): link is { url: string } => (link as { relation: string }).relation === "next",
    ) ?? {};
  expect(JSON.stringify((await ask(url, "handling=lenient")).body)).not.toContain("Ignored");
});

test("handling=lenient ignores no parameter of FHIR, no criterion of a write, and no page's own word", async ({
  expect,
}) => {
  const headers = { prefer: "handling=lenient" };
  for (const path of [
    "Observation?_filter=x",
    "Observation?_offset=2",
    "Observation?code:near=x",
    "Observation?patient.favourite=1",
    "Observation?_has:Observation:colour:code=1",
    "Observation?_has:Observation:focus:colour=1",
    "Observation?date=soon",
    "Observation/$lastn?patient=amara-okafor&colour=red",
    "Patient/amara-okafor/$everything?colour=red",
    "Patient/amara-okafor?colour=red",
  ])
    expect((await phylax.ask("telehealth", path, { headers })).status, path).toBe(400);
  const written = await phylax.ask("telehealth", "Observation?colour=red", {
    method: "DELETE",
    headers,
  });
  expect(written.status).toBe(400);
});
