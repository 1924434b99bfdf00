import { createReadStream, existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { phylaxWith } from "./tour-ask.ts";
import { heldRow, here, must, type Resource, type Step, type TourFacts } from "./tour-step.ts";

interface SeenInStudy extends TourFacts {
  /** The instant before the export: the accounting is read from there. */
  from?: string;
  rows?: Readonly<Record<string, number>>;
}

/** The tour of a study under a data use agreement, in order. */
export const researchSteps: readonly Step<SeenInStudy>[] = [
  {
    title: "A study has a data use agreement in force, and the hash of its document is on record",
    show: contract,
  },
  { title: "It starts an export of five types, in a request that names no patient", show: started },
  { title: "The files arrive: rows with random codes, whole or not at all", show: downloaded },
  { title: "A checker that shares no code with the gateway finds no identifier in them", show: checked },
  { title: "The files become tables, with a dictionary of their columns", show: tables },
  {
    title: "The accounting of one patient has what left for the study, each line with its proof",
    show: accounted,
  },
  { title: "The whole record is verified, and has those proofs in its past", show: verified },
  { title: "The study has its files: the export ends at the server", show: ended },
];

const study = "limited-study";
const form = ["--form", "limited-data-set"];
const types = ["Patient", "Encounter", "Condition", "Observation", "MedicationRequest"];
const stateOf = ({ devFile }: TourFacts) => ["--state", dirname(devFile)];
const exportOf = ({ folder }: TourFacts) => join(folder, "export");
const fileOf = (seen: TourFacts, type: string) => join(exportOf(seen), `${type}.1.ndjson`);

async function contract(seen: SeenInStudy) {
  const { lines, said } = await ran(seen, 0, ["agreement", "show", `${study}-agreement`, ...stateOf(seen)]);
  must(said.includes("in force") || said.includes("ends soon"), "no agreement is in force");
  must(said.includes("kind: data-use"), "the agreement is no data use agreement");
  must(said.includes("main/HRESCH"), "no grant for research rests on the agreement");
  return lines;
}

async function started(seen: SeenInStudy) {
  seen.from = new Date().toISOString();
  const words = ["--type", types.join(","), ...stateOf(seen)];
  const start = await ran(seen, 0, ["export", "start", study, exportOf(seen), ...words]);
  const state = await ran(seen, 0, ["export", "status", exportOf(seen), ...stateOf(seen)]);
  must(state.said.includes(`ready: ${types.length} files`), `the files are not ready: ${state.said}`);
  return [...start.lines, ...state.lines];
}

async function downloaded(seen: SeenInStudy) {
  const { lines } = await ran(seen, 0, ["export", "download", exportOf(seen), ...stateOf(seen)]);
  const rows: Record<string, number> = {};
  let shown: Resource = {};
  for (const type of types) {
    rows[type] = 0;
    for await (const line of createInterface({ input: createReadStream(fileOf(seen, type)) })) {
      const row: Resource = JSON.parse(line);
      must(row["resourceType"] === type, `a row in the file of ${type} is no ${type}`);
      must(/^[0-9a-f]{32}$/u.test(String(row["id"])), "a row has no random code");
      must(!("name" in row || "telecom" in row || "identifier" in row), `a ${type} says who the patient is`);
      must(!line.includes(`Patient/${seen.patient}"`), "a row names a patient by the original id");
      rows[type] += 1;
      if (type === "Patient") shown = row;
    }
  }
  must((rows["Patient"] ?? 0) > 0, "the data set has no patient");
  seen.rows = rows;
  return [...lines, `a row: ${JSON.stringify({ ...shown, meta: undefined }).slice(0, 300)}`];
}

async function checked(seen: SeenInStudy) {
  const lines: string[] = [];
  for (const type of types) {
    const check = await ran(seen, 0, ["deid", "check", fileOf(seen, type), ...form]);
    const [last = ""] = check.lines.slice(-1);
    must(last.includes("no identifier found"), `${type}: ${last}`);
    const group = check.lines.find((line) => line.startsWith("k="));
    lines.push(check.lines[0] ?? "");
    if (group !== undefined) lines.push(`${group} (the smallest group of like patients)`);
    lines.push(last);
  }
  const original = join(seen.folder, "original.ndjson");
  writeFileSync(original, `${JSON.stringify(await heldRow(seen, `Patient/${seen.patient}`))}\n`, {
    mode: 0o600,
  });
  const { said } = await ran(seen, 1, ["deid", "check", original, ...form]);
  const found = said.match(/^resource 1: /gmu)?.length ?? 0;
  must(found > 0, "the checker finds nothing in an original row");
  return [...lines, `the same checker on the original row of one patient: ${found} identifiers`];
}

async function tables(seen: SeenInStudy) {
  const into = join(seen.folder, "tables");
  const made = await ran(seen, 0, ["export", "tables", exportOf(seen), into, ...form]);
  must(
    made.said.includes(`patients: ${seen.rows?.["Patient"]} rows`),
    "the table lacks patients of the files",
  );
  must(existsSync(join(into, "patients.parquet")), "there is no Parquet file");
  const dictionary = readFileSync(join(into, "data-dictionary.csv"), "utf8").split("\n");
  const birth = dictionary.find((line) => line.startsWith("patients,birth_date")) ?? "";
  must(birth.includes("164.514"), "the dictionary does not say what the form does");
  return [...made.lines, `data-dictionary.csv: ${birth}`];
}

async function accounted(seen: SeenInStudy) {
  const { patient, from = "" } = seen;
  const query = `?all=true&recipient=${study}&start=${from}`;
  const officer = ["get", "privacy-officer", `Patient/${patient}/$disclosures${query}`, ...stateOf(seen)];
  const asked = await ran(seen, 0, officer);
  writeFileSync(accountingOf(seen), asked.said, { mode: 0o600 });
  must(asked.said.includes("164.528(a)(1)(viii)"), "no line says that it is of a limited data set");
  must(asked.said.includes(`${study}-agreement`), "no line names the agreement");
  const check = await ran(seen, 0, proofOf(seen));
  const ofPatient = check.lines.filter((line) => line.endsWith(`to ${study}, for HRESCH, Patient 1`));
  must(ofPatient.length === 1, `the patient's row is accounted for ${ofPatient.length} times, not once`);
  return [
    `${asked.lines[0]} > accounting.json`,
    "each line: required by law: no, 164.528(a)(1)(viii), as part of a limited data set",
    ...check.lines.filter((line) => !line.includes("in its past")),
  ];
}

const accountingOf = ({ folder }: TourFacts) => join(folder, "accounting.json");
const proofOf = (seen: TourFacts) => [
  "accounting",
  "check",
  accountingOf(seen),
  "--keys",
  seen.devFile,
  "--ledger",
  seen.dev.ledger,
];

async function verified(seen: SeenInStudy) {
  const whole = await ran(seen, 0, ["ledger", "verify", "--keys", seen.devFile]);
  const { said } = await ran(seen, 0, proofOf(seen));
  must(said.includes("in its past"), "the ledger does not have the accounting's proofs in its past");
  return [...whole.lines, ...said.split("\n").filter((line) => line.includes("in its past"))];
}

async function ended(seen: SeenInStudy) {
  const cancel = await ran(seen, 0, ["export", "cancel", exportOf(seen), ...stateOf(seen)]);
  const after = await ran(seen, 1, ["export", "status", exportOf(seen), ...stateOf(seen)]);
  return [...cancel.lines, ...after.lines];
}

/** Runs a command that ends with `code`. Answers what it said, and the lines that show it, the command first. */
async function ran(seen: TourFacts, code: number, args: readonly string[]) {
  const ended = await phylaxWith(args);
  must(ended.code === code, ended.said);
  const state = dirname(seen.devFile);
  const isDefault = here(state) === ".phylax"; // the command looks there without --state
  const typed = args
    .filter((arg, i) => !isDefault || !(arg === "--state" || args[i - 1] === "--state"))
    .map((arg) => arg.replace(`${seen.folder}/`, "./"))
    .map((arg) => (arg === state || arg === seen.devFile ? here(arg) : arg))
    .map((arg) => (/[$&?]/u.test(arg) ? `'${arg}'` : arg));
  const said = ended.said.replaceAll(`${seen.folder}/`, "./");
  return { said: ended.said, lines: [`$ npx --no phylax ${typed.join(" ")}`, ...said.split("\n")] };
}
