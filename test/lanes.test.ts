import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { budgetLine, ciMinutesMax, dearestFiles, lanes, refusalInCi, testsLine } from "../scripts/lanes.ts";
import config from "../vitest.config.ts";

const part = { name: "fuzz", minutes: 10, groups: [{ projects: ["fuzz"] }] };

test("CI starts a part only if the part ends before CI's limit on this machine", ({ expect }) => {
  expect(refusalInCi(part, { factor: 1, ciMinutes: ciMinutesMax - 10 })).toBeUndefined();
  expect(refusalInCi(part, { factor: 1, ciMinutes: ciMinutesMax - 9 })).toContain('"fuzz" is not started');
  expect(refusalInCi(part, { factor: 1.7, ciMinutes: ciMinutesMax - 17 })).toBeUndefined();
  expect(refusalInCi(part, { factor: 1.7, ciMinutes: ciMinutesMax - 16 })).toContain("about 17");
});

test("on a machine that takes 1.7 times as long, CI has time for every part of the slow lane", ({
  expect,
}) => {
  const minutes = lanes.slow.parts.map((each) => each.minutes ?? Number.NaN);
  const expected = lanes.fast.minutes + minutes.reduce((sum, each) => sum + each, 0);
  const checks = 2; // `npm run check -- --without-tests`
  expect((expected + checks) * 1.7).toBeLessThan(ciMinutesMax);
  expect(minutes.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(lanes.slow.minutes);
});

test("a lane's line says whether it kept its budget at the factor of the machine, and the share of other work", ({
  expect,
}) => {
  const line = (seconds: number, factor: number) =>
    budgetLine({
      name: "fast lane",
      minutes: 4,
      seconds,
      factor,
      work: { seconds: 412.3, othersShare: 0.031 },
    });
  expect(line(240, 1)).toBe(
    "fast lane: 240 s, within its 240 s (240 s × 1.00, the factor of this machine); " +
      "412 s of CPU, and other work had 3 % of the processors",
  );
  expect(line(241, 1)).toContain("OVER its 240 s");
  expect(line(408, 1.7)).toContain("within its 408 s");
  expect(line(409, 1.7)).toContain("OVER its 408 s");
});

test("the ten dearest files are listed, the dearest first", ({ expect }) => {
  const times = Array.from({ length: 12 }, (_, n) => ({
    project: "pure",
    file: `test/${n}.test.ts`,
    milliseconds: n * 1_000,
  }));
  const lines = dearestFiles(times);
  expect(lines).toHaveLength(10);
  expect(lines[0]).toBe("   11.0 s  pure: test/11.test.ts");
  expect(lines.at(-1)).toBe("    2.0 s  pure: test/2.test.ts");
});

test("each part that names folders leaves no file of its project out, and no file runs in two parts", ({
  expect,
}) => {
  const root = join(import.meta.dirname, "..");
  const groups = lanes.slow.parts.flatMap((each) => each.groups);
  const parted = new Set(
    groups.filter(({ folders }) => folders !== undefined).flatMap(({ projects }) => projects),
  );
  expect(parted).toEqual(new Set(["slow"]));
  const slow = projects().find(({ name }) => name === "slow");
  const files = globSync([...(slow?.include ?? [])], { cwd: root });
  expect(files.length).toBeGreaterThan(30);
  for (const file of files) {
    const homes = groups
      .filter((group) => group.projects.includes("slow"))
      .filter(({ folders = [] }) => folders.some((folder) => file.includes(folder)));
    expect(homes, file).toHaveLength(1);
  }
});

test("every project of vitest runs in the fast lane or in the slow lane", ({ expect }) => {
  const run = Object.values(lanes).flatMap(({ parts }) =>
    parts.flatMap(({ groups }) => groups.flatMap((group) => group.projects)),
  );
  const own = projects().map(({ name }) => name);
  expect(new Set(run)).toEqual(
    new Set([...own, "door", "second-door", "control", "guard", "jose", "ledger"]),
  );
});

test("no test or hook of the fast lane counts as hung before a minute is over: thrice what the longest takes beside other work", ({
  expect,
}) => {
  const root = import.meta.dirname;
  const configured = [
    ...projects(),
    ...globSync("{door,platform/*}/vitest.config.ts", { cwd: root }).map((name) => ({
      name,
      testTimeout: numbersIn(join(root, name), /testTimeout: ([\d_]+)/gu)[0],
      hookTimeout: numbersIn(join(root, name), /hookTimeout: ([\d_]+)/gu)[0],
    })),
  ];
  for (const { name, testTimeout, hookTimeout } of configured)
    expect(Math.min(testTimeout ?? 0, hookTimeout ?? 0), name).toBeGreaterThanOrEqual(60_000);
  const own = /^ *\{ timeout: ([\d_]+) \},$|^(?:  )*\}, ([\d_]+)\);$|", \{ timeout: ([\d_]+) \}, async/gmu;
  const shorter = globSync("**/*.test.ts", { cwd: root, exclude: ["slow/**"] }).filter((file) =>
    numbersIn(join(root, file), own).some((milliseconds) => milliseconds < 60_000),
  );
  expect(shorter).toEqual([]);
});

test("no test meets the development stack of the folder from which npm was called", ({ expect }) => {
  expect(process.env).not.toHaveProperty("INIT_CWD");
});

interface NamedProject {
  readonly name: string;
  readonly include: readonly string[];
  readonly testTimeout?: number;
  readonly hookTimeout?: number;
}

/** The numbers that a file's text has where the pattern says. */
const numbersIn = (file: string, pattern: RegExp): readonly number[] =>
  Array.from(readFileSync(file, "utf8").matchAll(pattern), ([, ...groups]) =>
    Number(groups.find((group) => group !== undefined)?.replaceAll("_", "")),
  );

/** The projects that stand in vitest.config.ts; the others have a configuration of their own. */
function projects(): readonly NamedProject[] {
  return (config.test?.projects ?? []).flatMap((project) =>
    typeof project === "object" && "test" in project ? [project.test as NamedProject] : [],
  );
}

test("the end of a lane counts its tests, and a test that vitest did not run is none that passed", ({
  expect,
}) => {
  expect(testsLine(["passed", "failed", "pending", "passed", "todo"])).toBe(
    "Tests: 2 passed, 1 failed, 2 skipped (5)",
  );
});
