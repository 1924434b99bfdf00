import { test } from "vitest";
import { readOptions } from "../../sandbox/options.ts";

test("without options the gateway listens on 8443 and keeps its state in .phylax", ({ expect }) => {
  expect(readOptions([], "/home/ops")).toEqual({
    ok: true,
    value: { port: 8443, state: "/home/ops/.phylax", bundles: undefined, reset: false },
  });
});

test("an unknown option, a missing value and a port that is none are errors", ({ expect }) => {
  for (const args of [["--prot", "1"], ["--port"], ["--port", "x"], ["--port", "0"], ["--port", "65536"], ["stray"]]) {
    expect(readOptions(args, "/").ok, args.join(" ")).toBe(false);
  }
});
