import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "vitest";
import { cpuOfCommand } from "../../bench/process/command.ts";
import { cpuMicros } from "../../bench/process/cpu.ts";

const isLinux = existsSync("/proc/self/stat");

test.skipIf(!isLinux)(
  "the work of children counts, while they live and after they ended (needs Linux)",
  async ({ expect }) => {
    const busy = "const until = performance.now() + 500; while (performance.now() < until);";
    const parent = spawn(process.execPath, [
      "-e",
      `const { spawn } = require("node:child_process");
     const child = spawn(process.execPath, ["-e", ${JSON.stringify(`${busy} console.log("worked"); setTimeout(() => {}, 1000)`)}]);
     child.stdout.on("data", () => console.log("worked"));
     child.on("close", () => { console.log("ended"); setTimeout(() => {}, 5000); });`,
    ]);
    const said = async () =>
      new Promise<string>((heard) =>
        parent.stdout.once("data", (chunk: Buffer) => heard(chunk.toString().trim())),
      );
    try {
      expect(await said()).toBe("worked");
      const living = cpuMicros(parent.pid ?? 0);
      expect(await said()).toBe("ended");
      const after = cpuMicros(parent.pid ?? 0);
      // The child alone was busy for half a second, unless other processes used the machine.
      expect(living).toBeGreaterThan(100_000);
      // An ended child's time comes in ticks of 10 ms, user and system each rounded down.
      expect(after).toBeGreaterThanOrEqual(living - 20_000);
    } finally {
      parent.kill();
    }
  },
);

test.skipIf(!isLinux)("a process that ended has no figure (needs Linux)", ({ expect }) => {
  expect(() => cpuMicros(2 ** 30)).toThrow("has ended");
});

test.skipIf(!isLinux)(
  "a command's CPU time is its own and that of the processes that it waits for, whatever it says (needs Linux)",
  ({ expect }) => {
    const busy = "const until = performance.now() + 300; while (performance.now() < until);";
    const inside = `require("node:child_process").spawnSync(process.execPath, ["-e", ${JSON.stringify(busy)}])`;
    const both = `${inside}; process.stderr.write("7.000 7.000")`;
    // The child alone was busy for 0.3 s, unless other processes used the machine.
    expect(cpuOfCommand(process.execPath, ["-e", both])).toBeGreaterThan(60_000);
    expect(cpuOfCommand(process.execPath, ["-e", both])).toBeLessThan(7_000_000);
    expect(() => cpuOfCommand(process.execPath, ["-e", "process.exit(3)"])).toThrow("process.exit(3)");
  },
);
