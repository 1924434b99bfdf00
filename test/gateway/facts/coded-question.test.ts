import { test } from "vitest";
import type { Codes } from "#deid/codes";
import { readInteraction, type Interaction } from "#fhir/interaction";
import { patientsNamed } from "#fhir/patients-named";
import { searchQuery } from "#fhir/search/search";
import { isCoded, type CodedInteraction } from "#deid/asked-of-form";
import { meantBy } from "#gateway/facts/coded-question";
import { err, ok } from "#kernel/result";

const code = (n: number) => n.toString(16).padStart(32, "0");
const rows = new Map([
  [code(1), "Patient/amara"],
  [code(2), "Observation/o-1"],
  [code(3), "Group/amara"],
  [code(4), "Encounter/e-1"],
]);
const nowhere = (n: number) => `${"f".repeat(31)}${n}`;

/** A data set, and its look-ups. */
function asker() {
  const asked: (readonly string[])[] = [];
  let made = 0;
  const codes: Codes = {
    codesOf: () => Promise.reject(new Error("not asked")),
    namesOf: (texts) => {
      asked.push(texts);
      return Promise.resolve(ok(new Map([...rows].filter(([text]) => texts.includes(text)))));
    },
  };
  return { asked, meant: (question: Interaction) => meantBy(coded(question), codes, () => nowhere(made++)) };
}

function coded(question: Interaction): CodedInteraction {
  if (!isCoded(question)) throw new Error(question.kind);
  return question;
}

function read(address: string): Interaction {
  const [path = "", query = ""] = address.split("?");
  const interaction = readInteraction(
    "GET",
    path === "" ? [] : path.split("/"),
    query,
    "https://phylax.example/v1/fhir/main",
  );
  if (!interaction.ok) throw new Error(JSON.stringify(interaction.error));
  return interaction.value;
}

/** The question at the origin in words, with the rows that it names. */
async function meaning(address: string): Promise<string> {
  const { asked, meant } = asker();
  const found = await meant(read(address));
  if (!found.ok) return found.error.reason;
  if (asked.length > 1) throw new Error("a question is looked up once");
  const { value } = found;
  if (value.kind === "read") return `${value.type}/${value.id}`;
  if (value.kind === "everything") {
    const of = [...(value.criteria?.of ?? [])].map(
      ([type, parameters]) => `${type}?${searchQuery({ ...plain, parameters })}`,
    );
    return [value.within, value.id, ...of].join(" ").trim();
  }
  return value.kind === "search" || value.kind === "lastn"
    ? `${value.type}?${decodeURIComponent(searchQuery(value))}`
    : value.kind;
}
const plain = { joins: [], includes: [], sort: [], count: undefined };

test("a code means its row wherever a question names one, and is looked up once", async ({ expect }) => {
  const c = code;
  for (const [asked, meant] of [
    [`Patient/${c(1)}`, "Patient/amara"],
    [`Patient?_id=${c(1)}`, "Patient?_id=amara"],
    [`Patient?_id=Patient/${c(1)}`, "Patient?_id=amara"],
    [`Observation?patient=${c(1)}`, "Observation?patient=Patient/amara"],
    [
      `Observation?patient=Patient/${c(1)},Patient/${c(1)}`,
      "Observation?patient=Patient/amara,Patient/amara",
    ],
    [`Observation?subject=${c(3)}`, "Observation?subject=Group/amara"],
    [`Observation?subject:Patient=${c(1)}&code=8480-6`, "Observation?subject=Patient/amara&code=8480-6"],
    [
      `Observation?patient=https://phylax.example/v1/fhir/main/Patient/${c(1)}`,
      "Observation?patient=Patient/amara",
    ],
    [`Observation?encounter=${c(4)}&_count=5`, "Observation?encounter=Encounter/e-1&_count=5"],
    [`Observation?encounter.patient=${c(1)}`, "Observation?encounter:Encounter.patient=Patient/amara"],
    [`Patient?_has:Observation:patient:_id=${c(2)}`, "Patient?_has:Observation:patient:_id=o-1"],
    [`Patient/${c(1)}/Observation?status=final`, "Observation?status=final&patient=Patient/amara"],
    [`Encounter/${c(4)}/Observation`, "Observation?encounter=Encounter/e-1"],
    [`Patient/${c(1)}/*`, "compartment amara"],
    [`Patient/${c(1)}/$everything`, "operation amara"],
    [
      `?_type=Observation,Condition&patient=${c(1)}`,
      "system  Observation?patient=Patient%2Famara Condition?patient=Patient%2Famara",
    ],
    [`Observation/$lastn?patient=${c(1)}`, "Observation?patient=Patient/amara"],
    ["metadata", "capabilities"],
  ] as const) {
    const parts = (text: string) => text.split(/[?&]/u).sort();
    expect(parts(await meaning(asked)), asked).toEqual(parts(meant));
  }
});

test("what is no code of the data set becomes an id that no row has: an original id, and a code of another type or data set", async ({
  expect,
}) => {
  const n = nowhere;
  for (const [asked, meant] of [
    ["Patient/amara", `Patient/${n(0)}`],
    [`Patient/${code(2)}`, `Patient/${n(0)}`],
    [`Patient/${code(9)}`, `Patient/${n(0)}`],
    ["Patient?_id=amara,ben", `Patient?_id=${n(0)},${n(1)}`],
    ["Observation?patient=amara", `Observation?patient=${n(0)}`],
    ["Observation?subject=Patient/amara", `Observation?subject=${n(0)}`],
    [`Observation?patient=${code(3)}`, `Observation?patient=${n(0)}`],
    ["Patient/amara/Observation", `Observation?patient=${n(0)}`],
    ["Patient/amara/$everything", `operation ${n(0)}`],
    ["Observation?encounter=https://origin.internal/fhir/Encounter/e-1", `Observation?encounter=${n(0)}`],
  ] as const)
    expect(await meaning(asked), asked).toBe(meant);
});

test("a form has no answer to versions, histories, writes and batches", ({ expect }) => {
  for (const address of [`Patient/${code(1)}/_history`, "Patient/_history", `Patient/${code(1)}/_history/1`])
    expect(isCoded(read(address))).toBe(false);
  for (const kind of ["create", "update", "patch", "delete", "validate"] as const)
    expect(isCoded({ kind, type: "Patient", id: code(1) })).toBe(false);
  expect(isCoded({ kind: "batch" })).toBe(false);
});

test("an ended data set refuses a question with a code", async ({ expect }) => {
  const over = err({ reason: "data_set_ended" } as const);
  const codes = { codesOf: () => Promise.resolve(over), namesOf: () => Promise.resolve(over) };
  expect(await meantBy(coded(read(`Patient/${code(1)}`)), codes, () => nowhere(0))).toEqual(over);
});

test("the record names the patient behind a code, and the address and links keep the code", async ({
  expect,
}) => {
  const { meant } = asker();
  const search = await meant(read(`Patient/${code(1)}/Observation?encounter.patient=${code(1)}`));
  if (!search.ok || search.value.kind !== "search") throw new Error("not a search");
  expect(patientsNamed(search.value).map(({ patient }) => patient)).toEqual(["amara", "amara"]);
  expect(search.value.compartment).toEqual({ patient: "amara", by: search.value.parameters[0] });
  expect(search.value.asked?.compartment?.patient).toBe(code(1));
  expect(JSON.stringify(search.value.asked)).not.toContain("amara");
  const everything = await meant(read(`Patient/${code(1)}/$everything`));
  expect(everything).toMatchObject({ value: { id: "amara", asked: code(1) } });
});
