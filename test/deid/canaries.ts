import { jsonNumber, type Json, type JsonObject } from "#fhir/json/json";
import { isPrimitive } from "#fhir/r4/elements";
import { typeShapeOf, type Slot } from "#fhir/validate/shape";
import { inLane } from "../support/lane.ts";

/** A resource with a canary in each element, in each form of a choice and in each extension. */
export interface CanaryResource {
  readonly resource: JsonObject;
  /** The path of each canary by its mark: `canary000017` → `Patient.contact.name.family`. */
  readonly pathOf: ReadonlyMap<string, string>;
}

const depthMax = inLane({ fast: 3, slow: 4, long: 6 });

export function canaryResource(type: string): CanaryResource {
  const planted = new Planted();
  const members = planted.members(type, type, 0, [type]);
  const contained = { resourceType: "Patient", ...planted.members("Patient", "contained", 2, []), id: "p1" };
  return {
    resource: { resourceType: type, ...members, contained: [contained] },
    pathOf: planted.pathOf,
  };
}

const dated = { date: "1987-06-05", dateTime: "1987-06-05T04:03:02Z", instant: "1987-06-05T04:03:02.123Z" };
const numbers: ReadonlySet<string> = new Set(["decimal", "integer", "positiveInt", "unsignedInt"]);

class Planted {
  readonly pathOf = new Map<string, string>();

  members(type: string, path: string, depth: number, above: readonly string[]): Record<string, Json> {
    const out: Record<string, Json> = {};
    for (const [name, slot] of typeShapeOf(type).slots) {
      if (["modifierExtension", "implicitRules", "contained"].includes(name)) continue;
      const value = this.#value(name, slot, `${path}.${name}`, depth, above);
      if (value === undefined) continue;
      out[name] = slot.element.repeats ? [value] : value;
      if (slot.hasSibling && depth < depthMax - 1) {
        const sibling = {
          id: this.#mark(`${path}._${name}`),
          extension: [this.#extension(`${path}._${name}`)],
        };
        out[`_${name}`] = slot.element.repeats ? [sibling] : sibling;
      }
    }
    return out;
  }

  #value(
    name: string,
    { type }: Slot,
    path: string,
    depth: number,
    above: readonly string[],
  ): Json | undefined {
    if (name === "extension") return this.#extension(path);
    if (isPrimitive(type)) return this.#primitive(type, path);
    // A nested type of the same name, or a deep type, has its canaries at its first place.
    if (depth >= depthMax || type === "Resource" || above.includes(type)) return undefined;
    return this.members(type, path, depth + 1, [...above, type]);
  }

  #primitive(type: string, path: string): Json {
    if (type === "boolean") return true;
    if (numbers.has(type)) return jsonNumber("93");
    if (Object.hasOwn(dated, type)) return dated[type as keyof typeof dated]; // one of its keys
    if (type === "time") return "13:14:15";
    const mark = this.#mark(path);
    // Half of the references name the contained resource, so that the contained resource stays.
    if (path.endsWith(".reference")) return this.pathOf.size % 2 === 0 ? "#p1" : `Patient/${mark}`;
    if (type === "oid") return `urn:oid:2.16.${mark.slice(-6)}`;
    if (type === "uuid") return `urn:uuid:aaaaaaaa-aaaa-4aaa-8aaa-000000${mark.slice(-6)}`;
    if (["uri", "url", "canonical"].includes(type)) return `http://host.example/${mark}`;
    return type === "xhtml" ? `<div xmlns="http://www.w3.org/1999/xhtml">${mark}</div>` : mark;
  }

  /** An extension that no table names, and one that the table names, with canaries at its wrong places. */
  #extension(path: string): JsonObject {
    const text = { url: "text", valueString: this.#mark(`${path}.text`) };
    const race = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
    const coding = {
      system: "urn:oid:2.16.840.1.113883.6.238",
      code: "2028-9",
      display: this.#mark(`${path}.display`),
    };
    return {
      url: race,
      id: this.#mark(`${path}.id`),
      valueString: this.#mark(`${path}.valueString`),
      extension: [
        text,
        { url: "ombCategory", valueCoding: coding },
        { url: this.#mark(path), valueDate: "1987-06-05" },
      ],
    };
  }

  #mark(path: string): string {
    const mark = `canary${String(this.pathOf.size).padStart(6, "0")}`;
    this.pathOf.set(mark, path);
    return mark;
  }
}
