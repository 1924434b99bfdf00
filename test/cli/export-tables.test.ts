import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { afterAll, expect, test } from "vitest";
import { readView } from "../../cli/tables/view-definition.ts";
import { rowsOf } from "../../cli/tables/view-rows.ts";
import { phylaxIn } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-tables-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fox = {
  resourceType: "Patient",
  id: "fox",
  active: true,
  gender: "female",
  birthDate: "1987",
  name: [
    { use: "official", family: "F1", given: ["A", "B"] },
    { use: "usual", family: "F2" },
  ],
  contact: [{ name: { family: "C1" } }],
  address: [{ state: "MA", postalCode: "021" }],
};
const owl = { resourceType: "Patient", id: "owl", gender: "male" };
const pulse = {
  resourceType: "Observation",
  id: "o1",
  status: "final",
  subject: { reference: "Patient/fox" },
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  valueQuantity: { value: 71.5, code: "/min" },
};

const viewWith = (members: object) => ({ name: "v", status: "draft", resource: "Patient", ...members });
const id = { column: [{ name: "id", path: "getResourceKey()" }] };

function tableOf(members: object, rows: readonly object[] = [fox, owl]): unknown {
  const view = readView(viewWith(members));
  if (!view.ok) return view.error;
  return rows.flatMap((row) => rowsOf(view.value, row));
}

const features: readonly (readonly [feature: string, view: object, rows: unknown])[] = [
  [
    "column and select",
    { select: [id, { column: [{ name: "g", path: "gender" }] }] },
    [
      ["fox", "female"],
      ["owl", "male"],
    ],
  ],
  [
    "forEach",
    { select: [id, { forEach: "name", column: [{ name: "family", path: "family" }] }] },
    [
      ["fox", "F1"],
      ["fox", "F2"],
    ],
  ],
  [
    "forEachOrNull, with a selection inside that has no row",
    {
      select: [
        id,
        {
          forEachOrNull: "name",
          column: [{ name: "f", path: "family" }],
          select: [{ column: [{ name: "u", path: "use" }] }],
        },
      ],
    },
    [
      ["fox", "F1", "official"],
      ["fox", "F2", "usual"],
      ["owl", null, null],
    ],
  ],
  [
    "unionAll",
    {
      select: [
        id,
        {
          unionAll: [
            { forEach: "name", column: [{ name: "f", path: "family" }] },
            { forEach: "contact", column: [{ name: "f", path: "name.family" }] },
          ],
        },
      ],
    },
    [
      ["fox", "F1"],
      ["fox", "F2"],
      ["fox", "C1"],
    ],
  ],
  ["where", { where: [{ path: "name.exists()" }], select: [id] }, [["fox"]]],
  [
    "constants",
    {
      constant: [{ name: "wanted", valueCode: "usual" }],
      select: [{ forEach: "name.where(use = %wanted)", column: [{ name: "f", path: "family" }] }],
    },
    [["F2"]],
  ],
  [
    "collection",
    { select: [{ column: [{ name: "g", path: "name.given", collection: true }] }] },
    [[["A", "B"]], [[]]],
  ],
  ["types", { select: [{ column: [{ name: "a", path: "active", type: "boolean" }] }] }, [[true], [null]]],
];

test.for(features)("a view has %s", ([, view, rows]) => {
  expect(tableOf(view)).toEqual(rows);
});

test("getReferenceKey is the key of the row that is referred to, and null for another type", () => {
  const column = (type: string) => ({ name: type, path: `subject.getReferenceKey(${type})` });
  const view = { resource: "Observation", select: [{ column: [column("Patient"), column("Group")] }] };
  expect(tableOf(view, [pulse])).toEqual([["fox", null]]);
});

const refused: readonly (readonly [view: object, error: string])[] = [
  [{ select: [{ repeat: ["item"], column: [] }] }, "select.0.repeat: not supported"],
  [{ select: [id], profile: ["x"] }, "profile: not supported"],
  [{ select: [{ column: [{ name: "n", path: "%rowIndex" }] }] }, "%rowIndex: %rowIndex is not a constant"],
  [
    { select: [{ column: [{ name: "n", path: "birthDate.lowBoundary()" }] }] },
    "birthDate.lowBoundary(): the function lowBoundary is not supported",
  ],
  [{ select: [{ column: [{ name: "n", path: "name.(" }] }] }, "name.(: is not FHIRPath"],
  [{ select: [id, id] }, "column id: stands twice"],
  [
    { select: [{ forEach: "name", forEachOrNull: "name" }] },
    "a selection has forEach or forEachOrNull, not both",
  ],
  [
    { select: [{ unionAll: [id, { column: [{ name: "other", path: "id" }] }] }] },
    "unionAll: each branch has the same columns, in one order",
  ],
  [{ resource: "Person2", select: [id] }, "resource: is not a resource type of R4"],
  [
    { select: [{ column: [{ name: "n", path: "gender", type: "words" }] }] },
    "column n: type words is not supported",
  ],
];

test.for(refused)("what is not supported is refused by name: %j", ([view, error]) => {
  expect(tableOf(view)).toBe(error);
});

test("a value that does not fit its column, and several values for one, are faults that quote no value", () => {
  const several = { select: [{ column: [{ name: "f", path: "name.family" }] }] };
  expect(() => tableOf(several)).toThrow(/^view v: a column has several values/u);
  const whole = { select: [{ column: [{ name: "n", path: "name.first()" }] }] };
  expect(() => tableOf(whole)).toThrow("view v: column n: the value is not a primitive value");
});

function write(name: string, rows: readonly object[]): string {
  const path = join(folder, name);
  mkdirSync(path);
  const byType = Map.groupBy(rows, (row) => String(Reflect.get(row, "resourceType")));
  for (const [type, each] of byType)
    writeFileSync(join(path, `${type}.1.ndjson`), each.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return path;
}

test("the starter views make Parquet and CSV with the same rows, and a dictionary of each column", async () => {
  write("export", [fox, owl, pulse]);
  const { code, out, error } = await phylaxIn(
    folder,
    "export",
    "tables",
    "export",
    "tables",
    "--form",
    "safe-harbor",
    "--json",
  );
  expect([code, error]).toEqual([0, ""]);
  expect(JSON.parse(out)).toMatchObject({
    tables: expect.arrayContaining([
      { table: "patients", rows: 2 },
      { table: "observations", rows: 1 },
      { table: "conditions", rows: 0 },
    ]) as unknown,
  });
  const read = (name: string) => {
    const { buffer, byteOffset, byteLength } = readFileSync(join(folder, "tables", name));
    return parquetReadObjects({ file: buffer.slice(byteOffset, byteOffset + byteLength) });
  };
  expect(await read("patients.parquet")).toMatchObject([
    { patient_id: "fox", birth_date: "1987", state: "MA", postal_code: "021", deceased: null },
    { patient_id: "owl", state: null },
  ]);
  expect(await read("observations.parquet")).toMatchObject([
    { patient_id: "fox", value: 71.5, unit: "/min" },
  ]);
  expect(await read("conditions.parquet")).toEqual([]);
  const csv = readFileSync(join(folder, "tables", "patients.csv"), "utf8").split("\r\n");
  expect(csv.slice(0, 2)).toEqual([
    "patient_id,gender,birth_date,deceased,deceased_at,city,state,postal_code",
    "fox,female,1987,,,,MA,021",
  ]);
  const dictionary = readFileSync(join(folder, "tables", "data-dictionary.csv"), "utf8");
  expect(dictionary).toMatch(/^patients,birth_date,text,date,Patient,birthDate,.*,"year: The year stays/mu);
  expect(dictionary).toMatch(
    /^patients,postal_code,text,string,Patient,address\.first\(\) \/ postalCode,.*"zip3: /mu,
  );
  expect(dictionary).toMatch(/^observations,code,.*,coding: /mu);
  expect(dictionary).not.toContain("see its elements");
  for (const name of readdirSync(join(folder, "tables")))
    expect(statSync(join(folder, "tables", name)).mode & 0o77, name).toBe(0);
});

test("a fault leaves no folder, names the line, and quotes nothing of the row", async () => {
  const path = write("broken", [fox]);
  writeFileSync(join(path, "Patient.1.ndjson"), `${JSON.stringify(fox)}\n{"secret-of-fox"\n`);
  const { code, error } = await phylaxIn(folder, "export", "tables", "broken", "none");
  expect([code, error]).toEqual([2, "Patient.1.ndjson: line 2 is not a JSON object\n"]);
  expect(readdirSync(folder).filter((name) => name.startsWith("none"))).toEqual([]);
  expect((await phylaxIn(folder, "export", "tables", "export", "export")).code).toBe(2);
  expect(existsSync(join(folder, "export", "Patient.1.ndjson"))).toBe(true);
});

test("a table of more rows than a row group has each row once, in the order of the file", async () => {
  const rows = Array.from({ length: 25_000 }, (_, at) => ({ ...owl, id: `p${at}` }));
  write("many", rows);
  expect((await phylaxIn(folder, "export", "tables", "many", "many-tables")).code).toBe(0);
  const { buffer, byteOffset, byteLength } = readFileSync(join(folder, "many-tables", "patients.parquet"));
  const file = buffer.slice(byteOffset, byteOffset + byteLength);
  const read = await parquetReadObjects({ file, columns: ["patient_id"] });
  expect(read.map((row) => String(row["patient_id"]))).toEqual(rows.map((row) => row.id));
});
