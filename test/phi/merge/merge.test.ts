import * as fc from "fast-check";
import { test, type ExpectStatic } from "vitest";
import { isObject, textAt, type JsonObject } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { mergeBody } from "#phi/merge/merge-body";
import { inLane } from "../../support/lane.ts";
import { brand } from "../branding.ts";
import { asRead, bases, isRefused, look, merge, viewOf, type Look } from "../merging.ts";
import { edited, otherwiseHidden, randomView, said, type Roll } from "../merge-worlds.ts";
import { dice, plainTypes, randomResource } from "../random-resource.ts";
import { noSharedData, resourcesIn } from "../shared-data.ts";

/**
 * A resource as its writer sees it, and its canaries that are values: the id of an element counts with the
 * element.
 */
function seenOf(
  original: JsonObject,
  roll: Roll,
): { readonly seen: Look; readonly marks: readonly string[] } | undefined {
  const { text: _text, ...plain } = original;
  const { resource, brands } = brand(plain);
  const seen = look(resource, randomView(resource, roll));
  return seen && { seen, marks: brands.filter(({ path }) => path.at(-1) !== "id").map(({ mark }) => mark) };
}

function keepsWhatIsHidden(
  expect: ExpectStatic,
  { seen, marks }: NonNullable<ReturnType<typeof seenOf>>,
  roll: Roll,
): boolean {
  const body = edited(asRead(seen.shown), "resource", 0.06, roll);
  if (!isObject(body)) throw new Error("a resource is an object");
  const merged = merge(seen, body);
  if (isRefused(merged)) return false;
  const [shown, next] = [JSON.stringify(seen.shown), JSON.stringify(merged)];
  for (const mark of marks)
    if (!shown.includes(mark))
      expect(
        next.includes(mark),
        `${mark} of ${JSON.stringify(seen.stored)} is lost by ${JSON.stringify(body)}`,
      ).toBe(true);
  const after = look(merged, seen.view);
  expect(
    after && said(after.shown),
    `what was written by ${JSON.stringify(body)} over ${JSON.stringify(seen.stored)}`,
  ).toBe(said(body));
  return true;
}

test("writing back exactly what was read leaves the stored resource as it is, whatever the view: generated resources of every type", ({
  expect,
}) => {
  fc.assert(
    fc.property(fc.constantFrom(...plainTypes), fc.nat(), (type, seed) => {
      const roll = dice(seed);
      const { resource } = brand(randomResource(type, roll));
      const seen = look(resource, randomView(resource, roll));
      if (seen !== undefined)
        expect(canonicalText(merge(seen, asRead(seen.shown) as JsonObject) as JsonObject)).toBe(
          canonicalText(resource),
        ); // an object, as before
    }),
    { numRuns: inLane({ fast: 300, slow: 1_500, long: 1_500 }) },
  );
});

/** Real resources: all of them in the slow lane, every third in the fast lane. */
const realResources = (): readonly JsonObject[] =>
  resourcesIn("examples-r4", "us-core", "synthea-2019")
    .filter((one) => textAt(one, "resourceType") !== "Bundle")
    .filter((_, index) => index % inLane({ fast: 3, slow: 1, long: 1 }) === 0);

test.skipIf(noSharedData)(
  "writing back exactly what was read leaves real resources as they are (needs ../shared/data)",
  ({ expect }) => {
    const roll = dice(5);
    let merges = 0;
    for (const resource of realResources()) {
      const view = randomView(resource, roll);
      const inside = (one: JsonObject) =>
        roll() < 0
          ? undefined
          : viewOf(textAt(one, "resourceType") ?? "", ["code", "name", "identifier"], "all");
      const seen = look(resource, view, { viewInside: inside });
      if (seen === undefined) continue;
      const body = asRead(seen.shown) as JsonObject; // an object, as before
      expect(canonicalText(merge(seen, body) as JsonObject), textAt(resource, "resourceType")).toBe(
        canonicalText(resource),
      );
      merges += 1;
    }
    expect(merges).toBeGreaterThan(130);
  },
);

test("no body changes a hidden element, and its own elements are stored as it says: generated resources of every type", ({
  expect,
}) => {
  const outcomes = { written: 0, refused: 0 };
  fc.assert(
    fc.property(fc.constantFrom(...plainTypes), fc.nat(), (type, seed) => {
      const roll = dice(seed);
      const seen = seenOf(randomResource(type, roll), roll);
      if (seen !== undefined) outcomes[keepsWhatIsHidden(expect, seen, roll) ? "written" : "refused"] += 1;
    }),
    { numRuns: inLane({ fast: 350, slow: 3_000, long: 3_000 }) },
  );
  expect(outcomes.written).toBeGreaterThan(30);
  expect(outcomes.refused).toBeGreaterThan(30);
});

test.skipIf(noSharedData)(
  "no body changes what is hidden of real resources (needs ../shared/data)",
  ({ expect }) => {
    const roll = dice(9);
    let written = 0;
    for (const resource of realResources()) {
      const seen = seenOf(withoutContained(resource), roll);
      if (seen !== undefined && keepsWhatIsHidden(expect, seen, roll)) written += 1;
    }
    expect(written).toBeGreaterThan(50);
  },
);

test("the refusal of a body, and its reason, do not depend on hidden elements", ({ expect }) => {
  let others = 0;
  fc.assert(
    fc.property(fc.constantFrom(...plainTypes), fc.nat(), (type, seed) => {
      const roll = dice(seed);
      const seen = seenOf(randomResource(type, roll), roll)?.seen;
      const other = seen && look(otherwiseHidden(seen, roll), seen.view);
      if (seen === undefined || other === undefined) return;
      if (other.stored !== seen.stored) others += 1;
      const body = edited(asRead(seen.shown), "resource", 0.08, roll) as JsonObject; // an object, as before
      const verdict = (of: Look) => {
        const merged = merge(of, body);
        return isRefused(merged) ? merged : "written";
      };
      expect(
        verdict(other),
        `${JSON.stringify(body)} over ${JSON.stringify(seen.stored)} and ${JSON.stringify(other.stored)}`,
      ).toEqual(verdict(seen));
    }),
    { numRuns: inLane({ fast: 350, slow: 1_000, long: 1_000 }) },
  );
  expect(others).toBeGreaterThan(15);
});

const withoutContained = ({ contained: _contained, ...others }: JsonObject): JsonObject => others;

test.skipIf(noSharedData)(
  "whether a body is refused does not depend on what is hidden, checked against R4 as it is sent and as it would be stored (needs ../shared/data)",
  ({ expect }) => {
    const roll = dice(13);
    const verdicts = new Map<string, number>();
    for (const resource of realResources()) {
      const { text: _text, ...plain } = withoutContained(resource);
      const seen = look(plain, randomView(plain, roll));
      const other = seen && look(otherwiseHidden(seen, roll), seen.view);
      if (seen === undefined || other === undefined || other.stored === seen.stored) continue;
      const body = edited(asRead(seen.shown), "resource", 0.03, roll) as JsonObject; // an object, as before
      const verdict = ({ stored, shown, sources, view, viewInside, mayLinkTo }: typeof seen) => {
        const merged = mergeBody(body, { stored, shown }, view, { bases, sources, viewInside, mayLinkTo });
        return merged.ok ? "written" : JSON.stringify(merged.error);
      };
      const of = verdict(seen);
      expect(
        verdict(other),
        `${JSON.stringify(body)} over ${JSON.stringify(seen.stored)} and ${JSON.stringify(other.stored)}`,
      ).toBe(of);
      const kind = of === "written" ? of : "refused";
      verdicts.set(kind, (verdicts.get(kind) ?? 0) + 1);
    }
    expect(verdicts.get("written")).toBeGreaterThan(15);
    expect(verdicts.get("refused")).toBeGreaterThan(15);
  },
);
