import { isArray, isObject, type Json, type JsonObject } from "#fhir/json/json";
import type { PolicyDocument, PolicyRule, RuleInteraction } from "#policy/schema";
import { canariesIn, type Kept, type Row } from "./small-world.ts";

/** The asker, by the claims of a token. */
export interface Asker {
  readonly scopes: readonly string[];
  readonly patient: string;
  readonly usersPatients: readonly string[];
}

/**
 * The elements of a small world that a policy and scopes let an asker know. It reads the rules independently
 * and shares no code with the engine: it knows only the types, elements and conditions of the small world.
 */
export class Knowable {
  readonly #rules: readonly PolicyRule[];
  readonly #asker: Asker;
  readonly #world: readonly Kept[];

  constructor(document: PolicyDocument, asker: Asker, world: readonly Kept[]) {
    this.#rules = document.rules;
    this.#asker = asker;
    this.#world = world;
  }

  /** All canaries that an answer to an interaction may have. */
  canaries(interactions: readonly RuleInteraction[]): ReadonlySet<string> {
    return new Set(
      this.#world.flatMap(({ now, before }) => [
        ...this.#of(now, [now], interactions),
        ...(before === undefined ? [] : this.#of(before, [before, now], interactions)),
      ]),
    );
  }

  /** Answers whether the asker may know any element of the current row. */
  reaches(row: Row): boolean {
    return this.#rulesOf([row], ["read", "search"]).length > 0;
  }

  /** Answers whether the asker may know the value at a place of a row, by any interaction. */
  shows(versions: readonly Row[], trail: readonly Step[]): boolean {
    return isShown(this.#rulesOf(versions, ["read", "search"]), trail);
  }

  #of(row: Row, versions: readonly Row[], interactions: readonly RuleInteraction[]): readonly string[] {
    const rules = this.#rulesOf(versions, interactions);
    const { contained, ...own } = row;
    const shown = leavesOf(own).flatMap(({ text, trail }) => (isShown(rules, trail) ? canariesIn(text) : []));
    const opens = isShown(rules, [{ name: "contained", item: {} }]);
    return isArray(contained) && opens
      ? [...shown, ...contained.flatMap((inside) => this.#inside(inside))]
      : shown;
  }

  /** A nested resource leaves by the rules to read its own type; it belongs to the owner of its container. */
  #inside(inside: Json): readonly string[] {
    if (!isObject(inside)) return [];
    const rules = this.#rules.filter(
      ({ types, interactions }) => types.includes("Practitioner") && interactions.includes("read"),
    );
    return leavesOf(inside).flatMap(({ text, trail }) => (isShown(rules, trail) ? canariesIn(text) : []));
  }

  #rulesOf(versions: readonly Row[], interactions: readonly RuleInteraction[]): readonly PolicyRule[] {
    if (!versions.every((row) => !isLabelled(row))) return [];
    const [row] = versions;
    const type = row?.resourceType ?? "";
    const rules = this.#rules.filter(
      (rule) =>
        rule.types.some((one) => one === type) &&
        rule.interactions.some((one) => interactions.includes(one)) &&
        versions.every((version) => meets(rule, version)),
    );
    if (versions.every((version) => this.#holds(version, interactions))) return rules;
    if (type !== "Practitioner" || !interactions.includes("read")) return [];
    // A search finds the rows of a rule to search alone too, by the references that open them.
    return rules.filter((rule) =>
      (rule.referredBy ?? []).some((by) => this.#isReferred(`Practitioner/${row?.id}`, by)),
    );
  }

  /** Answers whether a scope covers the row: by its owner, or every row; and by its categories. */
  #holds(row: Row, interactions: readonly RuleInteraction[]): boolean {
    const letters = interactions.map((interaction) => (interaction === "read" ? "r" : "s"));
    return this.#asker.scopes.some((scope) => {
      const {
        context,
        type,
        permissions = "",
        query = "",
      } = /^(?<context>\w+)\/(?<type>[\w*]+)\.(?<permissions>\w+)(?:\?(?<query>.+))?$/u.exec(scope)?.groups ??
      {};
      if (type !== "*" && type !== row.resourceType) return false;
      if (!letters.some((letter) => permissions.includes(letter))) return false;
      // The values of conditions are of one meaning in a small world, so their texts are compared.
      const conditions = query === "" ? [] : query.split("&").map((part) => part.split("="));
      if (
        !conditions.every(([name = "", value = ""]) =>
          JSON.stringify(row[name] ?? "").includes(`"${value.split("|").at(-1)}"`),
        )
      )
        return false;
      if (context === "system") return true;
      const whose = context === "patient" ? [this.#asker.patient] : this.#asker.usersPatients;
      const owners = ownersOf(row);
      return owners.length > 0 && owners.every((owner) => whose.includes(owner));
    });
  }

  #isReferred(practitioner: string, by: string): boolean {
    const [type = "", parameter = ""] = by.split(":");
    const elements: Readonly<Record<string, string>> = {
      "general-practitioner": "generalPractitioner",
      asserter: "asserter",
      actor: "participant",
    };
    return this.#world.some(
      ({ now }) =>
        now.resourceType === type &&
        this.reaches(now) &&
        JSON.stringify(now[elements[parameter] ?? parameter] ?? "").includes(`"${practitioner}"`),
    );
  }
}

const isLabelled = (row: Row) => JSON.stringify(row["meta"] ?? "").includes('"code":"R"');

function meets({ where = [] }: PolicyRule, row: Row): boolean {
  const isLab = JSON.stringify(row["category"] ?? "").includes('"lab"');
  return where.every((condition) => ("in" in condition ? isLab : !isLab));
}

/**
 * Ids of the owners: the subject or, without a subject, the participants; an appointment belongs to all of
 * its participants.
 */
export function ownersOf(row: Row): readonly string[] {
  const named = (value: Json | undefined) =>
    [...JSON.stringify(value ?? "").matchAll(/"Patient\/(?<id>\w+)"/gu)].map(
      ({ groups }) => groups?.["id"] ?? "",
    );
  if (row.resourceType === "Patient") return [row.id];
  if (row.resourceType === "Appointment") return named(row["participant"]);
  return row["subject"] === undefined ? named(row["performer"]) : named(row["subject"]);
}

export interface Step {
  readonly name: string;
  readonly item: JsonObject;
}

/** Every text of a resource, with its path: the name of each step, and the value there. */
export function leavesOf(
  value: Json,
  trail: readonly Step[] = [],
): readonly { readonly text: string; readonly trail: readonly Step[] }[] {
  if (typeof value === "string") return [{ text: value, trail }];
  if (isArray(value))
    return value.flatMap((item) =>
      leavesOf(
        item,
        trail.map((step, at) => (at === trail.length - 1 && isObject(item) ? { ...step, item } : step)),
      ),
    );
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, below]) =>
    below === undefined ? [] : leavesOf(below, [...trail, { name, item: isObject(below) ? below : {} }]),
  );
}

/**
 * Each rule grants its part for this row: together they show an extension that any of them lists, on each
 * element that any of them shows.
 */
function isShown(rules: readonly PolicyRule[], trail: readonly Step[]): boolean {
  if (rules.some(({ show }) => show === "everything")) return true;
  const at = trail.findIndex(({ name }) => name === "extension");
  if (at !== -1 && !rules.some(({ extensions }) => extensions?.includes("urn:ext") === true)) return false;
  if (at === 0) return rules.length > 0;
  const steps = (at === -1 ? trail : trail.slice(0, at)).map(({ name, item }) => ({
    name: name.replace(/^_/u, ""),
    item,
  }));
  return rules.some(({ show }) => typeof show !== "string" && show.some((path) => leadsTo(path, steps)));
}

function leadsTo(path: string, steps: readonly Step[]): boolean {
  const segments = path.split(/\.(?![^[]*\])/u);
  return segments.length <= steps.length && segments.every((segment, at) => fits(segment, steps[at]));
}

function fits(segment: string, step: Step | undefined): boolean {
  const {
    name = "",
    by,
    value,
  } = /^(?<name>\w+(?:\[x\])?)(?:\[(?<by>\w+)=(?<value>[^\]]+)\])?$/u.exec(segment)?.groups ?? {};
  const isNamed = name.endsWith("[x]")
    ? step?.name.startsWith(name.slice(0, -3)) === true
    : step?.name === name;
  return isNamed && (by === undefined || step?.item[by] === value);
}
