import { randomUUID } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import type { Bundle, Resource } from "@medplum/fhirtypes";
import { afterAll, test } from "vitest";
import { loadFolder, readFolder } from "../../sandbox/fhir-server/load.ts";
import { startOrigin } from "../../sandbox/origin/server.ts";
import { StartRefusal } from "../../sandbox/start-refusal.ts";

const root = mkdtempSync(join(tmpdir(), "phylax-load-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A folder with these files: objects as JSON, compressed when the name says so. */
function folder(files: Record<string, unknown>): string {
  const dir = join(root, randomUUID());
  mkdirSync(dir);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    const text = typeof content === "string" ? content : JSON.stringify(content);
    writeFileSync(join(dir, name), name.endsWith(".gz") ? gzipSync(text) : text);
  }
  return dir;
}

const patient = (id: string, more: object = {}) => ({ resourceType: "Patient", id, ...more });
const uuid = "11111111-2222-4333-8444-555555555555";

test("every form of file is read, in nested folders, and files of a different form are ignored", async ({
  expect,
}) => {
  const { resources, unread } = await readFolder(
    folder({
      "single.json": patient("a"),
      "deep/er/single.json.gz": patient("b"),
      "lines.ndjson": `${JSON.stringify(patient("c"))}\r\n\n${JSON.stringify(patient("d"))}`,
      "lines.ndjson.gz": `${JSON.stringify(patient("e"))}\n`,
      "with-mark.json": `\uFEFF${JSON.stringify(patient("f"))}`,
      ...Object.fromEntries(
        ["transaction", "collection", "searchset", "batch"].map((type) => [
          `${type}.json`,
          { resourceType: "Bundle", type, entry: [{ resource: patient(type) }] },
        ]),
      ),
      "README.md": "not FHIR",
    }),
  );
  expect(new Set(resources.map(({ id }) => id))).toEqual(
    new Set(["a", "b", "batch", "c", "collection", "d", "e", "f", "searchset", "transaction"]),
  );
  expect(unread).toEqual([]);
});

test("references of a transaction come out as type and id, and ids stay", async ({ expect }) => {
  const { resources, unresolved } = await readFolder(
    folder({
      "a-patient.json": {
        resourceType: "Bundle",
        type: "transaction",
        entry: [
          { fullUrl: `urn:uuid:${uuid}`, resource: { resourceType: "Patient", gender: "female" } },
          {
            fullUrl: "urn:uuid:99999999-2222-4333-8444-555555555555",
            resource: {
              resourceType: "Observation",
              id: "own",
              subject: { reference: `urn:uuid:${uuid}` },
              performer: [
                { reference: "Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|77" },
                { reference: "Organization?identifier=urn%3Ax%7C1" },
              ],
              hasMember: [
                { reference: "http://origin.example/fhir/Observation/other" },
                { reference: "urn:uuid:00000000-0000-4000-8000-000000000000" },
              ],
              identifier: [{ system: "urn:ietf:rfc:3986", value: `urn:uuid:${uuid}` }],
            },
          },
          {
            fullUrl: "http://origin.example/fhir/Observation/other",
            resource: {
              resourceType: "Observation",
              id: "other",
              subject: { reference: "Patient/elsewhere" },
            },
          },
        ],
      },
      "z-shared.ndjson": [
        {
          resourceType: "Practitioner",
          id: "p",
          identifier: [{ system: "http://hl7.org/fhir/sid/us-npi", value: "77" }],
        },
        { resourceType: "Organization", id: "o", identifier: [{ system: "urn:x", value: "1" }] },
      ]
        .map((line) => JSON.stringify(line))
        .join("\n"),
    }),
  );
  const [woman, own, other] = resources;
  expect(woman).toMatchObject({ resourceType: "Patient", id: uuid });
  expect(own).toMatchObject({
    id: "own",
    subject: { reference: `Patient/${uuid}` },
    performer: [{ reference: "Practitioner/p" }, { reference: "Organization/o" }],
    hasMember: [
      { reference: "Observation/other" },
      { reference: "urn:uuid:00000000-0000-4000-8000-000000000000" },
    ],
    identifier: [{ value: `urn:uuid:${uuid}` }], // an identifier is not a reference
  });
  expect(other).toMatchObject({ subject: { reference: "Patient/elsewhere" } });
  expect(unresolved).toBe(1);
});

test("unreadable text is named with its line, without its content, and the rest is loaded", async ({
  expect,
}) => {
  const said: string[] = [];
  const dir = folder({
    "good.json": patient("good"),
    "broken.json": '{"resourceType":"Patient","name":"Secret',
    "packed.json.gz": "",
    "lines.ndjson": `${JSON.stringify(patient("line"))}\nSecret\n`,
    "other.json": { resourceType: "Dragon" },
    "list.json": [1],
    "empty.json": { resourceType: "Bundle", type: "collection" },
  });
  writeFileSync(join(dir, "packed.json.gz"), "not gzip");
  writeFileSync(join(dir, "latin1.json"), Buffer.from([0x7b, 0xe9, 0x7d]));
  const resources = await loadFolder(dir, (line) => said.push(line));
  expect(resources.map(({ id }) => id)).toEqual(["good", "line"]);
  for (const file of [
    "broken.json",
    "packed.json.gz",
    "lines.ndjson:2",
    "other.json",
    "list.json",
    "empty.json",
    "latin1.json",
  ])
    expect(
      said.filter((line) => line.startsWith(`not loaded: ${file}: `)),
      file,
    ).toHaveLength(1);
  expect(said.join("\n")).not.toContain("Secret");
  expect(said.at(-1)).toContain("2 Patient");
});

test("a folder without anything to load is an error that names it", async ({ expect }) => {
  const dir = folder({ "notes.txt": "nothing" });
  await expect(loadFolder(dir, () => {})).rejects.toThrow(StartRefusal);
  await expect(loadFolder(join(dir, "nowhere"), () => {})).rejects.toThrow(StartRefusal);
  await expect(loadFolder(folder({ "a.json": "{" }), () => {})).rejects.toThrow("has no FHIR resource");
});

test("numbers keep their digits", async ({ expect }) => {
  const { resources } = await readFolder(
    folder({ "o.json": '{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.10}}' }),
  );
  expect(JSON.stringify(resources)).toContain('"value":1.10}');
});

// Real data, in a folder next to the project that a fresh clone does not have.
const synthea = ["synthea-2019", "synthea-2020", "synthea-2024"].map((name) =>
  fileURLToPath(new URL(`../../../shared/data/fhir/${name}`, import.meta.url).href),
);

/** The files' resources, read by JSON.parse alone: the loader's counts are compared with them. */
function raw(dir: string): Resource[] {
  return readdirSync(dir).flatMap((name) => {
    const text = gunzipSync(readFileSync(join(dir, name))).toString();
    const documents = name.includes(".ndjson") ? text.split("\n").filter(Boolean) : [text];
    return documents.flatMap((document) => {
      const parsed: Bundle | Exclude<Resource, Bundle> = JSON.parse(document);
      return parsed.resourceType === "Bundle"
        ? (parsed.entry ?? []).flatMap(({ resource }) => resource ?? [])
        : [parsed];
    });
  });
}

test.skipIf(!synthea.every((dir) => existsSync(dir)))(
  "all of Synthea loads, and each patient's records are found, as many as the files hold (skipped without ../shared/data)",
  async ({ expect }) => {
    const began = performance.now();
    const origin = await startOrigin();
    const loaded: Resource[] = [];
    for (const dir of synthea) {
      const { resources, unread, unresolved } = await readFolder(dir);
      expect([unread, unresolved], dir).toEqual([[], 0]);
      loaded.push(...resources);
    }
    await origin.load(loaded);
    const ready = performance.now();
    const get = async (url: string): Promise<Bundle> => (await fetch(url)).json();
    const search = async (query: string): Promise<Bundle> => {
      const first = await get(`${origin.url}/${query}`);
      const entry = [...(first.entry ?? [])];
      for (let page = first; ;) {
        const next = page.link?.find(({ relation }) => relation === "next");
        if (next === undefined) return { ...first, entry };
        page = await get(next.url);
        entry.push(...(page.entry ?? []));
      }
    };
    const first = performance.now();
    await search("Observation?code=http://loinc.org|8302-2&date=ge2015");
    const searched = performance.now();

    const files = synthea.flatMap(raw);
    const patients = files.filter(({ resourceType }) => resourceType === "Patient");
    expect(patients.length).toBe(14);
    for (const { id } of patients)
      for (const type of ["Observation", "Condition", "Encounter", "Procedure"]) {
        const own = files.filter(
          (resource) =>
            resource.resourceType === type &&
            "subject" in resource &&
            [`Patient/${id}`, `urn:uuid:${id}`].includes(
              (resource.subject as { reference: string }).reference,
            ),
        ); // these four have a contract
        for (const written of [`patient=${id}`, `patient=Patient/${id}`, `subject=${id}`]) {
          const { total, entry } = await search(`${type}?${written}`);
          expect(
            [total, new Set(entry?.map(({ resource }) => resource?.id))],
            `${type} of one patient`,
          ).toEqual([own.length, new Set(own.map(({ id }) => id))]);
        }
      }
    const exact = /"value":\d+\.\d+/gu;
    for (const type of ["Observation", "Claim"])
      expect((await search(`${type}?_count=0`)).total).toBe(
        new Set(files.filter(({ resourceType }) => resourceType === type).map(({ id }) => id)).size,
      );
    const digits = synthea.slice(0, 2).flatMap((dir) =>
      readdirSync(dir).flatMap(
        (name) =>
          gunzipSync(readFileSync(join(dir, name)))
            .toString()
            .match(exact) ?? [],
      ),
    );
    const kept = new Set(JSON.stringify(loaded).match(exact));
    expect(digits.filter((number) => !kept.has(number))).toEqual([]);
    console.log(
      `${loaded.length} resources in ${Math.round(ready - began)} ms, first search in ${Math.round(searched - first)} ms`,
    );
    await origin.close();
  },
);
