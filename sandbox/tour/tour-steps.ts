import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parseReceipt } from "#ledger/read-receipt";
import { x5tS256 } from "../certificates.ts";
import { get, phylax, type TourReply } from "./tour-ask.ts";
import type { TourClient, TourDev } from "./tour-stack.ts";
import { heldRow, here, must, type Resource, type Step, type TourFacts } from "./tour-step.ts";

interface SeenInTour extends TourFacts {
  payerToken?: string;
  toPayer?: Resource;
  receipt?: string;
}

/** The tour, in order. */
export const steps: readonly Step<SeenInTour>[] = [
  { title: "The health plan proves who it is and gets a token for its purpose", show: token },
  { title: "It reads the patient, and sees what paying a claim needs", show: cutRead },
  {
    title: "A telehealth service reads the same patient in order to treat, and sees more",
    show: otherPurpose,
  },
  { title: "A study reads patients without the identifiers of 45 CFR 164.514", show: deidentified },
  { title: "A stolen token is worth nothing, and a lapsed agreement opens nothing", show: refusals },
  { title: "The plan's answer came with a receipt: the disclosure is on record", show: receipt },
  { title: "Anyone with the public keys can check the whole record, and that receipt in it", show: verified },
  { title: "The record can be exported, and checked on a machine that is not ours", show: exported },
  { title: "A copy in which one bit was changed is caught, by the name of the object", show: tampered },
];

async function token(seen: SeenInTour) {
  const { dev } = seen;
  const { code, said } = await phylax("token", "payer", "--state", dirname(seen.devFile));
  must(code === 0, `no token: ${said}`);
  const claims: Resource = JSON.parse(Buffer.from(said.split(".")[1] ?? "", "base64url").toString());
  const bound = (claims["cnf"] as Resource | undefined)?.["x5t#S256"]; // RFC 8705 §3.1: an object
  must(
    bound === x5tS256(readFileSync(clientOf(dev, "payer").cert, "utf8")),
    "the token is not bound to the plan's certificate",
  );
  must(isDeepStrictEqual(claims["purpose_of_use"], ["HPAYMT"]), "the token is not for payment");
  seen.payerToken = said;
  return [
    tokenCommand(seen, "payer"),
    "Good for five minutes, for payment (HPAYMT), and only over the plan's own certificate.",
  ];
}

async function cutRead(seen: SeenInTour) {
  const { dev, patient, payerToken } = seen;
  const reply = await get(dev.ca, clientOf(dev, "payer"), `${dev.fhir}/Patient/${patient}`, payerToken);
  const shown = opened(reply);
  const held = await heldRow(seen, `Patient/${patient}`);
  const names = elements(held);
  const hidden = names.filter((name) => !(name in shown));
  const trimmed = names.filter((name) => name in shown && !isDeepStrictEqual(shown[name], held[name]));
  must(JSON.stringify(shown["meta"]).includes("SUBSETTED"), "the answer does not say that it was cut");
  must(hidden.length > 0, "nothing was cut");
  must(
    !("telecom" in shown) && !reply.text.includes("us-ssn"),
    "the plan sees a telephone or a social security number",
  );
  seen.toPayer = shown;
  seen.receipt = String(reply.headers["phylax-receipt"]);
  return [
    `GET ${dev.fhir}/Patient/${patient}`,
    `shown:    ${elements(shown).join(", ")}`,
    `in part:  ${trimmed.join(", ") || "nothing"}`,
    `withheld: ${hidden.join(", ")}`,
  ];
}

async function otherPurpose(seen: SeenInTour) {
  const { dev, patient, toPayer = {} } = seen;
  const { code, said } = await phylax("token", "telehealth", "--state", dirname(seen.devFile));
  must(code === 0, `no token: ${said}`);
  const shown = opened(
    await get(dev.ca, clientOf(dev, "telehealth"), `${dev.fhir}/Patient/${patient}`, said),
  );
  const more = elements(shown).filter((name) => !(name in toPayer));
  must(more.length > 0, "treatment sees no more than payment");
  must(
    elements(toPayer).every((name) => name in shown),
    "treatment lacks what payment sees",
  );
  return [tokenCommand(seen, "telehealth"), `shown as well: ${more.join(", ")}`];
}

async function deidentified(seen: SeenInTour) {
  const { dev, patient } = seen;
  const { code, said } = await phylax("token", "study", "--state", dirname(seen.devFile));
  must(code === 0, `no token: ${said}`);
  const ask = (path: string) => get(dev.ca, clientOf(dev, "study"), `${dev.fhir}/${path}`, said);
  must((await ask(`Patient/${patient}`)).status === 404, "the study reads a patient by an original id");
  const held = await heldRow(seen, `Patient/${patient}`);
  const list = await ask("Patient");
  const { entry = [] } = opened(list) as { entry?: readonly { readonly resource: Resource }[] };
  // Its reader cannot know which of them the patient is. The tour looks for the year of birth.
  const born = String(held["birthDate"]).slice(0, 4);
  const rows = entry.map(({ resource }) => resource);
  const shown = rows.find((row) => row["birthDate"] === born) ?? rows[0] ?? {};
  must(/^[0-9a-f]{32}$/u.test(String(shown["id"])), "the patient has no random code");
  must(!/name|telecom|identifier/u.test(elements(shown).join(" ")), "the study sees who the patient is");
  must(!/\d{4}-\d\d/u.test(list.text), "the study sees a date of the patient");
  return [
    tokenCommand(seen, "study"),
    `GET ${dev.fhir}/Patient/${patient}: 404, for the study knows no original id`,
    `GET ${dev.fhir}/Patient`,
    ...["id", "birthDate", "address"].flatMap((name) => [
      `before: ${name} ${JSON.stringify(held[name])}`,
      `after:  ${name} ${JSON.stringify(shown[name])}`,
    ]),
    `shown:  ${elements(shown).join(", ")}`,
  ];
}

async function refusals(seen: SeenInTour) {
  const { dev, patient, payerToken } = seen;
  const stolen = await get(dev.ca, clientOf(dev, "telehealth"), `${dev.fhir}/Patient/${patient}`, payerToken);
  must(stolen.status === 401, `the plan's token with another's certificate: ${stolen.status}`);
  must(!stolen.text.includes(patient), "the refusal says something about the patient");
  must(parseReceipt(String(stolen.headers["phylax-receipt"])).ok, "the refusal is not on record");
  const lapsed = await phylax("token", "lapsed", "--state", dirname(seen.devFile));
  must(
    lapsed.code === 1 && lapsed.said.includes("unauthorized_client"),
    "a client without an agreement in force got a token",
  );
  return [
    "The plan's token over the telehealth service's connection: 401, and the attempt is on record.",
    tokenCommand(seen, "lapsed"),
    lapsed.said,
  ];
}

async function receipt({ receipt: text = "" }: SeenInTour) {
  const read = parseReceipt(text);
  must(read.ok, "there is no receipt");
  return [
    `Phylax-Receipt: ${text}`,
    `Record ${read.value.index} of log ${read.value.log}, written before the first byte left.`,
  ];
}

async function verified({ devFile, receipt: text = "" }: SeenInTour) {
  const { code, said } = await phylax("ledger", "verify", "--keys", devFile, "--receipt", text);
  must(code === 0, said);
  must(said.includes("has the receipt's leaf"), "the receipt was not looked for");
  return [`$ npx --no phylax ledger verify --keys ${here(devFile)} --receipt '${text}'`, ...said.split("\n")];
}

async function exported({ devFile, folder, receipt: text = "" }: SeenInTour) {
  const copy = join(folder, "copy");
  const taken = await phylax("ledger", "export", copy, "--keys", devFile);
  must(taken.code === 0, taken.said);
  const { code, said } = await phylax("ledger", "verify", copy, "--keys", devFile, "--receipt", text);
  must(code === 0, said);
  must(said.includes("has the receipt's leaf"), "the receipt is not in the copy");
  return [
    `$ npx --no phylax ledger export copy --keys ${here(devFile)}`,
    `$ npx --no phylax ledger verify copy --keys ${here(devFile)} --receipt '${text}'`,
    "good, the receipt's record included",
  ];
}

async function tampered({ devFile, folder, receipt: text = "" }: SeenInTour) {
  const read = parseReceipt(text);
  must(read.ok, "there is no receipt");
  const { log } = read.value;
  const files = readdirSync(join(folder, "copy", log, "tile", "entries"), {
    recursive: true,
    withFileTypes: true,
  });
  const bundle = files.find((one) => one.isFile());
  must(bundle !== undefined, "the copy holds no records");
  const path = join(bundle.parentPath, bundle.name);
  const bytes = readFileSync(path);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  const { code, said } = await phylax("ledger", "verify", join(folder, "copy"), "--keys", devFile);
  const wrong = said.split("\n").filter((line) => line.includes("WRONG"));
  must(code === 1 && wrong.length === 1, `the change was not found: ${said}`);
  const object = relative(join(folder, "copy", log), path).replaceAll(sep, "/");
  must(
    wrong[0]?.startsWith(`${log}: WRONG: ${object}`) === true,
    `the changed object was not named: ${said}`,
  );
  return [
    `one bit of ${log}/${object} turned`,
    `$ npx --no phylax ledger verify copy --keys ${here(devFile)}`,
    ...wrong,
  ];
}

function tokenCommand({ devFile }: SeenInTour, client: string): string {
  const state = here(dirname(devFile));
  return `$ npx --no phylax token ${client}${state === ".phylax" ? "" : ` --state ${state}`}`;
}

function clientOf(dev: TourDev, id: string): TourClient {
  const client = dev.clients.find((one) => one.id === id);
  must(client !== undefined, `there is no client ${id}`);
  return client;
}

function opened({ status, text }: TourReply): Resource {
  must(status === 200, `answered ${status}: ${text}`);
  const resource: Resource = JSON.parse(text);
  return resource;
}

/** The elements of a resource that disclose facts about the patient. */
const elements = (resource: Resource) =>
  Object.keys(resource).filter((name) => name !== "resourceType" && name !== "meta");
