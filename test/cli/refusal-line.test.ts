import { test } from "vitest";
import { refusalLine } from "../../cli/connection/operator-post.ts";
import { problemAnswer } from "#entrypoint/problem";

test("a refusal of the operators' door is a line without a gap: with a place, with advice, and with neither", async ({
  expect,
}) => {
  const lineOf = async (problem: Parameters<typeof problemAnswer>[1]) => {
    const answer = problemAnswer("1".repeat(32), problem, new Headers());
    return refusalLine({ status: answer.status, body: await answer.json() });
  };
  expect(await lineOf({ status: 422, title: "Rejected", pointer: "/name", detail: "is missing" })).toBe(
    "/name is missing",
  );
  expect(await lineOf({ status: 422, title: "Rejected", pointer: "", detail: "is no JSON" })).toBe(
    "the document is no JSON",
  );
  expect(await lineOf({ status: 403, title: "Not permitted" })).toBe("403 Not permitted");
  expect(await lineOf({ status: 503, title: "Not available just now" })).toBe(
    "503 Not available just now. Wait as long as Retry-After says, then ask again.",
  );
});
