import { afterEach, expect } from "vitest";
import { judgedRows } from "../judged-rows.ts";

// For every test of test/door: a grant judges each row that the origin sent once. A request whose Consents have
// changed asks for its rows again, so that it judges other rows.
afterEach(() => {
  expect(judgedRows.takeAgain(), "rows that were judged twice").toEqual([]);
});
