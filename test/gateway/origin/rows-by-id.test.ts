import { test } from "vitest";
import { rowsById } from "#gateway/origin/rows-by-id";
import { RowBarrier } from "#fhir/row-barrier";
import { textAt } from "#fhir/json/json";
import { nothingToResolve } from "#gateway/origin/asking";
import { HeldBytes } from "#gateway/origin/held-bytes";
import { utf8 } from "#kernel/encoded";
import { err, ok } from "#kernel/result";

test("resources that are too large for an answer count as absent, and hide none of the others", async ({
  expect,
}) => {
  const questions: string[] = [];
  const found = new Set<string>();
  const origin = {
    ...nothingToResolve,
    ask: async (question: object) => {
      const query = "query" in question ? String(question.query) : "";
      const ids = /_id=([^&]*)/u.exec(query)?.[1]?.split(",") ?? [];
      questions.push(ids.join());
      if (ids.includes("large")) return err({ reason: "origin_answer_too_large" as const });
      const entry = ids.map((id) => ({ resource: { resourceType: "Encounter", id } }));
      const text = JSON.stringify({ resourceType: "Bundle", type: "searchset", entry });
      const body = (async function* () {
        yield ok(utf8(text));
      })();
      return ok({ kind: "answered" as const, base: "https://origin.example/fhir", body });
    },
    held: new HeldBytes(),
    barrier: new RowBarrier(),
    traits: async () => undefined,
  };
  const keeps = (row: Parameters<typeof textAt>[0]) => {
    found.add(textAt(row, "id") ?? "");
    return false;
  };
  const read = await rowsById("Encounter", ["a", "large", "b", "c"], origin, { keeps });
  expect([read.ok, [...found]]).toEqual([true, ["a", "b", "c"]]);
  expect(questions).toEqual(["a,large,b,c", "a,large", "a", "large", "b,c"]);
});
