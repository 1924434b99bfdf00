import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { eventsOf } from "../support/auditor.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { registerMain, type AskAs, outsideApps } from "../support/outside-apps.ts";
import { starterPolicy } from "../support/outside.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { serveAt } from "../support/in-process/network.ts";

const files = "https://files.example/notes/";
const act = (code: string) => ({ system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code });
const note = (id: string, patient: string, url: string, more: object = {}) => ({
  resourceType: "DocumentReference",
  id,
  status: "current",
  subject: to(`Patient/${patient}`),
  content: [{ attachment: { contentType: "application/pdf", url } }],
  ...more,
});
const foreign: Readonly<Record<string, string>> = {
  beside: "https://files.example/other/one.pdf",
  longer: "https://files.example/notes-of-others/one.pdf",
  dots: "https://files.example/notes/../other/one.pdf",
  encoded: "https://files.example/notes/%2e%2e/other/one.pdf",
  slash: "https://files.example/notes/..%2fother/one.pdf",
  backslash: "https://files.example/notes/..%5cother/one.pdf",
  user: "https://amara@files.example/notes/one.pdf",
  port: "https://files.example:8443/notes/one.pdf",
  plain: "http://files.example/notes/one.pdf",
  scheme: "ftp://files.example/notes/one.pdf",
  host: "https://files.example.evil.example/notes/one.pdf",
  fragment: "https://files.example/notes/one.pdf#page=2",
  base: "https://files.example/notes/",
  upper: "https://FILES.example/notes/one.pdf",
  space: "https://files.example/notes/one two.pdf?signature=s",
  long: `https://files.example/notes/one.pdf?signature=${"s".repeat(4_096)}`,
  relative: "//files.example/notes/one.pdf",
  dot: "https://files.example./notes/one.pdf",
  escaped: "https://files.example/%6eotes/one.pdf",
  twice: "https://files.example/%256Eotes/one.pdf",
  doubled: "https://files.example//notes//one.pdf",
  backslashes: "https:\\\\files.example\\notes\\one.pdf",
  capitals: "https://files.example/NOTES/one.pdf",
  whole: "https://files.example/notes",
  usual: "http://files.example:443/notes/one.pdf",
  wide: "https://\uff46iles.example/notes/one.pdf",
  up: "https://files.example/other/%2e%2e%2fnotes/one.pdf",
  broken: "https://files.example:99999/notes/one.pdf",
  told: "see https://files.example/notes/one.pdf?signature=s",
  opaque: "url:https://files.example/notes/one.pdf",
  own: "notes/one.pdf",
};
const elsewhere = ["beside", "longer", "dots", "encoded", "port", "host", "own"];
const inner = {
  resourceType: "DocumentReference",
  id: "inner",
  status: "current",
  subject: to("Patient/amara"),
};
const world = [
  ...["amara", "bela"].map((id) => ({ resourceType: "Patient", id, name: [{ family: id }] })),
  note("one", "amara", `${files}one.pdf`),
  note("of-bela", "bela", `${files}of-bela.pdf`),
  note("hidden", "amara", `${files}one.pdf`, { meta: { security: [act("PSYTHPN")] } }),
  ...[
    "long",
    "film",
    "page",
    "moved",
    "gone",
    "coded",
    "chunked",
    "endless",
    "fhir",
    "broken",
    "signed?key=a%2Bb",
  ].map((name) => note(name.replace(/\?.*/u, ""), "amara", `${files}${name}`)),
  ...Object.entries(foreign).map(([id, url]) => note(`at-${id}`, "amara", url)),
  note("around", "amara", `${files}one.pdf`, {
    contained: [
      { ...inner, content: [{ attachment: { title: "inner", url: `${files}one.pdf?signature=secret` } }] },
    ],
    relatesTo: [{ code: "appends", target: to("#inner") }],
  }),
];

const apps = {
  amara: { policy: "patrqt", scopes: "patient/*.rs", claims: { patient: "amara" } },
  bela: { policy: "patrqt", scopes: "patient/*.rs", claims: { patient: "bela" } },
  clinic: { purpose: "TREAT", policy: "treat", scopes: "system/*.cruds" },
} as const;
type Who = keyof typeof apps;
let phylax: Door;
let ask: AskAs<Who>;
let asked: { readonly url: string; readonly headers: Headers; isEnded: boolean }[] = [];
const closers: (() => void)[] = [];

const pdf = "%PDF-1.4 a note in a store of files";
const mebibyte = new Uint8Array(1_048_576).fill(65);
/** A body of 1 MiB pieces, without a length unless the headers state one. */
function pieces(count: number, headers: Record<string, string> = {}): Response {
  const of = asked.at(-1);
  let left = count;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left === 0) controller.close();
      else controller.enqueue(mebibyte.slice());
      left -= 1;
    },
    cancel() {
      if (of !== undefined) of.isEnded = true;
    },
  });
  return new Response(body, { headers: { "content-type": "video/mp4", ...headers } });
}
const film = Buffer.alloc(5 * mebibyte.length, "A");
/** How the storage answers a question for a part of the film; undefined: as for the whole. */
let partly: ((first: number, last: number) => Response) | undefined;
const contents: Readonly<Record<string, () => Response>> = {
  "one.pdf": () =>
    new Response(pdf, {
      headers: {
        "content-type": "application/pdf",
        etag: '"v1"',
        "content-length": `${pdf.length}`,
        "set-cookie": "a=b",
      },
    }),
  long: () => pieces(4, { "content-length": `${4 * mebibyte.length}`, etag: '"v9"' }),
  film: () => pieces(5, { "content-length": `${film.length}`, etag: '"v3"' }),
  page: () => new Response("<script>alert(1)</script>", { headers: { "content-type": "text/html" } }),
  moved: () => new Response(null, { status: 302, headers: { location: "http://169.254.169.254/latest/" } }),
  gone: () => new Response("files.example knows of no file", { status: 404 }),
  coded: () => new Response("x", { headers: { "content-encoding": "br" } }),
  chunked: () => pieces(2),
  endless: () => pieces(1_000_000),
  fhir: () => new Response("{}", { headers: { "content-type": "application/fhir+json" } }),
  broken: () => pieces(2, { "content-length": `${3 * mebibyte.length}` }),
  "anew?part=1&Expires=2&Signature=b": () => new Response("part 1"),
  "anew?part=2&Expires=2&Signature=b": () => new Response("part 2"),
  "signed?key=a%2Bb": () => new Response(pdf, { headers: { "content-type": "application/pdf" } }),
};

beforeAll(async () => {
  phylax = await startDoor({ resources: world, originHosts: ["files.example"] });
  ask = await outsideApps(phylax, apps, [starterPolicy("patrqt"), starterPolicy("treat")]);
  const headers = { authorization: { value: "Bearer of-the-files" } };
  await registerMain(phylax, { storage: [{ base: files, headers, bytesMax: 6_000_000 }] });
  closers.push(
    serveAt("files.example", (request) => {
      asked.push({ url: request.url, headers: request.headers, isEnded: false });
      const range = /^bytes=(?<first>\d+)-(?<last>\d+)$/u.exec(request.headers.get("range") ?? "")?.groups;
      if (range && partly) return partly(Number(range["first"]), Number(range["last"]));
      return contents[request.url.slice(files.length)]?.() ?? new Response(null, { status: 404 });
    }),
  );
}, 60_000);
afterEach(() => {
  asked = [];
});
afterAll(async () => {
  for (const close of closers) close();
  await phylax.close();
});

const any = { headers: { accept: "*/*" } };
async function urlOf(who: Who, row: string): Promise<string | undefined> {
  const reply = await ask(who, row);
  const read = JSON.parse(reply.text) as { content?: { attachment?: { url?: string } }[] };
  return read.content?.[0]?.attachment?.url;
}
const read = async (id: string, sending: Parameters<typeof ask>[2] = any) =>
  ask("amara", (await urlOf("amara", `DocumentReference/${id}`)) ?? "none", sending);
const recorded = (reply: Reply) => eventsOf(phylax.dev, reply.headers["x-request-id"]);
const digestOf = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("a note at a storage base is read by a sealed link, with the entry's credentials alone, and its row is on record", async ({
  expect,
}) => {
  const link = (await urlOf("amara", "DocumentReference/one")) ?? "";
  expect(link).toMatch(/Binary\/[\w-]{65,}$/u);
  expect(link).not.toContain("files.example");
  const reply = await ask("amara", link, { headers: { accept: "application/pdf", cookie: "c=d" } });
  expect([reply.status, reply.text]).toEqual([200, pdf]);
  expect(reply.headers).toMatchObject({
    "content-type": "application/pdf",
    "content-disposition": "attachment",
    "content-security-policy": "sandbox",
    "x-content-type-options": "nosniff",
  });
  expect(reply.headers["set-cookie"]).toBeUndefined();
  expect(reply.headers["etag"]).not.toContain("v1");
  expect(asked.map(({ url }) => url)).toEqual([`${files}one.pdf`]);
  expect(Object.fromEntries(asked[0]?.headers ?? [])).toEqual({
    accept: "*/*",
    "accept-encoding": "identity",
    authorization: "Bearer of-the-files",
  });
  const [intent, disclosed, ...others] = await recorded(reply);
  expect(others).toEqual([]);
  expect(intent).toMatchObject({
    kind: "intent",
    what: { interaction: "read", type: "DocumentReference", id: "one" },
  });
  expect(disclosed).toMatchObject({
    patients: [{ patient: "main/Patient/amara" }],
    window: { complete: true, bytes: pdf.length, contentDigest: digestOf(pdf) },
  });
  expect((await ask("bela", link, any)).status).toBe(404);
  expect((await read("signed")).text).toBe(pdf);
});

test("a stored content has ranges, a tag and HEAD; an answer without a body takes nothing from the storage", async ({
  expect,
}) => {
  const first = await read("one");
  const etag = first.headers["etag"] ?? "";
  const get = (headers: Record<string, string>, method = "GET") =>
    read("one", { method, headers: { ...any.headers, ...headers } });
  const part = await get({ range: "bytes=2-4", "if-range": etag });
  expect([part.status, part.text, part.headers["content-range"]]).toEqual([
    206,
    "DF-",
    `bytes 2-4/${pdf.length}`,
  ]);
  expect(await get({ range: "bytes=2-4", "if-range": '"v1"' })).toMatchObject({ status: 200, text: pdf });
  expect(await get({ range: "bytes=900-" })).toMatchObject({ status: 200, text: pdf });
  expect(await get({ "if-none-match": etag })).toMatchObject({ status: 304, text: "" });
  expect(await get({}, "HEAD")).toMatchObject({ status: 200, text: "", headers: { etag } });
  const long = await read("long", { method: "HEAD", ...any });
  expect(long.status).toBe(200);
  expect(asked.at(-1)?.isEnded).toBe(true);
  expect((await recorded(long)).at(-1)).toMatchObject({ window: { number: 1, complete: true } });
});

test("a late range is asked of the storage; an answer of another content, or of another part, is not used", async ({
  expect,
}) => {
  const [first, last] = [4 * mebibyte.length + 10, film.length - 1];
  const part =
    (headers: Record<string, string>, status = 206) =>
    () =>
      new Response("B".repeat(last - first + 1), {
        status,
        headers: { "content-range": `bytes ${first}-${last}/${film.length}`, etag: '"v3"', ...headers },
      });
  const get = async (given: typeof partly) => {
    partly = given;
    asked = [];
    const reply = await read("film", { headers: { ...any.headers, range: `bytes=${first}-` } });
    expect([reply.status, reply.headers["content-range"], reply.text.length]).toEqual([
      206,
      `bytes ${first}-${last}/${film.length}`,
      last - first + 1,
    ]);
    return [reply.text[0], ...asked.map(({ headers }) => [headers.get("range"), headers.get("if-range")])];
  };
  const questions = [
    [null, null],
    [`bytes=${first}-${last}`, '"v3"'],
  ];
  expect(await get(part({}))).toEqual(["B", ...questions]);
  expect(asked[0]?.isEnded, "nothing before the part is read").toBe(true);
  const others = [
    undefined,
    part({ etag: '"v4"' }),
    part({ etag: 'W/"v3"' }),
    part({ "content-range": `bytes 0-${last - first}/${film.length}` }),
    part({ "content-range": `bytes ${first}-${last}/*` }),
    part({ "content-encoding": "br" }),
    part({}, 200),
    part({}, 503),
  ];
  for (const other of others) expect(await get(other)).toEqual(["A", ...questions]);
  partly = undefined;
  // A range that begins early reads what is before it.
  expect((await read("film", { headers: { ...any.headers, range: "bytes=10-19" } })).text).toBe(
    "A".repeat(10),
  );
  expect(asked.at(-1)?.headers.has("range")).toBe(false);
});

test("a long content leaves in windows, and one that breaks off or is longer than its entry permits never ends", async ({
  expect,
}) => {
  const reply = await read("long");
  expect(digestOf(reply.text)).toBe(digestOf(Buffer.alloc(4 * mebibyte.length, "A")));
  const events = await recorded(reply);
  expect(events.map(({ window }) => window?.complete)).toEqual([undefined, false, false, false, true]);
  expect((await read("chunked")).text.length).toBe(2 * mebibyte.length);
  for (const id of ["endless", "broken"]) {
    const failed = await read(id).then(
      ({ status }) => status,
      () => "broke off",
    );
    expect(failed, id).toBe("broke off");
  }
});

test("a redirect is not followed, a coded content is not passed on, and no text of the storage leaves", async ({
  expect,
}) => {
  for (const [id, status] of [
    ["moved", 502],
    ["coded", 502],
    ["gone", 404],
  ] as const) {
    const reply = await read(id);
    expect([reply.status, reply.text.includes("files.example")], id).toEqual([status, false]);
  }
  expect(asked.map(({ url }) => url)).toEqual(["moved", "coded", "gone"].map((name) => files + name));
  expect((await read("page")).headers).toMatchObject({
    "content-type": "text/html",
    "content-disposition": "attachment",
    "content-security-policy": "sandbox",
  });
});

test("a client that asks for FHIR gets a Binary, and content with a type of FHIR is never shown as a resource", async ({
  expect,
}) => {
  const fhir = { headers: { accept: "application/fhir+json" } };
  expect(JSON.parse((await read("one", fhir)).text)).toEqual({
    resourceType: "Binary",
    contentType: "application/pdf",
    data: Buffer.from(pdf).toString("base64"),
  });
  expect(JSON.parse((await read("fhir")).text)).toMatchObject({ resourceType: "Binary", data: "e30=" });
  expect((await read("long", fhir)).status).toBe(200);
  expect((await read("endless", fhir)).status).toBe(502);
});

test("only a plain URL below the base is fetched; a hidden row leads nowhere", async ({ expect }) => {
  for (const [id, url] of Object.entries(foreign)) {
    const shown = await urlOf("amara", `DocumentReference/at-${id}`);
    expect(shown, id).toBe(elsewhere.includes(id) ? url : undefined);
  }
  expect((await ask("amara", "DocumentReference/hidden")).status).toBe(404);
  expect(asked).toEqual([]);
});

test("a link lasts while the server signs the stored URL anew, and leads to the URL that the row shows now", async ({
  expect,
}) => {
  const signed = (more: string) =>
    note("anew", "amara", "", {
      content: [1, 2].map((part) => ({ attachment: { url: `${files}anew?part=${part}&${more}` } })),
    });
  const linksAfter = async (row: object) => {
    await fetch(`${phylax.dev.origin}/DocumentReference/anew`, fhirSending("PUT", row));
    const { text } = await ask("amara", "DocumentReference/anew");
    return [...text.matchAll(/"url":"([^"]*Binary[^"]*)"/gu)].map(([, url = ""]) => url);
  };
  const links = await linksAfter(signed("Expires=1&Signature=a"));
  expect(new Set(links).size, "the rest of the query names the content").toBe(2);
  expect(await linksAfter(signed("Expires=2&Signature=b"))).toEqual(links);
  expect(await Promise.all(links.map(async (link) => (await ask("amara", link, any)).text))).toEqual([
    "part 1",
    "part 2",
  ]);
});

test("a contained attachment leaves without its URL below a storage base, in a read and in a search", async ({
  expect,
}) => {
  for (const path of ["DocumentReference/around", "DocumentReference?_id=around"]) {
    const { text } = await ask("amara", path);
    expect(text, path).toMatch(/"contained":\[.*"attachment":\{"title":"inner"\}/u);
    expect(text, path).not.toContain("files.example");
  }
});

test("no client writes a URL below a storage base, whatever its spelling, and a link is the stored URL again", async ({
  expect,
}) => {
  const { id: _assigned, ...draft } = note("new", "amara", "");
  const content = (url: string) => [{ attachment: { contentType: "application/pdf", url } }];
  const created = (url: string) =>
    ask("clinic", "DocumentReference", fhirSending("POST", { ...draft, content: content(url) }));
  const spellings = [
    `${files}of-bela.pdf`,
    "HTTPS://FILES.EXAMPLE/notes/of-bela.pdf",
    "https://files.example:443/notes/of-bela.pdf",
    "https://files.example/other/../notes/of-bela.pdf",
    "https://files.example\\notes\\of-bela.pdf",
    "https:files.example/notes/of-bela.pdf",
    "//files.example/notes/of-bela.pdf",
    "http://files.example./notes/of-bela.pdf",
    "https://files.example/%6eotes/of-bela.pdf",
  ];
  for (const url of spellings) {
    const { status } = await created(url);
    expect([422, 400], `${url} ${status}`).toContain(status);
  }
  const row: object = JSON.parse((await ask("clinic", "DocumentReference/one")).text);
  const put = await ask(
    "clinic",
    "DocumentReference/one",
    fhirSending("PUT", { ...row, content: content(`${files}of-bela.pdf`) }),
  );
  expect(put.status).toBe(422);
  const patched = await ask("clinic", "DocumentReference/one", {
    method: "PATCH",
    headers: { "content-type": "application/json-patch+json" },
    body: JSON.stringify([
      { op: "replace", path: "/content/0/attachment/url", value: `${files}of-bela.pdf` },
    ]),
  });
  expect(patched.status).toBe(422);
  const ofAnother = (await urlOf("clinic", "DocumentReference/of-bela")) ?? "";
  expect((await created(ofAnother)).status).toBe(422);
  const sentBack = { ...row, description: "read and sent back" };
  expect((await ask("clinic", "DocumentReference/one", fhirSending("PUT", sentBack))).status).toBe(200);
  const stored = await fetch(`${phylax.dev.origin}/DocumentReference/one`);
  expect(await stored.json()).toMatchObject({
    description: "read and sent back",
    content: content(`${files}one.pdf`),
  });
  expect(asked).toEqual([]);
});
