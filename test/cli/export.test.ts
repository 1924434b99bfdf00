import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { readExportParameters } from "#doors/bulk/read-export";
import { readObject } from "#fhir/json/json";
import { shareIn } from "../../cli/export/export-download.ts";
import { must } from "../support/must.ts";
import { bulkServer } from "./bulk-server.ts";
import { phylaxIn } from "./phylax.ts";

const root = mkdtempSync(join(tmpdir(), "phylax-bulk-"));
let server: Awaited<ReturnType<typeof bulkServer>>;
beforeAll(async () => {
  server = await bulkServer(root);
});
afterAll(() => {
  server.close();
  rmSync(root, { recursive: true, force: true });
});

let folders = 0;
let folder = "";
const run = (verb: string, ...args: string[]) =>
  phylaxIn(root, "export", verb, ...args, "--state", server.state);
const start = (...args: string[]) => run("start", "research", folder, ...args);
const contentOf = (name: string) => readFileSync(join(folder, name), "utf8");
const patients = ["a", "b", "c"].map((id) => `{"resourceType":"Patient","id":"${id}"}`);
const observations = Array.from(
  { length: 4_000 },
  (_, at) => `{"resourceType":"Observation","id":"o${at}","valueString":"${"x".repeat(at % 97)}"}`,
);
const text = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join("");
const filesSeen = () => server.seen.filter(({ line }) => line.includes("$export-file"));

beforeEach(() => {
  folder = join(root, `export-${++folders}`);
  server.seen.length = 0;
  Object.assign(server.plan, {
    output: [{ type: "Patient", lines: patients }],
    deleted: [],
    error: [],
    filesOnPage: 100,
    running: [],
    faults: [],
    refusal: undefined,
    cut: 1,
    expires: undefined,
    fileUrl: undefined,
  });
});

describe("export start", () => {
  test("asks by POST, with each value a parameter of its own, and the door reads the request", async () => {
    writeFileSync(join(root, "patients.txt"), "a\nb\n");
    const filters = "--type-filter Observation?code=a,b --elements id,Patient.birthDate";
    const times = "--since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00+01:00 --lenient";
    const types = "--group roster --type Patient,Observation --type Condition";
    const words = `${types} ${filters} ${times}`.split(" ");
    const { code, out } = await start(...words, "--patients", join(root, "patients.txt"));
    expect(out).toContain(`started: ${server.fhir}/$export-status/job-1`);
    expect(code).toBe(0);
    const { line, headers, body } = must(server.seen.at(-1));
    expect(line).toBe("POST /fhir/main/Group/roster/$export");
    expect(headers).toMatchObject({
      accept: "application/fhir+json",
      "content-type": "application/fhir+json",
      prefer: "respond-async, handling=lenient",
    });
    const parameters = must(readObject(Buffer.from(body)));
    const level = { kind: "group", id: "roster" } as const;
    expect(readExportParameters(parameters, level, "strict", server.fhir)).toEqual({
      ok: true,
      value: {
        level,
        since: "2026-01-01T00:00:00Z",
        until: "2026-02-01T00:00:00+01:00",
        types: ["Patient", "Observation", "Condition"],
        typeFilters: [{ type: "Observation", query: "code=a,b" }],
        elements: [
          { type: undefined, path: "id" },
          { type: "Patient", path: "birthDate" },
        ],
        patients: ["a", "b"],
        outputFormat: "application/fhir+ndjson",
        allowPartialManifests: true,
        ignored: [],
      },
    });
  });

  test("asks for all patients, or for the system", async () => {
    await start();
    expect(server.seen.at(-1)?.line).toBe("POST /fhir/main/Patient/$export");
    expect(server.seen.at(-1)?.headers.prefer).toBe("respond-async");
    folder = join(root, `export-${++folders}`);
    await start("--system");
    expect(server.seen.at(-1)?.line).toBe("POST /fhir/main/$export");
  });

  test("writes a folder for its owner alone, with the address and no patient", async () => {
    writeFileSync(join(root, "patients.txt"), "amara-okafor\n");
    await start("--patients", join(root, "patients.txt"));
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, "export.json")).mode & 0o777).toBe(0o600);
    expect(JSON.parse(contentOf("export.json"))).toEqual({
      status: `${server.fhir}/$export-status/job-1`,
      fhir: server.fhir,
      client: "research",
    });
  });

  test("starts no second export in a folder", async () => {
    await start();
    const { code, error } = await start();
    expect(error).toContain("has an export already");
    expect(code).toBe(2);
    expect(server.seen.filter(({ line }) => line.startsWith("POST /fhir"))).toHaveLength(1);
  });

  test("ends with 2 where the server refuses, and with 1 where it fails; the folder can be used again", async () => {
    server.plan.refusal = { status: 400, text: "organizeOutputBy is not supported" };
    expect(await start()).toMatchObject({
      code: 2,
      error: "not started: 400 organizeOutputBy is not supported\n",
    });
    server.plan.refusal = { status: 429, text: "too many exports", headers: { "retry-after": "120" } };
    expect(await start()).toMatchObject({
      code: 2,
      error: "not started: 429 too many exports; ask again in 120 s\n",
    });
    server.plan.refusal = { status: 503, text: "the origin is down" };
    expect((await start()).code).toBe(1);
    server.plan.refusal = undefined;
    expect((await start()).code).toBe(0);
  });

  test("refuses a wrong call before any request", async () => {
    for (const args of [
      ["--system", "--group", "a"],
      ["--group", "a/b"],
      ["--group", ".."],
    ])
      expect((await start(...args)).code, args.join(" ")).toBe(2);
    expect((await run("start", "research")).code).toBe(2);
    expect(server.seen).toEqual([]);
  });
});

describe("export status", () => {
  test("says how far the export is, when to ask again, and until when its files can be had", async () => {
    await start();
    const headers = { "x-progress": "40%", "retry-after": "15" };
    server.plan.running = [
      { status: 202, headers },
      { status: 202, headers },
      { status: 429, headers: { "retry-after": "7" } },
    ];
    expect(await run("status", folder)).toMatchObject({ code: 0, out: "running: 40%; ask again in 15 s\n" });
    const asJson = await run("status", folder, "--json");
    expect(JSON.parse(asJson.out)).toEqual({ state: "running", progress: "40%", waitSeconds: 15 });
    expect((await run("status", folder)).out).toBe("running: no progress is known; ask again in 7 s\n");
    server.plan.expires = "Mon, 02 Nov 2026 00:00:00 GMT";
    const finished = await run("status", folder, "--json");
    expect(JSON.parse(finished.out)).toEqual({
      state: "finished",
      files: 1,
      transactionTime: "2026-11-01T00:00:00.000Z",
      expires: "Mon, 02 Nov 2026 00:00:00 GMT",
    });
  });

  test("ends with 1 for an export that failed, or is no longer there", async () => {
    await start();
    const body = {
      resourceType: "OperationOutcome",
      issue: [{ severity: "error", code: "processing", details: { text: "the origin\u001B[2J refused" } }],
    };
    server.plan.running = [{ status: 500, headers: {}, body }];
    expect(await run("status", folder)).toMatchObject({
      code: 1,
      error: "failed: 500 the origin\\u001b[2J refused\n",
    });
    expect((await run("cancel", folder)).code).toBe(0);
    expect(await run("status", folder)).toMatchObject({
      code: 1,
      error: "the server has no such export: it was cancelled, or its time is over\n",
    });
    expect((await run("cancel", folder)).code).toBe(1);
  });

  test("needs a folder with an export of the same deployment", async () => {
    expect(await run("status", join(root, "nothing"))).toMatchObject({ code: 2 });
    await start();
    const stored: object = JSON.parse(contentOf("export.json"));
    writeFileSync(
      join(folder, "export.json"),
      JSON.stringify({ ...stored, fhir: "https://other.example/fhir" }),
    );
    server.seen.length = 0;
    expect((await run("status", folder)).error).toContain("the export is of https://other.example/fhir");
    expect(server.seen).toEqual([]);
  });
});

describe("export download", () => {
  test("waits, and writes each file of each page of the manifest under its type", async () => {
    await start();
    server.plan.output = [
      { type: "Patient", lines: patients },
      { type: "Observation", lines: observations.slice(0, 10) },
      { type: "Observation", lines: observations.slice(10), isGzip: true },
    ];
    server.plan.deleted = [{ type: "Bundle", lines: ['{"resourceType":"Bundle","type":"transaction"}'] }];
    server.plan.filesOnPage = 1;
    server.plan.running = [
      { status: 202, headers: { "retry-after": "0", "x-progress": "40%" } },
      { status: 202, headers: { "retry-after": "0", "x-progress": "40%" } },
      { status: 202, headers: { "retry-after": "0", "x-progress": "95%" } },
    ];
    const { code, out } = await run("download", folder);
    expect(out.split("\n").slice(0, -1)).toEqual([
      "running: 40%",
      "running: 95%",
      "Patient.1.ndjson: 3 rows",
      "Observation.1.ndjson: 10 rows",
      "Observation.2.ndjson: 3990 rows",
      "deleted.1.ndjson: 1 rows",
      `${folder}: 4 files of 2026-11-01T00:00:00.000Z, for the next --since`,
    ]);
    expect(code).toBe(0);
    expect(contentOf("Patient.1.ndjson")).toBe(text(patients));
    expect(contentOf("Observation.1.ndjson") + contentOf("Observation.2.ndjson")).toBe(text(observations));
    expect(readdirSync(folder).sort()).toEqual([
      "Observation.1.ndjson",
      "Observation.2.ndjson",
      "Patient.1.ndjson",
      "deleted.1.ndjson",
      "export.json",
      "manifest.json",
    ]);
    for (const name of readdirSync(folder))
      expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600);
    const again = await run("download", folder, "--json");
    expect(JSON.parse(again.out)).toMatchObject({
      files: [{ rows: 3 }, { rows: 10 }, { rows: 3990 }, { rows: 1 }],
    });
    expect(filesSeen(), "files on the disk are not asked for again").toHaveLength(4);
  });

  test.each([true, false])("goes on after the last byte that came (gzip: %s)", async (isGzip) => {
    await start();
    server.plan.output = [{ type: "Observation", lines: observations, isGzip }];
    server.plan.faults = [5_000, 3_000, { status: 503, headers: { "retry-after": "0" } }];
    const { code, error } = await run("download", folder);
    expect(error).toBe("");
    expect(code).toBe(0);
    expect(contentOf("Observation.1.ndjson")).toBe(text(observations));
    expect(filesSeen().map(({ headers }) => headers.range)).toEqual([
      undefined,
      "bytes=5000-",
      "bytes=8000-",
      "bytes=8000-",
    ]);
  });

  test("of a later call goes on with the bytes of the first", async () => {
    await start();
    server.plan.output = [{ type: "Observation", lines: observations, isGzip: true }];
    server.plan.faults = [5_000, { status: 403 }];
    expect((await run("download", folder)).code).toBe(1);
    expect(existsSync(join(folder, "Observation.1.ndjson"))).toBe(false);
    expect(statSync(join(folder, "Observation.1.ndjson.part")).size).toBe(5_000);
    expect((await run("download", folder)).code).toBe(0);
    expect(filesSeen().at(-1)?.headers.range).toBe("bytes=5000-");
    expect(contentOf("Observation.1.ndjson")).toBe(text(observations));
  });

  test("that was killed goes on with its bytes", async () => {
    await start();
    server.plan.output = [{ type: "Observation", lines: observations }];
    server.plan.faults = [{ holdsAfter: 7_000 }];
    const main = join(import.meta.dirname, "../../cli/main.ts");
    const call = [main, "export", "download", folder, "--state", server.state];
    const child = spawn(process.execPath, call, { cwd: root, stdio: "ignore" });
    const part = join(folder, "Observation.1.ndjson.part");
    await vi.waitUntil(() => statSync(part, { throwIfNoEntry: false })?.size === 7_000, 30_000);
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    expect((await run("download", folder)).code).toBe(0);
    expect(filesSeen().at(-1)?.headers.range).toBe("bytes=7000-");
    expect(contentOf("Observation.1.ndjson")).toBe(text(observations));
  });

  test("that ended between the last byte and the file's name asks for no byte again", async () => {
    await start();
    server.plan.faults = [40, { status: 403 }];
    await run("download", folder);
    writeFileSync(join(folder, "Patient.1.ndjson.part"), text(patients));
    expect((await run("download", folder)).code).toBe(0);
    expect(filesSeen().at(-1)?.headers.range).toBe(`bytes=${text(patients).length}-`);
    expect(contentOf("Patient.1.ndjson")).toBe(text(patients));
    expect(readdirSync(folder).sort()).toEqual(["Patient.1.ndjson", "export.json", "manifest.json"]);
  });

  test("begins anew with a different cut of a file, so that no file has rows of two", async () => {
    await start();
    server.plan.output = [{ type: "Observation", lines: observations }];
    server.plan.faults = [5_000, { status: 403 }];
    await run("download", folder);
    server.plan.output = [{ type: "Observation", lines: observations.slice(1) }];
    expect((await run("download", folder)).code).toBe(0);
    expect(contentOf("Observation.1.ndjson")).toBe(text(observations.slice(1)));
  });

  test("gets a new token where the old one has ended, and polls on after a transient failure", async () => {
    await start();
    server.plan.endsTokens = true;
    const body = { resourceType: "OperationOutcome", issue: [{ severity: "error", code: "transient" }] };
    server.plan.running = [
      { status: 500, headers: { "retry-after": "0" }, body },
      { status: 502, headers: { "retry-after": "0" } },
      { status: 429, headers: { "retry-after": "0" } },
    ];
    expect((await run("download", folder)).code).toBe(0);
    expect(contentOf("Patient.1.ndjson")).toBe(text(patients));
  });

  test("gives no name to a file with a line that is no row of its type, and says nothing of the line", async () => {
    await start();
    for (const line of [
      '{"resourceType":"Observation","id":"ann"}',
      '{"resourceType":"Patient","id":"ann',
      "[]",
    ]) {
      server.plan.output = [{ type: "Patient", lines: [...patients, line] }];
      const { code, error } = await run("download", folder);
      expect(error).toBe("Patient.1.ndjson: line 4 is no Patient: run the command again\n");
      expect(code).toBe(1);
      expect(readdirSync(folder).sort()).toEqual(["export.json", "manifest.json"]);
    }
  });

  test("prints the server's messages, and ends with 1 if there is an error among them", async () => {
    await start();
    const message = (severity: string, words: string) =>
      JSON.stringify({ resourceType: "OperationOutcome", issue: [{ severity, details: { text: words } }] });
    server.plan.error = [{ type: "OperationOutcome", lines: [message("warning", "custom was ignored")] }];
    expect(await run("download", folder)).toMatchObject({ code: 0, error: "custom was ignored\n" });
    rmSync(join(folder, "messages.1.ndjson"));
    server.plan.error = [{ type: "OperationOutcome", lines: [message("error", "a part failed")] }];
    expect(await run("download", folder)).toMatchObject({ code: 1, error: "a part failed\n" });
  });

  test("sends its token to no address outside of the FHIR base", async () => {
    await start();
    const { port } = new URL(server.fhir);
    for (const url of [
      `https://127.0.0.1:${port}/fhir/main/$export-file/output/0`,
      `https://localhost:${port}/fhir/main/../other/$export-file/output/0`,
      `https://localhost:${port}/fhir/mainline/$export-file/output/0`,
      "no address",
    ]) {
      server.plan.fileUrl = url;
      expect((await run("download", folder)).error, url).toContain("an address that is not below");
    }
    expect(filesSeen()).toEqual([]);
  });

  test("takes no type from a manifest that is no type: it would be a path", async () => {
    await start();
    server.plan.output = [{ type: "../../Patient", lines: patients }];
    expect(await run("download", folder)).toMatchObject({
      code: 1,
      error: "the server's manifest cannot be read\n",
    });
  });

  test("says so when the time of the files is over", async () => {
    await start();
    server.plan.faults = [{ status: 404 }];
    expect((await run("download", folder)).error).toContain("its time is over, or it was cancelled");
  });
});

test("a progress is a percentage, or a number of a number; other words are none", () => {
  expect(
    ["40%", "40.5 % done", "3 of 4 patients", "1/2", "2 / 4", "in progress", "0 of 0"].map(shareIn),
  ).toEqual([0.4, 0.405, 0.75, 0, 0.5, 0, 0]);
});
