import { createHash } from "node:crypto";
import { afterAll, beforeAll, test, type ExpectStatic } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { eventsOf } from "../support/auditor.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { starterPolicy } from "../support/outside.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

const act = (code: string) => ({ system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code });
const text = (id: string) => `%PDF-1.4 the note ${id}`;
const binary = (id: string, content = text(id), more: object = {}) => ({
  resourceType: "Binary",
  id,
  contentType: "application/pdf",
  data: Buffer.from(content).toString("base64"),
  ...more,
});
const note = (id: string, patient: string, url: string, more: object = {}) => ({
  resourceType: "DocumentReference",
  id,
  status: "current",
  type: { coding: [{ system: "http://loinc.org", code: "11506-3" }] },
  subject: to(`Patient/${patient}`),
  content: [{ attachment: { contentType: "application/pdf", url } }],
  ...more,
});
const long = "0123456789abcdef".repeat(160_000);
const world = [
  ...["amara", "bela"].map((id) => ({ resourceType: "Patient", id, name: [{ family: id }] })),
  ...["one", "two", "hidden", "of-bela", "report", "lone"].map((id) => binary(id)),
  binary("long", long),
  binary("behind", text("behind"), { securityContext: to("DocumentReference/note") }),
  binary("behind-hidden", text("behind-hidden"), { securityContext: to("DocumentReference/hidden") }),
  note("note", "amara", "Binary/one"),
  note("moves", "amara", "Binary/one"),
  note("long", "amara", "Binary/long"),
  note("of-bela", "bela", "Binary/of-bela"),
  note("hidden", "amara", "Binary/hidden", { meta: { security: [act("PSYTHPN")] } }),
  note("later", "amara", "Binary/two"),
  {
    resourceType: "DiagnosticReport",
    id: "report",
    status: "final",
    code: { text: "X-ray" },
    subject: to("Patient/amara"),
    presentedForm: [{ contentType: "application/pdf", url: "Binary/report" }],
  },
];

const apps = {
  amara: { policy: "patrqt", scopes: "patient/*.rs", claims: { patient: "amara" } },
  relative: { policy: "patrqt", scopes: "patient/*.rs", claims: { patient: "amara" } },
  bela: { policy: "patrqt", scopes: "patient/*.rs", claims: { patient: "bela" } },
  clinic: { purpose: "TREAT", policy: "treat", scopes: "system/*.cruds" },
  blind: { policy: "patrqt", scopes: "patient/DocumentReference.rs", claims: { patient: "amara" } },
} as const;
type Who = keyof typeof apps;
let phylax: Door;
let ask: AskAs<Who>;

beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  ask = await outsideApps(phylax, apps, [starterPolicy("patrqt"), starterPolicy("treat")]);
}, 60_000);
afterAll(() => phylax.close());

const pdf = { headers: { accept: "application/pdf" } };
/** The first attachment's URL of a row, as a caller sees it. */
async function linkOf(who: Who, row: string): Promise<string> {
  const reply = await ask(who, row);
  const url = /"url":"(?<url>[^"]*Binary[^"]*)"/u.exec(reply.text)?.groups?.["url"];
  if (url === undefined) throw new Error(`${reply.status} ${reply.text}`);
  return url;
}
interface Note {
  readonly content: readonly { readonly attachment: object }[];
}
const atOrigin = async (path: string): Promise<Note> => (await fetch(`${phylax.dev.origin}/${path}`)).json();
const put = (path: string, resource: object) =>
  fetch(`${phylax.dev.origin}/${path}`, fhirSending("PUT", resource));
const recorded = (reply: Reply) => eventsOf(phylax.dev, reply.headers["x-request-id"]);

test("a patient's app reads a note as PDF by the link of its attachment; length, hash and patient are on record first", async ({
  expect,
}) => {
  const link = await linkOf("amara", "DocumentReference/note");
  expect(link).toMatch(/^Binary\/[\w-]{65,}$/u);
  const reply = await ask("amara", link, pdf);
  expect([reply.status, reply.text]).toEqual([200, text("one")]);
  expect(reply.headers).toMatchObject({
    "content-type": "application/pdf",
    "content-disposition": "attachment",
    "content-security-policy": "sandbox",
    "x-content-type-options": "nosniff",
    etag: expect.stringMatching(/^"[\w-]{32}"$/u),
  });
  const [intent, disclosed, ...others] = await recorded(reply);
  expect(others).toEqual([]);
  expect(intent).toMatchObject({ kind: "intent", what: { interaction: "read", type: "Binary" } });
  expect(disclosed).toMatchObject({
    kind: "disclosure",
    patients: [{ patient: "main/Patient/amara", counts: { DocumentReference: 1 } }],
    counts: { Binary: 1 },
    window: {
      number: 1,
      complete: true,
      bytes: text("one").length,
      contentDigest: createHash("sha256").update(text("one")).digest("hex"),
    },
  });
});

test("each attachment of a visible row has a link, of any type; the same row has the same link, and its tag stands", async ({
  expect,
}) => {
  for (const [row, content] of [
    ["DiagnosticReport/report", "report"],
    ["DocumentReference?patient=amara&_id=note", "one"],
    ["Patient/amara/$everything", "one"],
  ] as const) {
    const reply = await ask("amara", await linkOf("amara", row), pdf);
    expect([reply.status, reply.text], row).toEqual([200, text(content)]);
  }
  const [first, second] = [
    await ask("amara", "DocumentReference/note"),
    await ask("amara", "DocumentReference/note"),
  ];
  expect([second.text, second.headers["etag"]]).toEqual([first.text, first.headers["etag"]]);
});

test("a Binary is FHIR JSON for a client that names it, and else its own content", async ({ expect }) => {
  const link = await linkOf("clinic", "DocumentReference/note");
  for (const accept of [
    "application/fhir+json",
    "application/json",
    "text/html, application/fhir+json;q=0.5",
  ]) {
    const reply = await ask("clinic", link, { headers: { accept } });
    expect(JSON.parse(reply.text), accept).toMatchObject({
      resourceType: "Binary",
      data: binary("one").data,
    });
  }
  for (const accept of ["*/*", "application/pdf", "image/png, */*;q=0.1"])
    expect((await ask("clinic", link, { headers: { accept } })).text, accept).toBe(text("one"));
  expect((await ask("clinic", link, { headers: { accept: "application/fhir+xml" } })).status).toBe(406);
  expect((await ask("clinic", "Patient/amara", pdf)).status).toBe(406);
});

test("a range, a tag and HEAD are those of the content", async ({ expect }) => {
  const link = await linkOf("amara", "DocumentReference/note");
  const get = (headers: Record<string, string>, method = "GET") =>
    ask("amara", link, { method, headers: { ...pdf.headers, ...headers } });
  const etag = (await get({})).headers["etag"] ?? "";
  const size = text("one").length;
  const part = await get({ range: "bytes=2-4", "if-range": etag });
  expect([part.status, part.text, part.headers["content-range"]]).toEqual([206, "DF-", `bytes 2-4/${size}`]);
  expect((await recorded(part)).at(-1)).toMatchObject({
    outcome: { status: 206 },
    window: { complete: true, bytes: 3, contentDigest: createHash("sha256").update("DF-").digest("hex") },
  });
  expect([(await get({ range: "bytes=-3" })).text, (await get({ range: "bytes=19-" })).text]).toEqual([
    "one",
    "ne",
  ]);
  for (const headers of [
    { range: "bytes=2-4", "if-range": '"other"' },
    { range: "bytes=900-" },
    { range: "bytes=0-1,3-4" },
  ])
    expect(await get(headers)).toMatchObject({ status: 200, text: text("one") });
  expect(await get({ "if-none-match": etag })).toMatchObject({ status: 304, text: "" });
  expect(await get({}, "HEAD")).toMatchObject({ status: 200, text: "", headers: { etag } });
});

test("a long content leaves in windows of 1 MiB, and the last has the length and the hash of all", async ({
  expect,
}) => {
  const reply = await ask("amara", await linkOf("amara", "DocumentReference/long"), pdf);
  expect([reply.status, reply.text === long, reply.headers["content-length"]]).toEqual([
    200,
    true,
    undefined,
  ]);
  const events = await recorded(reply);
  expect(events.map(({ kind, step, window }) => [kind, step, window?.number, window?.complete])).toEqual([
    ["intent", undefined, undefined, undefined],
    ["disclosure", 1, 1, false],
    ["disclosure", 2, 2, false],
    ["disclosure", 3, 3, true],
  ]);
  expect(events.at(-1)?.window).toMatchObject({
    bytes: long.length,
    contentDigest: createHash("sha256").update(long).digest("hex"),
  });
});

test("a version of a Binary is read as the Binary is, unless the version stands behind another context", async ({
  expect,
}) => {
  const versionsOf = async (id: string) => {
    const bundle: { entry: { resource: { meta: { versionId: string } } }[] } = await (
      await fetch(`${phylax.dev.origin}/Binary/${id}/_history`)
    ).json();
    return bundle.entry.map(({ resource }) => `Binary/${id}/_history/${resource.meta.versionId}`);
  };
  await put("Binary/behind", binary("behind", "later", { securityContext: to("DocumentReference/note") }));
  for (const path of [...(await versionsOf("behind")), ...(await versionsOf("one"))]) {
    const reply = await ask("amara", path);
    expect([reply.status, JSON.parse(reply.text).resourceType], path).toEqual([200, "Binary"]);
    expect((await ask("bela", path)).status, path).toBe(404);
  }
  await put("Binary/behind", binary("behind", text("behind"), { securityContext: to("Patient/amara") }));
  for (const path of [...(await versionsOf("behind")), ...(await versionsOf("behind-hidden"))])
    expect((await ask("amara", path)).status, path).toBe(404);
  await put(
    "Binary/behind",
    binary("behind", text("behind"), { securityContext: to("DocumentReference/note") }),
  );
  const [current = "", moved = "", ...same] = await versionsOf("behind");
  expect((await ask("amara", moved)).status, "another context").toBe(404);
  for (const path of [current, ...same]) expect((await ask("amara", path)).status, path).toBe(200);
});

/** The answer is that for an absent resource. */
function expectAbsent(expect: ExpectStatic, reply: Reply, what: string): void {
  expect(reply.status, what).toBe(404);
  expect(reply.text, what).not.toContain("the note");
}

test("a bare id finds a Binary through its securityContext or a document with its URL alone", async ({
  expect,
}) => {
  for (const who of ["amara", "clinic"] as const) {
    expect((await ask(who, "Binary/one", pdf)).text).toBe(text("one"));
    expect((await ask(who, "Binary/behind", pdf)).text).toBe(text("behind"));
    for (const id of ["hidden", "behind-hidden", "report", "lone", "absent"])
      expectAbsent(expect, await ask(who, `Binary/${id}`, pdf), `${who} ${id}`);
    expect((await ask(who, "Binary?_id=one")).status).toBe(403);
  }
  expectAbsent(expect, await ask("bela", "Binary/one", pdf), "of another patient");
  expect((await ask("blind", "Binary/one", pdf)).status, "no scope for Binary").toBe(403);
});

test("a link opens for its own client and person alone, and for nobody when it was changed", async ({
  expect,
}) => {
  const link = await linkOf("amara", "DocumentReference/note");
  expectAbsent(expect, await ask("relative", link, pdf), "another client");
  expectAbsent(expect, await ask("amara", link, pdf, { patient: "bela" }), "another patient");
  expectAbsent(expect, await ask("amara", link, pdf, { fhirUser: "Patient/amara" }), "another person");
  const last = link.endsWith("A") ? "B" : "A";
  expectAbsent(expect, await ask("amara", `${link.slice(0, -1)}${last}`, pdf), "changed");
  expectAbsent(expect, await ask("amara", `Binary/${"a".repeat(90)}`, pdf), "made up");
  expect((await ask("blind", await linkOf("blind", "DocumentReference/note"), pdf)).status).toBe(403);
  for (const method of ["PUT", "DELETE", "POST"])
    expect((await ask("clinic", link, fhirSending(method, binary("x")))).status, method).toBe(405);
});

test("a link leads nowhere once its row is hidden, is deleted, or has another URL", async ({ expect }) => {
  const [moved, labelled, gone] = [
    await linkOf("amara", "DocumentReference/moves"),
    await linkOf("amara", "DocumentReference/later"),
    await linkOf("amara", "DiagnosticReport/report"),
  ];
  await put("DocumentReference/moves", note("moves", "amara", "Binary/two"));
  const secret = note("later", "amara", "Binary/two", { meta: { security: [act("PSYTHPN")] } });
  await put("DocumentReference/later", secret);
  await fetch(`${phylax.dev.origin}/DiagnosticReport/report`, { method: "DELETE" });
  for (const link of [moved, labelled, gone]) expectAbsent(expect, await ask("amara", link, pdf), link);
  expect((await ask("amara", await linkOf("amara", "DocumentReference/moves"), pdf)).text).toBe(text("two"));
});

test("a row that is read and written back keeps the URL that is stored", async ({ expect }) => {
  const seen = await ask("clinic", "DocumentReference/note");
  expect(seen.text).not.toContain('"Binary/one"');
  const changed = { ...JSON.parse(seen.text), description: "read and sent back" };
  const reply = await ask("clinic", "DocumentReference/note", fhirSending("PUT", changed));
  expect(reply.status, reply.text).toBe(200);
  expect(await atOrigin("DocumentReference/note")).toMatchObject({
    description: "read and sent back",
    content: [{ attachment: { url: "Binary/one" } }],
  });
});

test("the URL of a Binary is written by a client alone that may read its content", async ({ expect }) => {
  const attached = (url: string) => {
    const { id: _assigned, ...draft } = note("new", "amara", url);
    return ask("clinic", "DocumentReference", fhirSending("POST", draft));
  };
  expect((await attached("Binary/one")).status).toBe(201);
  for (const url of [
    "Binary/hidden",
    "Binary/lone",
    "Binary/absent",
    `${phylax.dev.fhir}/Binary/hidden`,
    `${phylax.dev.origin}/Binary/hidden`,
  ])
    expect((await attached(url)).status, url).toBe(403);
  expectAbsent(expect, await ask("clinic", "Binary/hidden", pdf), "nothing leads to it now");
  expect((await attached(await linkOf("clinic", "DocumentReference/note"))).status, "of another row").toBe(
    422,
  );
});

test("a link that moves within its row is the stored URL again", async ({ expect }) => {
  const seen: Note = JSON.parse((await ask("clinic", "DocumentReference/note")).text);
  const { attachment } = seen.content[0] ?? {};
  const content = [
    { attachment: { contentType: "text/plain", data: "bmV3" } },
    { attachment: { ...attachment, title: "old" } },
  ];
  const reply = await ask("clinic", "DocumentReference/note", fhirSending("PUT", { ...seen, content }));
  expect(reply.status, reply.text).toBe(200);
  expect((await atOrigin("DocumentReference/note")).content[1]?.attachment).toMatchObject({
    url: "Binary/one",
    title: "old",
  });
});
