import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDictionary } from "structured-headers";
import { test } from "vitest";

// httpwg/structured-field-tests, which stand next to the project on some machines.
const folder = join(import.meta.dirname, "../../../shared/data/security/structured-fields");

interface Vector {
  readonly name: string;
  readonly raw: readonly string[];
  readonly header_type: string;
  readonly must_fail?: boolean;
  readonly can_fail?: boolean;
}

test("the parser in use has the working group's verdict on every dictionary", ({ expect, skip }) => {
  if (!existsSync(folder)) skip("no vectors on this machine");
  const files = readdirSync(folder).filter((name) => name.endsWith(".json"));
  const vectors = files
    .flatMap((name): Vector[] => JSON.parse(readFileSync(join(folder, name), "utf8")))
    .filter((vector) => vector.header_type === "dictionary");
  expect(vectors.length).toBe(215);
  const taken = ({ raw }: Vector) => {
    try {
      parseDictionary(raw.join(", "));
      return true;
    } catch {
      return false;
    }
  };
  const wrong = vectors.filter(
    (vector) => vector.can_fail !== true && taken(vector) === (vector.must_fail === true),
  );
  expect(wrong.map(({ name }) => name)).toEqual([]);
});
