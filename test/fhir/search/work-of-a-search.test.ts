import { describe, test } from "vitest";
import { workOn } from "#fhir/json/facts";
import type { JsonObject } from "#fhir/json/json";
import { meets } from "#fhir/search/criteria";
import { searchTextBytesMax } from "#fhir/search/query";
import { matches, mayMatch } from "#fhir/search/row-judge";
import type { SearchParameter } from "#fhir/search/search";
import { utf8 } from "#kernel/encoded";
import { rowShare, workOf, RowShareSpent } from "#fhir/search/row-work";
import { cpuMillisecondsOf } from "../../support/cpu-milliseconds.ts";
import {
  asRow,
  hostileSearches,
  largestQuestions,
  manyValues,
  parametersOf,
} from "../../support/hostile-search.ts";

const base = "https://fhir.example/fhir";
const judges = { mayMatch, matches };
const isFound = (judge: typeof mayMatch, row: JsonObject, parameters: readonly SearchParameter[]): boolean =>
  parameters.every((parameter) => judge(row, parameter, base));

/** A value that counts how often its text is read. */
function counted(
  parameters: readonly SearchParameter[],
  reads: { count: number },
): readonly SearchParameter[] {
  return parameters.map((parameter) => ({
    ...parameter,
    values: parameter.values.map((value) =>
      Object.defineProperty({ ...value }, "text", {
        get: () => {
          reads.count += 1;
          return value.text;
        },
      }),
    ),
  }));
}

describe("what a search costs is the sum of its values and of a row's, never their product", () => {
  for (const [name, judge] of Object.entries(judges)) {
    test(`${name}: a searched value is read once for all rows`, ({ expect }) => {
      const reads = { count: 0 };
      const pairs = manyValues("date", (index) => String(1000 + (index % 900)), "2024");
      const parameters = counted(parametersOf("Observation", ...pairs), reads);
      const row = (day: number) =>
        asRow({ resourceType: "Observation", effectiveDateTime: `2024-01-${10 + day}` });
      for (let day = 0; day < 20; day += 1) expect(isFound(judge, row(day), parameters)).toBe(true);
      expect(reads.count).toBe(4_800);
    });

    test(`${name}: the values of a row are read once for all repetitions of a parameter`, ({ expect }) => {
      const row = () =>
        asRow({
          resourceType: "Observation",
          code: { coding: Array.from({ length: 100 }, (_each, at) => ({ code: `c${at}` })) },
        });
      const spentFor = (lists: number): number => {
        const judged = row();
        const parameters = parametersOf(
          "Observation",
          ...manyValues("code", (index) => `x${index}`, "c99", lists),
        );
        expect(isFound(judge, judged, parameters)).toBe(true);
        return workOn(judged).spent;
      };
      expect(spentFor(48)).toBe(spentFor(1));
    });
  }

  test("criteria cost the values of a row, read once, and the searched values", ({ expect }) => {
    const { row, type, pairs } = hostileSearches["9,000 codings × 4,000 values"] ?? {};
    if (row === undefined || type === undefined || pairs === undefined) throw new Error("no such row");
    const judged = row();
    expect(meets(judged, parametersOf(type, ...pairs), base)).toBe(true);
    expect(workOn(judged).spent).toBeGreaterThan(9_000);
    expect(workOn(judged).spent).toBeLessThan(2 * workOf.key * (9_000 + 4_000));
  });

  test("a row that costs more than its share is judged no further, whatever else is asked", ({ expect }) => {
    const { row, type, pairs } = hostileSearches["9,000 components × 4,800 pairs"] ?? {};
    if (row === undefined || type === undefined || pairs === undefined) throw new Error("no such row");
    const judged = row();
    const parameters = parametersOf(type, ...pairs);
    expect(() => isFound(matches, judged, parameters)).toThrow(RowShareSpent);
    expect(workOn(judged).spent).toBeGreaterThan(rowShare);
  });

  test("a text that many parameters search through, and items compared by many, soon spend the share", ({
    expect,
  }) => {
    const name = () => asRow({ resourceType: "Patient", name: [{ family: "ab".repeat(8_000) }] });
    const components = Array.from({ length: 1_000 }, (_each, index) => ({
      code: { coding: [{ code: "a" }] },
      valueQuantity: { value: index },
    }));
    const panel = () => asRow({ resourceType: "Observation", component: components });
    const asked = (lists: number, name: string, text: string) =>
      Array.from({ length: lists }, (_list, list) => [name, text.replaceAll("#", String(list))] as const);
    const judged = (row: JsonObject, parameters: readonly SearchParameter[]) => {
      for (const parameter of parameters) matches(row, parameter, base);
    };
    for (const [row, type, parameter, text] of [
      [name, "Patient", "family:contains", "ababab#x"],
      [panel, "Observation", "component-code-value-quantity", "a$-#,b$-#,c$-#"],
    ] as const) {
      judged(row(), parametersOf(type, ...asked(5, parameter, text)));
      expect(() => judged(row(), parametersOf(type, ...asked(60, parameter, text)))).toThrow(RowShareSpent);
    }
  });

  test("a thousand rows and the question of most values take less than 300 ms of CPU", ({ expect }) => {
    const rows = Array.from({ length: 1_000 }, (_row, index) =>
      asRow({
        resourceType: "Observation",
        effectiveDateTime: `2024-01-${10 + (index % 20)}`,
        code: { coding: [{ system: "http://loinc.org", code: "8480-6" }, { code: `y${index}` }] },
      }),
    );
    const questions = [
      manyValues("date", (index) => String(1000 + (index % 900)), "2024"),
      manyValues("code", (index) => `x${index % 1_000}`, "8480-6"),
    ];
    for (const pairs of questions)
      for (const judge of Object.values(judges)) {
        const parameters = parametersOf("Observation", ...pairs);
        const cpu = cpuMillisecondsOf(() => {
          for (const row of rows) expect(isFound(judge, row, parameters)).toBe(true);
        });
        expect(cpu).toBeLessThan(300);
      }
  });

  for (const [name, { type, pairs }] of Object.entries(largestQuestions))
    test(`the longest question of ${name} is read and prepared in less than 300 ms of CPU`, ({ expect }) => {
      const { length } = utf8(pairs.flat().join(""));
      expect(length).toBeGreaterThan(0.9 * searchTextBytesMax);
      expect(length).toBeLessThan(searchTextBytesMax);
      const row = asRow({
        resourceType: type,
        name: [{ family: "ab" }],
        code: { coding: [{ code: "1" }] },
        effectiveDateTime: "2020",
        component: [{ code: { coding: [{ code: "a" }] }, valueQuantity: { value: 1 } }],
      });
      const cpu = cpuMillisecondsOf(() => {
        for (const parameter of parametersOf(type, ...pairs))
          for (const judge of Object.values(judges)) judge(row, parameter, base);
      });
      expect(cpu).toBeLessThan(300);
    });

  for (const [name, { row, type, pairs }] of Object.entries(hostileSearches))
    test(`${name} take less than a second of CPU`, ({ expect }) => {
      const [judged, parameters] = [row(), parametersOf(type, ...pairs)];
      for (const judge of Object.values(judges)) {
        const cpu = cpuMillisecondsOf(() => {
          try {
            isFound(judge, judged, parameters);
          } catch (fault) {
            if (!(fault instanceof RowShareSpent)) throw fault;
          }
        });
        expect(cpu).toBeLessThan(1_000);
      }
    });
});
