import { elementsOf, isPrimitive } from "#fhir/r4/elements";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import type { ResourceView } from "#policy/compile";
import { readPath } from "#policy/view/element-path";
import { showsAll, showsNothing, shownBy, union } from "#policy/view/shown";
import { compileView } from "#policy/view/view";
import { containing } from "./containing.ts";
import { mutate } from "./hostile-texts.ts";
import { compare } from "./twins.ts";

export const utf8 = (text: string) => new TextEncoder().encode(text);
const typeOf = (resource: JsonObject) => textAt(resource, "resourceType") ?? "";

/** A view of these element paths. */
export function viewOf(
  type: string,
  paths: readonly string[],
  urls: readonly string[] = [],
  beforeForm = false,
): ResourceView {
  const shown = union([showsNothing, ...paths.map((path) => shownBy(readPath(path)))]);
  return {
    object: compileView(type, shown, { all: false, urls: new Set(urls), beforeForm }),
    subsetted: true,
    hidden: [],
  };
}

export const wholeView = (type: string): ResourceView => ({
  object: compileView(type, showsAll, { all: true, urls: new Set() }),
  subsetted: false,
  hidden: [],
});

/** A view of some of the paths that the resource has, or of everything. */
export function randomView(resource: JsonObject, roll: () => number): ResourceView {
  const type = typeOf(resource);
  if (roll() < 0.15) return wholeView(type);
  const share = roll();
  const paths = pathsIn(resource, [], type)
    .filter(() => roll() < share)
    .map((path) => path.slice(0, 1 + Math.floor(roll() * path.length)));
  if (roll() < 0.5) paths.push(["contained"]);
  if (roll() < 0.3) paths.push(["meta", roll() < 0.5 ? "lastUpdated" : "tag"]);
  const texts = [...new Set(paths.map((path) => sliced(path, roll).join(".")))];
  return viewOf(type, texts, roll() < 0.5 ? ["urn:x"] : [], roll() < 0.2);
}

function sliced(path: readonly string[], roll: () => number): readonly string[] {
  if (path[0] !== "identifier" || roll() < 0.4) return path;
  return ["identifier[system=urn:mrn,x]", ...path.slice(1)];
}

/** The element paths of a resource that a policy can name. */
export function pathsIn(value: Json, path: readonly string[], type: string): readonly (readonly string[])[] {
  if (isArray(value)) return value.flatMap((item) => pathsIn(item, path, type));
  if (!isObject(value) || isPrimitive(type)) return path.length === 0 ? [] : [path];
  return Object.keys(value).flatMap((name) => {
    const form = [...elementsOf(type).values()]
      .flatMap(({ forms }) => forms)
      .find((one) => one.name === name);
    const apart = ["extension", "contained", "modifierExtension", "implicitRules"].includes(name);
    if (form === undefined || apart || form.type === "Resource") return [];
    return pathsIn(property(value, name) ?? null, [...path, name], form.type);
  });
}

/** Compares some texts made of a resource by both engines; the share that the byte engine cut. */
export function fuzz(resources: readonly JsonObject[], rounds: number, roll: () => number) {
  let [plain, equal, mutated, mutatedEqual] = [0, 0, 0, 0];
  for (let round = 0; round < rounds; round += 1) {
    const found = resources[Math.floor(roll() * resources.length)];
    if (found === undefined) throw new Error("no resources");
    const resource = roll() < 0.3 ? containing(found, roll) : found;
    const view = randomView(resource, roll);
    const text = utf8(JSON.stringify(resource, undefined, roll() < 0.2 ? 2 : undefined));
    plain += 1;
    if (compare(text, view) === "equal") equal += 1;
    for (let time = 0; time < 3; time += 1) {
      mutated += 1;
      if (compare(mutate(text, roll), view) === "equal") mutatedEqual += 1;
    }
  }
  return { share: equal / plain, mutatedShare: mutatedEqual / mutated };
}
