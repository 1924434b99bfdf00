import { createHash } from "node:crypto";
import { MedplumClient } from "@medplum/core";
import { afterAll, beforeAll, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { eventsOf } from "../support/auditor.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { registerMain, type AskAs, outsideApps } from "../support/outside-apps.ts";
import { starterPolicy } from "../support/outside.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

const act = (code: string) => ({ system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code });
const note = (id: string, patient: string, more: object = {}) => ({
  resourceType: "DocumentReference",
  id,
  status: "current",
  subject: to(`Patient/${patient}`),
  content: [{ attachment: { contentType: "application/pdf" } }],
  ...more,
});
const world = [
  ...["amara", "bela"].map((id) => ({ resourceType: "Patient", id, name: [{ family: id }] })),
  note("note", "amara"),
  note("of-bela", "bela"),
  note("hidden", "amara", { meta: { security: [act("PSYTHPN")] } }),
];

const system = { purpose: "TREAT", policy: "treat" } as const;
const apps = {
  clinic: { ...system, scopes: "system/*.cruds" },
  reader: { ...system, scopes: "system/*.rs" },
  blind: { ...system, scopes: "system/DocumentReference.u system/Binary.cr system/Patient.r" },
  // a person of one patient: the compartment of bela is closed
  amara: { ...system, scopes: "patient/*.cruds", claims: { patient: "amara" } },
} as const;
type Who = keyof typeof apps;
let phylax: Door;
let ask: AskAs<Who>;

beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  ask = await outsideApps(phylax, apps, [starterPolicy("treat")]);
  await registerMain(phylax, { transactions: "atomic" });
}, 60_000);
afterAll(() => phylax.close());

const pdf = { headers: { accept: "application/pdf" } };
const text = "%PDF-1.4 a new note";
const upload = (context: string | undefined, more: object = {}, body: string | Uint8Array = text) => ({
  method: "POST",
  headers: {
    "content-type": "application/pdf",
    ...(context !== undefined && { "x-security-context": context }),
    ...more,
  },
  body,
});
const json = { headers: { accept: "application/fhir+json" } };
interface AtOrigin {
  readonly content: readonly [{ readonly attachment: { readonly url: string } }];
  readonly entry?: readonly object[];
}
const atOrigin = async (path: string): Promise<AtOrigin> =>
  (await fetch(`${phylax.dev.origin}/${path}`, json)).json();
const binariesAtOrigin = async (): Promise<number> =>
  (await atOrigin("Binary?_count=200")).entry?.length ?? 0;
const recorded = (reply: Reply) => eventsOf(phylax.dev, reply.headers["x-request-id"]);

/** The `fetch` of a stock client: its requests come as any client's. */
const fetchAs =
  (who: Who) =>
  async (url: string, { method, headers, body }: RequestInit = {}): Promise<Response> => {
    const own = Object.fromEntries(new Headers(headers));
    const { authorization: _replaced, ...rest } = own;
    const path = url.replace(`${phylax.dev.fhir}/`, "");
    const sent = body instanceof Uint8Array || typeof body === "string" ? { body } : {};
    const reply = await ask(who, path, { method: method ?? "GET", headers: rest, ...sent });
    const answer = Object.entries(reply.headers).map(([name, value]) => [name, String(value)] as const);
    const hasBody = reply.status !== 204 && reply.text !== "";
    return new Response(hasBody ? reply.text : null, {
      status: reply.status,
      headers: new Headers([...answer] as [string, string][]),
    });
  };
const medplum = (who: Who) =>
  new MedplumClient({
    baseUrl: phylax.dev.fhir.replace(/v1\/fhir\/main$/u, ""),
    fhirUrlPath: "v1/fhir/main",
    fetch: fetchAs(who),
    accessToken: "replaced.by.the-test",
    logLevel: "none",
  });

test("@medplum/core, unmodified, writes a note and its content, and reads both and everything about the patient", async ({
  expect,
}) => {
  const client = medplum("clinic");
  const document = await client.createDocumentReference({
    data: text,
    contentType: "application/pdf",
    filename: "note.pdf",
    additionalFields: { subject: to("Patient/amara") },
  });
  expect(document).toMatchObject({
    content: [
      {
        attachment: {
          contentType: "application/pdf",
          title: "note.pdf",
          url: expect.stringMatching(/^Binary\//u),
        },
      },
    ],
  });
  const url = document.content?.[0]?.attachment?.url ?? "";
  expect((await ask("clinic", url, pdf)).text).toBe(text);
  const stored = await atOrigin(`DocumentReference/${document.id}`);
  expect(stored.content[0].attachment.url).toMatch(/^Binary\/[\w-]{1,64}$/u);
  expect(await atOrigin(stored.content[0].attachment.url)).toMatchObject({
    contentType: "application/pdf",
    data: Buffer.from(text).toString("base64"),
    securityContext: to(`DocumentReference/${document.id}`),
  });
  const everything = await client.readPatientEverything("amara");
  expect(everything.entry?.map(({ resource }) => resource?.id)).toContain(document.id);
  const securityContext = to("DocumentReference/note");
  const binary = await client.createBinary({ data: text, contentType: "text/plain", securityContext });
  expect(binary).toMatchObject({ resourceType: "Binary", contentType: "text/plain", securityContext });
  const attachment = await client.createAttachment({
    data: text,
    contentType: "text/plain",
    securityContext,
  });
  expect(attachment).toMatchObject({ contentType: "text/plain", url: expect.stringMatching(/^Binary\//u) });
  expect((await ask("clinic", attachment.url ?? "", pdf)).text).toBe(text);
});

test("the intent of an upload names the patient of its context before the origin gets it, and so does its end", async ({
  expect,
}) => {
  const reply = await ask("clinic", "Binary", upload("DocumentReference/note"));
  expect(reply.status, reply.text).toBe(201);
  expect(JSON.parse(reply.text)).toMatchObject({
    resourceType: "Binary",
    contentType: "application/pdf",
    securityContext: to("DocumentReference/note"),
    meta: { tag: [{ code: "SUBSETTED" }] },
  });
  expect(reply.text).not.toMatch(/"(?:data|url)"/u);
  const id = JSON.parse(reply.text).id as string;
  expect((await ask("clinic", `Binary/${id}`, pdf)).text).toBe(text);
  const events = await recorded(reply);
  expect(events.map(({ kind }) => kind)).toEqual(["intent", "write", "disclosure"]);
  for (const { patients } of events)
    expect(patients?.map(({ patient }) => patient)).toEqual(["main/Patient/amara"]);
  const minimal = await ask(
    "clinic",
    "Binary",
    upload("DocumentReference/note", { prefer: "return=minimal" }),
  );
  expect([minimal.status, minimal.text]).toEqual([201, ""]);
});

test("content stands only behind a resource that its writer may read and change: else nothing reaches the origin", async ({
  expect,
}) => {
  const before = await binariesAtOrigin();
  const refused = async (who: Who, context: string | undefined, status = 422) => {
    const reply = await ask(who, "Binary", upload(context));
    expect(reply.status, `${who} ${context} ${reply.text}`).toBe(status);
    return reply;
  };
  const faces = [];
  for (const context of [
    "DocumentReference/hidden",
    "DocumentReference/absent",
    "Organization/absent",
    "https://elsewhere.example/DocumentReference/note",
    "urn:uuid:5b0e2f9e-6f1c-4d38-9c42-0d7a0f0c0c0c",
    "note",
    "DocumentReference/../DocumentReference/note",
    undefined,
  ])
    faces.push(JSON.parse((await refused("clinic", context)).text).issue[0].details.text);
  expect(new Set(faces).size).toBe(1);
  await refused("amara", "DocumentReference/of-bela");
  await refused("blind", "DocumentReference/note");
  await refused("reader", "DocumentReference/note", 403);
  const post = (resource: object, headers: object = {}) => {
    const sending = fhirSending("POST", { resourceType: "Binary", contentType: "text/plain", ...resource });
    return ask("clinic", "Binary", { ...sending, headers: { ...sending.headers, ...headers } });
  };
  expect((await post({ data: "bm90ZQ==" })).status).toBe(422);
  expect((await post({ securityContext: to("DocumentReference/hidden") })).status).toBe(422);
  const two = { "x-security-context": "DocumentReference/note" };
  expect((await post({ securityContext: to("DocumentReference/of-bela") }, two)).status).toBe(422);
  expect(await binariesAtOrigin()).toBe(before);
  expect((await post({ data: "bm90ZQ==" }, two)).status).toBe(201);
});

test("a person of one patient uploads behind that patient's documents, and reads the content again", async ({
  expect,
}) => {
  const reply = await ask("amara", "Binary", upload("DocumentReference/note"));
  expect(reply.status, reply.text).toBe(201);
  const id = JSON.parse(reply.text).id as string;
  expect((await ask("amara", `Binary/${id}`, pdf)).text).toBe(text);
  expect((await ask("amara", `Binary/${id}`, pdf, { patient: "bela" })).status).toBe(404);
});

test("an upload of 4 MiB is stored byte by byte; a larger one, a form, XML of FHIR and a coding are refused", async ({
  expect,
}) => {
  const most = Buffer.alloc(4_194_304, "0123456789abcdef");
  const reply = await ask("clinic", "Binary", upload("DocumentReference/note", {}, most));
  expect(reply.status, reply.text).toBe(201);
  const read = await ask("clinic", `Binary/${JSON.parse(reply.text).id}`, pdf);
  const digest = (bytes: string | Buffer) => createHash("sha256").update(bytes).digest("hex");
  expect(digest(read.text)).toBe(digest(most));
  const larger = upload("DocumentReference/note", {}, Buffer.alloc(4_194_305));
  expect((await ask("clinic", "Binary", larger)).status).toBe(413);
  for (const more of [
    { "content-type": "application/fhir+xml" },
    { "content-type": "multipart/form-data; boundary=x" },
    { "content-type": "application/x-www-form-urlencoded" },
    { "content-type": "pdf" },
    { "content-encoding": "gzip" },
  ]) {
    const { status } = await ask("clinic", "Binary", upload("DocumentReference/note", more));
    expect(status, JSON.stringify(more)).toBe(415);
  }
  expect((await ask("clinic", "Binary", upload("DocumentReference/note", {}, ""))).status).toBe(400);
  expect((await ask("clinic", "Observation", upload("DocumentReference/note"))).status).toBe(415);
});

test("a page that was uploaded leaves as a file that runs nothing", async ({ expect }) => {
  const page = upload("DocumentReference/note", { "content-type": "text/html" }, "<script>alert(1)</script>");
  const { id } = JSON.parse((await ask("clinic", "Binary", page)).text) as { id: string };
  const reply = await ask("clinic", `Binary/${id}`, { headers: { accept: "text/html" } });
  expect(reply.headers).toMatchObject({
    "content-type": "text/html",
    "content-disposition": "attachment",
    "content-security-policy": "sandbox",
    "x-content-type-options": "nosniff",
  });
});

test("the tag of a content covers its media type, and no content has a type of FHIR", async ({ expect }) => {
  const stored = async (contentType: string) => {
    const securityContext = to("DocumentReference/note");
    const binary = { resourceType: "Binary", contentType, securityContext, data: "e30=" };
    const reply = await ask("clinic", "Binary", fhirSending("POST", binary));
    const { id } = JSON.parse(reply.text) as { id: string };
    return ask("clinic", `Binary/${id}`, { headers: { accept: "*/*" } });
  };
  const [one, other] = [await stored("text/plain"), await stored("text/html")];
  expect([one.text, other.text]).toEqual(["{}", "{}"]);
  expect(one.headers["etag"]).not.toBe(other.headers["etag"]);
  const fhir = await stored("application/fhir+json");
  expect(JSON.parse(fhir.text)).toMatchObject({ resourceType: "Binary", data: "e30=" });
});

test("a repeat under a key stores nothing twice, and another content under it is refused", async ({
  expect,
}) => {
  const keyed = (body: string) =>
    ask("clinic", "Binary", upload("DocumentReference/note", { "idempotency-key": '"upload-1"' }, body));
  const first = await keyed(text);
  expect(first.status, first.text).toBe(201);
  const again = await keyed(text);
  expect([again.status, again.headers["location"]]).toEqual([201, first.headers["location"]]);
  expect((await keyed(`${text}!`)).status).toBe(422);
});

test("a transaction stores content together with the document that leads to it, and none without", async ({
  expect,
}) => {
  const entry = (fullUrl: string, resource: object & { resourceType: string }) => ({
    fullUrl,
    resource,
    request: { method: "POST", url: resource.resourceType },
  });
  const content = (more: object = {}) => ({
    resourceType: "Binary",
    contentType: "application/pdf",
    data: Buffer.from(text).toString("base64"),
    ...more,
  });
  const { id: _assigned, ...draft } = note("new", "amara");
  const document = (url: string) => ({
    ...draft,
    content: [{ attachment: { contentType: "application/pdf", url } }],
  });
  const transact = async (...entries: readonly object[]) =>
    ask("clinic", "", fhirSending("POST", { resourceType: "Bundle", type: "transaction", entry: entries }));
  const [b, d] = [
    "urn:uuid:0000000b-0000-4000-8000-000000000001",
    "urn:uuid:0000000d-0000-4000-8000-000000000001",
  ];
  for (const name of [b, "https://elsewhere.example/fhir/Binary/77"]) {
    const done = await transact(entry(name, content()), entry(d, document(name)));
    expect(done.status, done.text).toBe(200);
    const location =
      /"location":"[^"]*(?<row>DocumentReference\/[\w-]+)/u.exec(done.text)?.groups?.["row"] ?? "";
    const link =
      /"url":"(?<url>Binary[^"]*)"/u.exec((await ask("clinic", location)).text)?.groups?.["url"] ?? "";
    expect((await ask("clinic", link, pdf)).text, name).toBe(text);
  }
  const before = await binariesAtOrigin();
  expect((await transact(entry(b, content()), entry(d, document("Binary/other-one")))).status).toBe(422);
  expect((await transact(entry(b, content()))).status).toBe(422);
  const behind = content({ securityContext: to("DocumentReference/hidden") });
  expect((await transact(entry(b, behind), entry(d, document(b)))).status).toBe(422);
  const ofPatientHidden = {
    ...document(b),
    subject: to("Patient/amara"),
    meta: { security: [act("PSYTHPN")] },
  };
  expect((await transact(entry(b, content()), entry(d, ofPatientHidden))).status).toBe(403);
  expect(await binariesAtOrigin()).toBe(before);
});
