import { test } from "vitest";
import { columnOf, grantTable, rowsRead } from "#platform/registry/read-table";

test("a flag that is neither 0 nor 1 makes the row unreadable: it turns no safeguard off", ({ expect }) => {
  const empty = Object.fromEntries(Object.keys(grantTable.columns).map((name) => [columnOf(name), null]));
  const read = (flag: unknown) => {
    const [grant] = rowsRead(grantTable, [{ ...empty, signed_requests: flag }]);
    return grant?.signedRequests;
  };
  expect(read(1)).toBe(true);
  expect(read(0)).toBe(false);
  for (const flag of ["1", "0", true, 2, ""])
    expect(() => read(flag), JSON.stringify(flag)).toThrow("signed_requests");
});
