import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findIdentifiers } from "#deid-check/check";
import { readLeftJson } from "#deid-check/read-json";
import { deidentify } from "#deid/deidentify";
import { isObject, readJson } from "#fhir/json/json";

const folder = join(import.meta.dirname, "../../../shared/data/deid/ms-anonymizer");

/** The originals whose pair has another name than theirs. */
const originals: Readonly<Record<string, string>> = {
  "bundle-redact-all-target.json": "bundle-basic.json",
  "R4OnlyResource/Account-R4-target.json": "R4OnlyResource/Account-R4.json",
};
const unpaired = ["contained-in-bundle-redact-all-target.json"];

/** The leaves of a JSON value: its full path without places in lists, and the value. A resource inside adds its type. */
function leavesOf(value: unknown, path = ""): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => leavesOf(item, path));
  if (typeof value !== "object" || value === null) return [`${path} ${JSON.stringify(value)}`];
  const type: unknown = Reflect.get(value, "resourceType");
  const here = typeof type === "string" ? [path, type].filter((part) => part !== "").join(".") : path;
  return Object.entries(value).flatMap(([name, each]) => leavesOf(each, `${here}.${name}`));
}

/** The paths of leaves that the first list has more often than the second. */
function pathsOnlyIn(some: readonly string[], others: readonly string[]): readonly string[] {
  const left = new Map(
    Array.from(
      Map.groupBy(others, (leaf) => leaf),
      ([leaf, all]) => [leaf, all.length],
    ),
  );
  return some.flatMap((leaf) => {
    const count = left.get(leaf) ?? 0;
    left.set(leaf, count - 1);
    return count > 0 ? [] : [leaf.slice(0, leaf.indexOf(" "))];
  });
}

describe.skipIf(!existsSync(folder))(
  "the pairs of a different anonymizer (skipped without the shared data)",
  () => {
    // vitest reads the body of a skipped group too
    const names = existsSync(folder) ? readdirSync(folder, { recursive: true }).map(String) : [];
    const files = names.filter((name) => name.endsWith(".json") && !name.startsWith("_"));
    const textAt = (file: string) => readFileSync(join(folder, file), "utf8").replace(/^\uFEFF/u, "");
    const targets = files.filter((file) => file.endsWith("-target.json"));
    const originalOf = (target: string) => originals[target] ?? target.replace("-target", "");

    function ourForm(file: string): string {
      const read = readJson(new TextEncoder().encode(textAt(file)));
      if (!read.ok || !isObject(read.value)) throw new Error(file);
      const context = { form: "safe-harbor", year: 2026, base: "urn:none", codeOf: () => code } as const;
      return JSON.stringify(deidentify(read.value, context) ?? {});
    }
    const found = (text: string) => {
      const value = readLeftJson(text);
      if (value === undefined) throw new Error("no JSON");
      return findIdentifiers(value, "safe-harbor", 2026);
    };

    test("each original has its pair, but one of theirs has no original", () => {
      expect(targets.filter((file) => !files.includes(originalOf(file)))).toEqual(unpaired);
      expect(targets.length).toBe(14);
    });

    test("our form of each original has no identifier", () => {
      for (const file of files.filter((file) => !targets.includes(file)))
        expect(found(ourForm(file)), file).toEqual([]);
    });

    test("each identifier that the checker finds in their form has a paragraph in the table", () => {
      const paired = targets.filter((file) => !unpaired.includes(file));
      for (const { path } of paired.flatMap((file) => found(textAt(file)))) {
        const leaf = path.endsWith(".extension") ? `${path}.url` : path;
        expect(paragraphs.get(`theirs ${leaf}`), path).toMatch(/^\([A-R]\)/u);
      }
    });

    test("each difference between their form and ours has one paragraph, and no paragraph is without a use", () => {
      const differences = new Set<string>();
      for (const target of targets.filter((file) => !unpaired.includes(file))) {
        const [ours, theirs] = [ourForm(originalOf(target)), textAt(target)].map((text) =>
          leavesOf(JSON.parse(text)),
        );
        for (const path of pathsOnlyIn(ours ?? [], theirs ?? [])) differences.add(`ours ${path}`);
        for (const path of pathsOnlyIn(theirs ?? [], ours ?? [])) differences.add(`theirs ${path}`);
      }
      expect([...differences].toSorted()).toEqual([...paragraphs.keys()].toSorted());
      expect([...paragraphs.values()].filter((each) => !/^(?:\([A-R]\)|none)$/u.test(each))).toEqual([]);
    });
  },
);

const code = "abcdefghijklmnopqrstuvwxyz";

/** What their form and ours have apart: the side, the paragraph of 45 CFR 164.514(b)(2)(i), the reason, and the paths. */
const table = `
ours: (R): a random code, or the place of a contained resource: 164.514(c)
  Account.coverage.coverage.reference Account.id Account.owner.reference Account.subject.reference
  Bundle.entry.resource.Observation.id Bundle.entry.resource.Observation.subject.reference
  Bundle.entry.resource.Patient.id Bundle.id Condition.asserter.reference Condition.contained.Patient.id
  Condition.contained.Practitioner.id Contract.id OrganizationAffiliation.endpoint.reference
  OrganizationAffiliation.healthcareService.reference OrganizationAffiliation.id
  OrganizationAffiliation.location.reference OrganizationAffiliation.network.reference
  OrganizationAffiliation.organization.reference
  OrganizationAffiliation.participatingOrganization.reference Patient.id
  Patient.managingOrganization.reference
theirs: (R): an id that stays, or its hash, which is derived from the person: 164.514(c)
  Account.coverage.coverage.reference Account.id Account.owner.reference Account.subject.reference
  Bundle.entry.resource.Observation.id Bundle.entry.resource.Observation.subject.reference
  Bundle.entry.resource.Patient.id Bundle.id Condition.asserter.reference Condition.contained.Patient.id
  Condition.contained.Practitioner.id Contract.id OrganizationAffiliation.endpoint.reference
  OrganizationAffiliation.healthcareService.reference OrganizationAffiliation.id
  OrganizationAffiliation.location.reference OrganizationAffiliation.network.reference
  OrganizationAffiliation.organization.reference
  OrganizationAffiliation.participatingOrganization.reference Patient.id
  Patient.managingOrganization.reference
ours: (C): the year of a date
  Account.servicePeriod.end Account.servicePeriod.start Contract.term.asset.period.start
  OrganizationAffiliation.period.end OrganizationAffiliation.period.start Patient.address.period.start
  Patient.birthDate Patient.contact.address.period.start
theirs: (C): a day, shifted or as it was
  Account.servicePeriod.end Account.servicePeriod.start Bundle.entry.request.ifModifiedSince
  Bundle.meta.lastUpdated Condition.contained.Patient.name.period.end
  Condition.contained.Patient.name.period.start Contract.term.asset.period.start
  OrganizationAffiliation.period.end OrganizationAffiliation.period.start
  Patient._birthDate.extension.valueDateTime Patient.address.period.start Patient.birthDate
  Patient.contact.address.period.start Patient.identifier.period.start Patient.name.period.end
  Patient.name.period.start
theirs: (A): a name, whole, substituted or in part: any name may be a real name
  Bundle.entry.resource.Patient.name.use Condition.contained.Patient.name.family
  Condition.contained.Patient.name.given Patient.contact.name.family Patient.contact.name.given
  Patient.name.family Patient.name.given Patient.name.use
ours: none: the individual's identifiers alone are out: a provider's name stays
  Condition.contained.Practitioner.name.family Condition.contained.Practitioner.name.given
theirs: (B): an address that a rule of theirs keeps; TestState is no State
  Patient.address.city Patient.address.district Patient.address.line Patient.address.postalCode
  Patient.address.text Patient.contact.address.city Patient.contact.address.district
  Patient.contact.address.line Patient.contact.address.postalCode
theirs: (R): a State's text that names no State
  Patient.address.state Patient.contact.address.state
ours: none: a code of R4's own list tells no place
  Patient.address.type Patient.address.use Patient.contact.address.type Patient.contact.address.use
theirs: (D): a phone, and what it is for
  Patient.contact.telecom.system Patient.contact.telecom.value Patient.telecom.rank
  Patient.telecom.system Patient.telecom.use Patient.telecom.value
theirs: (C): the year in which a phone ended, beside no phone
  Patient.telecom.period.end
theirs: (F): an email, and what it is for
  OrganizationAffiliation.telecom.system OrganizationAffiliation.telecom.use
  OrganizationAffiliation.telecom.value
theirs: (H): a medical record number, its kind, and who gave it
  Patient.identifier.assigner.display Patient.identifier.type.coding.code
  Patient.identifier.type.coding.system Patient.identifier.use Patient.identifier.value
theirs: (N): the URI of who gives a number, of no public list
  Account.identifier.system Contract.identifier.system OrganizationAffiliation.identifier.system
  Patient.identifier.system
theirs: (L): the system of a vehicle's number
  Contract.term.asset.valuedItem.identifier.system
theirs: (R): a number of an affiliation, which R4 cannot tell from an employer's
  OrganizationAffiliation.identifier.value
theirs: (R): a text that people write
  Bundle.entry.resource.Observation.code.coding.display Bundle.meta.tag.display Patient.text.div
  Patient.text.status
theirs: (R): an extension that no table names
  Patient._birthDate.extension.url Patient.contact.name._family.extension.url
  Patient.contact.name._family.extension.valueString
theirs: (N): the URL of an entry's request names a row
  Bundle.entry.request.url
theirs: (R): the method and the version of an entry's request
  Bundle.entry.request.ifNoneMatch Bundle.entry.request.method
theirs: (C): a number without a unit may be an age
  Contract.term.asset.valuedItem.quantity.value
theirs: (N): a system without its code, of no public list
  Contract.term.asset.type.coding.system
theirs: (R): marks of that tool in texts of its own; our answers say SUBSETTED
  Account.meta.security.code Account.meta.security.display Account.meta.security.system
  Bundle.entry.resource.Observation.meta.security.code
  Bundle.entry.resource.Observation.meta.security.display
  Bundle.entry.resource.Observation.meta.security.system Bundle.entry.resource.Patient.meta.security.code
  Bundle.entry.resource.Patient.meta.security.display Bundle.entry.resource.Patient.meta.security.system
  Bundle.meta.security.code Bundle.meta.security.display Bundle.meta.security.system
  Condition.meta.security.code Condition.meta.security.display Condition.meta.security.system
  Contract.meta.security.code Contract.meta.security.display Contract.meta.security.system
  OrganizationAffiliation.meta.security.code OrganizationAffiliation.meta.security.display
  OrganizationAffiliation.meta.security.system Patient.meta.security.code Patient.meta.security.display
  Patient.meta.security.system
ours: none: a code of a public list tells no identifier
  Account.type.coding.code Bundle.entry.resource.Observation.code.coding.code
  Bundle.entry.resource.Observation.code.coding.system Bundle.entry.resource.Observation.status
  Bundle.type OrganizationAffiliation.code.coding.code OrganizationAffiliation.specialty.coding.code
ours: none: R4 requires the element, so that it says masked
  Condition.subject.extension.url Condition.subject.extension.valueCode Contract.term.offer.extension.url
  Contract.term.offer.extension.valueCode
theirs: none: a resource of which nothing but its type is left
  Bundle.entry.resource.Patient.resourceType Condition.contained.Patient.resourceType
`;
const paragraphs = new Map(
  table
    .trim()
    .split(/\n(?! )/u)
    .flatMap((row) => {
      const [side, paragraph = "", , paths = ""] =
        /^(\w+): ([^:]+): (.+)\n([^]+)$/u.exec(row)?.slice(1) ?? [];
      return paths
        .trim()
        .split(/\s+/u)
        .map((path) => [`${side} ${path}`, paragraph] as const);
    }),
);
