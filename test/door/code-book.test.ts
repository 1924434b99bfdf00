import { expect, test, vi } from "vitest";
import type { DataSet } from "#deid/codes";
import type { ShownAnswer } from "#deid/form-answer";
import { ok } from "#kernel/result";
import { CodeBook } from "#platform/codes/isolate/code-book";
import { fates } from "#policy/form/fates";

/** The entry point of `jobs`. Its objects answer once `ready` resolves. */
function codeBook(ready: Promise<void> = Promise.resolve()): CodeBook {
  const book = {
    codesOf: async (_: DataSet, names: readonly string[]) => {
      await ready;
      return ok(names.map(() => "0123456789abcdef".repeat(2)));
    },
    namesOf: () => Promise.reject(new Error("not asked for")),
    end: () => Promise.reject(new Error("not asked for")),
  };
  const books = { getByName: () => book, jurisdiction: () => books };
  const context: ExecutionContext = Object.create(null);
  return new CodeBook(context, { DATA_SET_CODES: books, LEDGER_JURISDICTION: "", DEID_CHECK: "on" });
}
const ofClient = (client: string): DataSet => ({
  client,
  agreement: "dua",
  origin: "main",
  name: "x/cohort",
});
const answerOf = (resource: object): ShownAnswer => ({
  body: Buffer.from(JSON.stringify(resource)),
  form: "safe-harbor",
  year: 2026,
  base: "https://gateway.example/v1/fhir/main",
  sort: [],
  isChosen: false,
});

test("answers of one client that wait for codes leave memory for a second client, and end with it", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const book = codeBook(promise);
  const large = answerOf({ resourceType: "Patient", id: "p", language: "x".repeat(3_900_000) });
  const ask = (client: string) =>
    book.inForm(ofClient(client), large).then(
      ({ ok: isAnswered }) => isAnswered,
      (fault: unknown) => (fault instanceof Error ? fault.name : ""),
    );
  const greedy = Array.from({ length: 12 }, () => ask("greedy"));
  const second = ask("second");
  resolve();
  const told = await Promise.all(greedy);
  expect(told.filter((each) => each === true)).toHaveLength(4);
  expect(new Set(told)).toEqual(new Set([true, "MemoryBusy"]));
  expect(await second).toBe(true);
  expect(await ask("greedy")).toBe(true);
});

test("in development the checker logs what a wrong table of fates lets leave, without its value", async () => {
  const logged = vi.spyOn(console, "error").mockReturnValue();
  const patient = { resourceType: "Patient", id: "p", birthDate: "1984-03-02" };
  const seen = () => logged.mock.calls.map(([line]): unknown => JSON.parse(String(line)));
  await codeBook().inForm(ofClient("study"), answerOf(patient));
  expect(seen()).toEqual([]);
  const right = { ...fates.date.change };
  Object.assign(fates.date.change, { "safe-harbor": "keep" });
  try {
    // A further type: the byte engine remembers its plan of a Patient.
    await codeBook().inForm(ofClient("study"), answerOf({ ...patient, resourceType: "RelatedPerson" }));
    expect(seen()).toEqual([
      { event: "identifier_left", path: "RelatedPerson.birthDate", identifier: "date", paragraph: "(C)" },
    ]);
  } finally {
    Object.assign(fates.date.change, right);
    logged.mockRestore();
  }
});
