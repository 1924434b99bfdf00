import { test } from "vitest";
import { readStacks, samplesByCaller } from "../../bench/profile/native.ts";

const script = `
	    55d1 sqlite3_step
	    55d2 JS:+'insert ledger.js:11:9
	    55d3 Builtins_RunMicrotasks

	    55d4 v8::internal::Scavenger::Process
	    55d5 workerd::IoContext::run

	    55d6 JS:* gateway.js:2:4
	    55d7 JS:*serve gateway.js:8:1

	    55d8 JS:+hash node-internal:crypto_hash:91:14
	    55d9 JS:^tagOf gateway.js:8:1
`;

test("a sample counts for the innermost function of a bundle, and else for the runtime's part", ({
  expect,
}) => {
  const sources = new Map([
    [
      "gateway",
      [
        { line: 0, file: "node_modules/hono/dist/hono.js" },
        { line: 5, file: "src/gateway/pipeline.ts" },
      ],
    ],
    ["ledger", [{ line: 10, file: "src/platform/ledger/object/log/store.ts" }]],
  ]);
  const { rooms, functions } = samplesByCaller(readStacks(script), sources);
  expect(Object.fromEntries(rooms)).toEqual({
    "ledger src/platform/ledger": 1,
    "(garbage collector)": 1,
    "gateway hono": 1,
    "gateway src/gateway": 1,
  });
  expect(Object.fromEntries(functions)).toEqual({
    "ledger src/platform/ledger/object/log/store.ts insert": 1,
    "gateway node_modules/hono/dist/hono.js (anonymous)": 1,
    "gateway src/gateway/pipeline.ts tagOf": 1,
  });
});
