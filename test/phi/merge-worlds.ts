import { isArray, isObject, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { unmasked } from "#phi/merge/merge-stripped";
import type { ResourceView } from "#policy/compile";
import { dataAbsentReason } from "#policy/view/masked";
import { brand } from "./branding.ts";
import { asRead, look, viewOf, type Look } from "./merging.ts";

export type Roll = () => number;
const one = <T>(list: readonly T[], roll: Roll): T | undefined => list[Math.floor(roll() * list.length)];

/** Some paths and extensions of a resource. */
export function randomView(resource: JsonObject, roll: Roll): ResourceView {
  const { brands } = brand(resource);
  const named = brands.filter(
    ({ path }) =>
      !path.includes("extension") && !path.includes("modifierExtension") && !path.includes("contained"),
  );
  const able = named.filter(
    ({ path }) =>
      path[0] !== "implicitRules" && path.every((name, at) => at === path.length - 1 || name !== "id"),
  );
  const paths = able
    .filter(() => roll() < 0.3)
    .map(({ path }) => path.slice(0, 1 + Math.floor(roll() * path.length)).join("."));
  const urls = extensionUrls(resource).filter(() => roll() < 0.5);
  return viewOf(
    textAt(resource, "resourceType") ?? "",
    [...paths, ...(roll() < 0.5 ? ["meta"] : [])],
    roll() < 0.2 ? "all" : urls,
  );
}

function extensionUrls(value: Json): readonly string[] {
  if (isArray(value)) return value.flatMap(extensionUrls);
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    name === "url" && typeof member === "string" ? [member] : extensionUrls(member),
  );
}

/** A changed body: members removed or replaced, items removed, added, moved, and hidden elements set. */
export function edited(value: Json, type: string, often: number, roll: Roll): Json | undefined {
  if (roll() < often / 2 && type !== "resource") return undefined;
  if (isArray(value)) {
    let items = value.map((item) => edited(item, type, often, roll)).filter((item) => item !== undefined);
    if (roll() < often) items = items.reverse();
    const again = roll() < often ? one(items, roll) : undefined;
    return items.length === 0 ? undefined : again === undefined ? items : [...items, asRead(again)];
  }
  if (isObject(value)) {
    if (value["url"] === dataAbsentReason) return value;
    // A primitive is removed with its sibling, otherwise the body would not be valid R4.
    const gone = new Set(
      Object.keys(value).filter((name) => Object.hasOwn(value, `_${name}`) && roll() < often),
    );
    const members = Object.entries(value).flatMap(([name, member]) => {
      if (name === "resourceType" || (type === "resource" && name === "id")) return [[name, member] as const];
      if (Object.hasOwn(value, `_${name}`) || name.startsWith("_"))
        return gone.has(name.replace("_", "")) ? [] : [[name, member] as const];
      const left = edited(member, "element", often, roll);
      return left === undefined ? [] : [[name, left] as const];
    });
    const names = members.map(([name]) => name);
    if (type !== "resource" && names.every((name) => name === "id")) return undefined;
    return Object.fromEntries(members);
  }
  if (roll() >= often) return value;
  return typeof value === "string" ? `${value}!` : value;
}

/**
 * Removes the parts that no writer sets: the server's versions and the gateway's marks. Also removes the ids
 * of elements: an id is shown only with a further part of its element (ele-1).
 */
export function said(resource: JsonObject): string {
  const { meta: _meta, ...others } = unmasked(resource, () => {});
  return canonicalText(
    Object.fromEntries(
      Object.entries(others).flatMap(([name, member]) => {
        const left = filled(member);
        return left === undefined ? [] : [[name, left] as const];
      }),
    ),
  );
}

function filled(value: Json): Json | undefined {
  if (isArray(value)) {
    const items = value
      .map((item) => (item === null ? null : filled(item)))
      .filter((item) => item !== undefined);
    // a list of siblings may end at its last sibling
    const last = items.findLastIndex((item) => item !== null);
    return last === -1 ? undefined : items.slice(0, last + 1);
  }
  if (!isObject(value)) return value;
  const members = Object.entries(value).flatMap(([name, member]) => {
    const left = name === "id" ? undefined : filled(member);
    return left === undefined ? [] : [[name, left] as const];
  });
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

/** A resource that looks the same in this view: some hidden elements are removed or replaced. */
export function otherwiseHidden({ stored, shown, view }: Look, roll: Roll): JsonObject {
  const isSeen = (resource: JsonObject) =>
    canonicalText(look(resource, view)?.shown ?? null) === canonicalText(shown);
  const attempts = Array.from({ length: 8 }, () => {
    const changed = edited(stored, "resource", 0.1, roll);
    return isObject(changed) ? changed : stored;
  });
  return (
    attempts.find((attempt) => canonicalText(attempt) !== canonicalText(stored) && isSeen(attempt)) ?? stored
  );
}
