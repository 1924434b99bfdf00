// The slowness of this machine: the time of a fixed loop beside the time of the reference machine. The limits
// of the lanes grow by this factor (scripts/lanes.ts).
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { promisify } from "node:util";

/**
 * Milliseconds of CPU that a pass of the loop takes on the reference machine (factor 1.0): a virtual machine with
 * two processors of an AMD EPYC, on which the fast lane took 292 s while the machine was idle. This lane took
 * 496 s, 1.7 times as long, on an idle virtual machine with two processors of an Intel Xeon (family 6, model
 * 207), where a pass takes 11 ms: the constant is 11 ms divided by 1.7. Two runs of this file side by side
 * on an idle machine print the time of a pass, for a new calibration.
 */
const referenceMilliseconds = 6.5;

// The passes take over two seconds: other work pauses within them.
const passes = 200;
/** The processors of the reference machine: the loop runs on both, because two processors may share a core. */
const processes = 2;

/** The work of most tests: JSON in and out, and SHA-256. */
function pass(): void {
  const entry = (n: number) => ({
    resource: { resourceType: "Observation", id: `o-${n}`, status: "final", code: { text: "Body weight" } },
    subject: { reference: `Patient/p-${n % 7}` },
    valueQuantity: { value: n / 3, unit: "kg", system: "http://unitsofmeasure.org" },
  });
  let text = JSON.stringify(Array.from({ length: 400 }, (_, n) => entry(n)));
  for (let round = 0; round < 20; round += 1) {
    const rows: unknown = JSON.parse(text);
    text = JSON.stringify(rows);
    createHash("sha256").update(text).digest();
  }
}

/** The CPU milliseconds of the quickest pass: other work of the machine can only make a pass longer. */
function quickestPass(): number {
  let quickest = Infinity;
  for (let n = 0; n < passes; n += 1) {
    const before = process.threadCpuUsage();
    pass();
    const { user, system } = process.threadCpuUsage(before);
    quickest = Math.min(quickest, (user + system) / 1_000);
  }
  return quickest;
}

/** Machines of one kind differ by 1.7 times: a larger factor means other work. */
const factorMax = 2;

/** The factor is 1 for the reference machine and more for a slower machine. The loop takes about three seconds. */
export async function machineFactor(): Promise<number> {
  const times = await Promise.all(
    Array.from({ length: processes }, () => promisify(execFile)(process.execPath, [import.meta.filename])),
  );
  const sum = times.reduce((total, { stdout }) => total + Number(stdout), 0);
  return Math.min(factorMax, sum / processes / referenceMilliseconds);
}

if (import.meta.main) console.log(quickestPass().toFixed(2));
