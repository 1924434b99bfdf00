import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { readInteraction } from "#fhir/interaction";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { parsePolicyDocument } from "#policy/document";
import { evaluateAccounting } from "#policy/evaluate-accounting";
import { explain } from "#authoring/explain";
import type { PolicyRule } from "#policy/schema";

function starter(name: string) {
  const file = join(import.meta.dirname, "../../policies", `${name}.json`);
  const document = parsePolicyDocument(JSON.parse(readFileSync(file, "utf8")));
  if (!document.ok) throw new Error(document.error.problem);
  return { document: document.value, policy: compilePolicy(document.value, name) };
}

function accessOf(scope: string) {
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error("a test's own mistake");
  return { scopes: scopes.value, patient: "1", usersPatients: new Set(["1"]) };
}

/** The reader of the accounting, or the reason of the refusal. */
function decided(name: string, purpose: string, scope: string): string {
  const granted = evaluateAccounting(starter(name).policy, accessOf(scope), { purpose, asked: { id: "1" } });
  return granted.ok ? granted.value.reader : granted.error.reason;
}

test("it is told to the individual by patient scopes, and to an officer by system scopes", ({ expect }) => {
  expect(decided("patrqt", "PATRQT", "patient/*.rs")).toBe("individual");
  expect(decided("patrqt", "PATRQT", "patient/Patient.r patient/AuditEvent.r")).toBe("individual");
  expect(decided("privacy-office", "HOPERAT", "system/*.rs")).toBe("officer");
  expect(decided("privacy-office", "HCOMPL", "system/*.rs"), "compliance is an operation").toBe("officer");
});

test("only the right scope context counts, and the scopes must cover both types", ({ expect }) => {
  for (const scope of [
    "system/*.rs",
    "user/*.rs",
    "patient/Patient.r",
    "patient/AuditEvent.r",
    "patient/*.s",
    "patient/AuditEvent.r user/Patient.r",
  ])
    expect(decided("patrqt", "PATRQT", scope), scope).toBe("scope_insufficient");
  for (const scope of [
    "patient/*.rs",
    "user/*.rs",
    "system/Patient.r",
    "system/AuditEvent.r",
    "user/AuditEvent.r system/Patient.r",
  ])
    expect(decided("privacy-office", "HOPERAT", scope), scope).toBe("scope_insufficient");
});

test("a policy that does not list the operation, and a purpose that is neither, permit none", ({
  expect,
}) => {
  for (const name of ["treat", "hpaymt", "hoperat", "pubhlth", "hresch"])
    expect(decided(name, "HOPERAT", "system/*.rs patient/*.rs"), name).toBe("operation_not_granted");
  for (const purpose of [
    "TREAT",
    "HPAYMT",
    "PUBHLTH",
    "HRESCH",
    "FAMRQT",
    "PWATRNY",
    "HMARKT",
    "constructor",
  ])
    expect(decided("privacy-office", purpose, "system/*.rs patient/*.rs"), purpose).toBe(
      "operation_not_granted",
    );
});

test("the patient of an accounting is decided without the patient's row", ({ expect }) => {
  const granted = (name: string, purpose: string, scope: string) => {
    const grant = evaluateAccounting(starter(name).policy, accessOf(scope), { purpose, asked: { id: "2" } });
    if (!grant.ok) throw new Error(grant.error.reason);
    return grant.value;
  };
  const individual = granted("patrqt", "PATRQT", "patient/*.rs");
  expect([individual.reaches("1"), individual.reaches("2"), individual.needsRow]).toEqual([
    true,
    false,
    false,
  ]);
  const officer = granted("privacy-office", "HOPERAT", "system/*.rs");
  expect([officer.reaches("1"), officer.reaches("2"), officer.needsRow]).toEqual([true, true, false]);
});

test("an officer with a policy for certain patients needs the row, but labels alone take no accounting away", ({
  expect,
}) => {
  const { document } = starter("privacy-office");
  const needsRow = (where: PolicyRule["where"]) => {
    const policy = compilePolicy(
      { ...document, rules: document.rules.map((rule) => Object.assign({}, rule, { where })) },
      "some",
    );
    const grant = evaluateAccounting(policy, accessOf("system/*.rs"), {
      purpose: "HOPERAT",
      asked: { id: "1" },
    });
    return grant.ok && grant.value.needsRow;
  };
  const label = {
    path: "meta.security",
    notIn: ["http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R"],
  };
  const married = { path: "maritalStatus", in: ["http://terminology.hl7.org/CodeSystem/v3-MaritalStatus|M"] };
  expect([needsRow(undefined), needsRow([label]), needsRow([married]), needsRow([label, married])]).toEqual([
    false,
    false,
    true,
    true,
  ]);
});

test("phylax policy explain gives the same verdict", ({ expect }) => {
  const asked = readInteraction("GET", ["Patient", "1", "$disclosures"], "");
  if (!asked.ok) throw new Error(asked.error.reason);
  const refused = (name: string, scope: string) =>
    explain({ ...starter(name), access: accessOf(scope) }, asked.value).refused;
  expect(refused("privacy-office", "system/*.rs")).toBeUndefined();
  expect(refused("patrqt", "patient/*.rs")).toBeUndefined();
  expect(refused("patrqt", "system/*.rs")).toBe("scope_insufficient");
  expect(refused("treat", "system/*.rs")).toBe("operation_not_granted");
});
