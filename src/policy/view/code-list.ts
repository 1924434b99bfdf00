import { systemName } from "#fhir/code-system";
import { isArray, isObject, property, type Json, type JsonObject } from "#fhir/json/json";

/** The codes that a policy lists, prepared once: a row looks its codes up, and is compared with none of the others. */
export class CodeList {
  readonly #listed: ReadonlySet<string>;
  /** The listed texts in small letters, for plain codes. */
  readonly #plain: ReadonlySet<string>;
  /** The systems of each code in small letters, by {@link systemName}. */
  readonly #systems = new Map<string, Set<string>>();
  readonly #anySystem = new Set<string>();

  /** @param codes `system|code`, or a bare `code` for a plain code. */
  constructor(codes: readonly string[]) {
    this.#listed = new Set(codes);
    this.#plain = new Set(codes.map((code) => code.toLowerCase()));
    for (const listed of codes) {
      const [system = "", code = ""] = listed.split("|");
      const name = systemName(system);
      this.#anySystem.add(name);
      const known = this.#systems.get(code.toLowerCase()) ?? new Set();
      this.#systems.set(code.toLowerCase(), known.add(name));
    }
  }

  /** Answers whether a code is listed as it is written. */
  has(code: string): boolean {
    return this.#listed.has(code);
  }

  /** Answers whether one of these values may have a listed code. */
  mayHave({ isUnclear, plain, codings }: PossibleCodes): boolean {
    if (isUnclear) return true;
    for (const code of plain) if (this.#plain.has(code)) return true;
    for (const coding of codings) if (this.#mayBe(coding)) return true;
    return false;
  }

  #mayBe({ system, code }: PossibleCoding): boolean {
    if (code === undefined) return system === undefined ? this.#listed.size > 0 : this.#anySystem.has(system);
    const systems = this.#systems.get(code);
    return systems !== undefined && (system === undefined || systems.has(system));
  }
}

/** A Coding by the name of its system, and by its code in small letters; without a part it may have any. */
interface PossibleCoding {
  readonly system: string | undefined;
  readonly code: string | undefined;
}

/** The codes that values may mean. */
export interface PossibleCodes {
  /** A value has not the form of its type: it may mean any code. */
  readonly isUnclear: boolean;
  readonly plain: readonly string[];
  readonly codings: readonly PossibleCoding[];
}

/**
 * Reads which codes values of this R4 type may mean: a row that must not have a code is kept out in doubt. Beyond
 * the codes as they are written these are a code without a system, a code under an alias of its system or in
 * different case, a Coding without a code, and a value of the wrong form. A CodeableConcept of text alone has no
 * code.
 */
export function possibleCodes(values: readonly Json[], type: string): PossibleCodes {
  const plain: string[] = [];
  const codings: PossibleCoding[] = [];
  /** @returns whether the value is unclear. */
  const read = (value: Json, kind: string): boolean => {
    if (isArray(value)) return value.some((item) => read(item, kind));
    if (kind !== "CodeableConcept" && kind !== "Coding") {
      if (typeof value !== "string" && typeof value !== "boolean") return true;
      plain.push(lowered(String(value)));
      return false;
    }
    if (!isObject(value)) return true;
    if (kind === "CodeableConcept") {
      const coding = property(value, "coding");
      return coding === undefined ? holdsCoding(value) : read(coding, "Coding");
    }
    const [system, code] = [property(value, "system"), property(value, "code")];
    if (
      (system !== undefined && typeof system !== "string") ||
      (code !== undefined && typeof code !== "string")
    )
      return true;
    codings.push({ system: system && systemName(system), code: code && lowered(code) });
    return false;
  };
  const isUnclear = values.some((value) => read(value, type));
  return { isUnclear, plain, codings };
}

/** The members by which a coded value is read, here and by `codesOf`. */
export const codedMembers: readonly string[] = ["coding", "_coding", "system", "code"];

const lowered = (code: string): string => code.trim().toLowerCase();
const holdsCoding = (concept: JsonObject): boolean =>
  ["system", "code", "_coding"].some((name) => property(concept, name) !== undefined);
