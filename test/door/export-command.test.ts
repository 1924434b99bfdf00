import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { downloadFile } from "../../cli/export/download-file.ts";
import { ExportSession } from "../../cli/export/export-session.ts";
import { commandIn } from "../support/in-process/command.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());

let folders = 0;
let folder = "";
beforeEach(() => (folder = join(phylax.home, `export-${++folders}`)));
const state = () => join(phylax.home, ".phylax");
const run = (verb: string, ...args: readonly string[]) =>
  phylax.within(() => commandIn(phylax.home, "export", verb, ...args, "--state", state()));
const start = (...args: readonly string[]) => run("start", "payer", folder, ...args);
const contentOf = (name: string) => readFileSync(join(folder, name), "utf8");
const recorded = async (from = 0) =>
  (await phylax.records()).slice(from).flatMap(({ event }) => event?.what ?? []);

test("export start asks with each option, by a POST that shows no filter in a URL", async () => {
  const ids = join(phylax.home, "patients.txt");
  writeFileSync(ids, "amara-okafor\n");
  const filters = "--type-filter Observation?code=a,b --elements id,Patient.birthDate";
  const times = "--since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00+01:00 --lenient";
  const words = `--type Patient,Observation --type Condition ${filters} ${times}`.split(" ");
  const from = (await phylax.records()).length;
  const { code, error } = await start(...words, "--patients", ids);
  expect(code, error).toBe(0);
  const asked = (await recorded(from)).find(({ interaction }) => interaction === "$export");
  expect([asked?.method, asked?.path]).toEqual(["POST", "Patient/$export"]);
  expect(asked?.parameters).toEqual([
    ["_since", "2026-01-01T00:00:00Z"],
    ["_until", "2026-02-01T00:00:00+01:00"],
    ["_type", "Patient"],
    ["_type", "Observation"],
    ["_type", "Condition"],
    ["_typeFilter", "Observation?code=a,b"],
    ["_elements", "id"],
    ["_elements", "Patient.birthDate"],
    ["patient", "amara-okafor"],
  ]);
});

test("export start writes a folder for its owner alone, without a patient, and never a second export in it", async () => {
  const ids = join(phylax.home, "patients.txt");
  writeFileSync(ids, "amara-okafor\n");
  expect((await start("--patients", ids)).code).toBe(0);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, "export.json")).mode & 0o777).toBe(0o600);
  expect(contentOf("export.json")).not.toContain("amara");
  expect(await start()).toMatchObject({
    code: 2,
    error: expect.stringContaining("has an export already") as string,
  });
});

test("export start ends with 2 where the server refuses, and the folder can be used again", async () => {
  const refused = await start("--type", "Nothing");
  expect([refused.code, refused.error]).toEqual([2, expect.stringContaining("not started: 400 ")]);
  expect((await start("--system")).code).toBe(0);
});

test("export start refuses a wrong call before any request", async () => {
  const from = (await phylax.records()).length;
  for (const args of [
    ["--system", "--group", "a"],
    ["--group", "a/b"],
    ["--group", ".."],
  ])
    expect((await start(...args)).code, args.join(" ")).toBe(2);
  expect((await run("start", "payer")).code).toBe(2);
  expect(await recorded(from)).toEqual([]);
});

test("export download writes what the client's searches show, asks for whole files once, and cancel ends the export", async () => {
  expect((await start("--type", "Patient,Observation")).code).toBe(0);
  const ready = JSON.parse((await run("status", folder, "--json")).out) as object;
  expect(ready).toMatchObject({ files: 2 });
  const { code, out, error } = await run("download", folder);
  expect(code, error).toBe(0);
  for (const type of ["Patient", "Observation"]) {
    const { entry } = JSON.parse((await phylax.ask("payer", `${type}?_count=1000`)).text) as {
      entry: { resource: { id: string } }[];
    };
    const lines = contentOf(`${type}.1.ndjson`).trim().split("\n");
    const ids = lines.map((line) => (JSON.parse(line) as { id: string }).id);
    expect(ids.toSorted()).toEqual(entry.map(({ resource }) => resource.id).toSorted());
    expect(out).toContain(`${type}.1.ndjson: ${entry.length} rows\n`);
  }
  const names = ["Observation.1.ndjson", "Patient.1.ndjson", "export.json", "manifest.json"];
  expect(readdirSync(folder).toSorted()).toEqual(names);
  for (const name of names) expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600);
  rmSync(join(folder, "Patient.1.ndjson"));
  const from = (await phylax.records()).length;
  expect((await run("download", folder)).out).toBe(out);
  const files = (await recorded(from)).filter(({ path }) => path?.startsWith("$export-file/"));
  expect(new Set(files.map(({ path }) => path?.split("/").at(-1)))).toEqual(new Set(["1"]));
  expect((await run("cancel", folder)).code).toBe(0);
  for (const verb of ["status", "download", "cancel"])
    expect(await run(verb, folder)).toMatchObject({
      code: 1,
      error: "the server has no such export: it was cancelled, or its time is over\n",
    });
});

test("the files of a data set have no identifier that the checker finds, and tables are made of them", async () => {
  const words = ["--system", "--type", "Patient,Condition"];
  expect(await run("start", "limited-study", folder, ...words)).toMatchObject({ code: 0 });
  expect(await run("download", folder)).toMatchObject({ code: 0 });
  const command = (...args: readonly string[]) => commandIn(phylax.home, ...args);
  const form = ["--form", "limited-data-set"];
  for (const name of ["Patient.1.ndjson", "Condition.1.ndjson"]) {
    const checked = await command("deid", "check", join(folder, name), ...form);
    expect(checked.code, checked.out + checked.error).toBe(0);
  }
  const made = await command("export", "tables", folder, `${folder}-tables`, ...form, "--json");
  expect(made.code, made.error).toBe(0);
  const { tables } = JSON.parse(made.out) as { tables: { table: string; rows: number }[] };
  expect(Math.max(...tables.map(({ rows }) => rows))).toBeGreaterThan(0);
});

test("export download prints the server's messages, and ends with 1 if there is an error among them", async () => {
  await start("--type", "Patient,AuditEvent", "--lenient");
  const { code, error } = await run("download", folder);
  expect([code, error]).toEqual([1, expect.stringContaining("may not search the type AuditEvent")]);
});

test("a session takes a new token where the old one has ended", async () => {
  await start("--type", "Patient");
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  try {
    const session = new ExportSession(state(), { client: "payer" });
    const ask = () => phylax.within(() => session.send(`${phylax.dev.fhir}/metadata`));
    expect((await ask()).status).toBe(200);
    vi.setSystemTime(Date.now() + 600_000);
    expect((await ask()).status).toBe(200);
  } finally {
    vi.useRealTimers();
  }
});

test("a session sends its token to no address outside of the FHIR base", async () => {
  const session = new ExportSession(state(), { client: "payer" });
  const { host } = new URL(session.fhir);
  for (const url of [
    session.fhir.replace(host, "elsewhere.example"),
    `${session.fhir}/../other/$export-file/1/1`,
    `${session.fhir}line/$export-file/1/1`,
    "no address",
  ])
    await expect(session.open(url), url).rejects.toThrow("an address that is not below");
});

test("a verb needs a folder with an export of the same deployment", async () => {
  expect(await run("status", folder)).toMatchObject({ code: 2 });
  await start();
  const stored = JSON.parse(contentOf("export.json")) as object;
  writeFileSync(
    join(folder, "export.json"),
    JSON.stringify({ ...stored, fhir: "https://other.example/fhir" }),
  );
  expect((await run("status", folder)).error).toContain("the export is of https://other.example/fhir");
});

const patients = Array.from({ length: 4_000 }, (_, at) => `{"resourceType":"Patient","id":"p${at}"}`);
const text = patients.map((line) => `${line}\n`).join("");
const target = () => ({ url: "", type: "Patient", path: `${folder}.ndjson` });
const answering = (body: Readable, headers = {}, status = 200) => ({
  open: async () => ({ status, headers, body }),
});
const broken = (bytes: Buffer) =>
  Readable.from(
    (async function* () {
      yield bytes;
      throw Object.assign(new Error("aborted"), { code: "ECONNRESET" });
    })(),
  );

test.for([true, false])(
  "a file gets its name only if its transfer ended properly (gzip: %s)",
  async (isGzip) => {
    const bytes = isGzip ? gzipSync(text) : Buffer.from(text);
    const headers = isGzip ? { "content-encoding": "gzip" } : {};
    const download = (body: Readable) => downloadFile(target(), answering(body, headers));
    await expect(download(broken(bytes.subarray(0, 5_000)))).rejects.toThrow("aborted");
    if (isGzip) await expect(download(Readable.from([bytes.subarray(0, 5_000)]))).rejects.toThrow();
    expect([existsSync(target().path), existsSync(`${target().path}.part`)]).toEqual([false, false]);
    expect(await download(Readable.from([bytes]))).toBe(4_000);
    expect(readFileSync(target().path, "utf8")).toBe(text);
  },
);

test("a file with a line that is no row of its type gets no name, and no text says the line", async () => {
  for (const line of [
    '{"resourceType":"Observation","id":"ann"}',
    '{"resourceType":"Patient","id":"ann',
    "[]",
  ]) {
    const read = downloadFile(target(), answering(Readable.from([Buffer.from(`${text}${line}\n`)])));
    await expect(read).rejects.toThrow(/: line 4001 is no Patient: run the command again$/u);
    expect(existsSync(target().path)).toBe(false);
  }
});

test("a file whose time is over says so, and a busy server's file may come by a repeat", async () => {
  const refused = (status: number, headers = {}) =>
    downloadFile(target(), answering(Readable.from([]), headers, status));
  await expect(refused(404)).rejects.toThrow("its time is over, or it was cancelled");
  await expect(refused(429, { "retry-after": "7" })).rejects.toMatchObject({ waitSeconds: 7 });
});
