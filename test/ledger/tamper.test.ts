import { test, vi } from "vitest";
import { verifyLog } from "#ledger/verify";
import { printFault } from "../../cli/misuse.ts";
import { ledgerVerify } from "../../cli/ledger/ledger-verify.ts";
import { argumentsOf, withFolders } from "./export-folder.ts";
import { readerOf, sampleLog, withObject } from "./sample-log.ts";
import * as plain from "./tampered-exports.ts";
import * as rooted from "./tampered-roots.ts";
import { inLane } from "../support/lane.ts";

const good = [...plain.good, ...rooted.good];
const tampered = [...plain.tampered, ...rooted.tampered];
/** Runs `phylax ledger verify` in this process. Returns its exit code and its lines on standard error. */
function verify(made: plain.Export): Promise<{ readonly code: number; readonly wrongs: readonly string[] }> {
  return withFolders([made], async ([written]) => {
    const [out, error] = [
      vi.spyOn(console, "log").mockReturnValue(),
      vi.spyOn(console, "error").mockReturnValue(),
    ];
    const code = await ledgerVerify(argumentsOf(made, written)).catch(printFault);
    const wrongs = error.mock.calls.map(([line]) => String(line));
    for (const spy of [out, error]) spy.mockRestore();
    return { code, wrongs };
  });
}

/**
 * True when a line names this path below the folder: `<log>: WRONG: <object> (frame 1): …`, or `<log or
 * file>: WRONG: …`.
 */
function names(line: string, path: string): boolean {
  const [top, ...object] = path.split("/");
  const told = `${top}: WRONG: ${object.join("/")}`;
  return line.startsWith(told) && (object.length === 0 || /^(?: \(|: )/.test(line.slice(told.length)));
}

test("an unchanged export is good: several tiles, a fork by itself, sealed, empty, with evidence of it", async ({
  expect,
}) => {
  for (const made of good) expect(await verify(made), made.name).toEqual({ code: 0, wrongs: [] });
});

test("each tampering of an export is found, and an object of it named", async ({ expect }) => {
  const missed: string[] = [];
  for (const made of tampered) {
    const { code, wrongs } = await verify(made);
    const isNamed = made.named.some((path) => wrongs.some((line) => names(line, path)));
    if (code !== 1 || !isNamed) missed.push(`${made.name}: ${code} ${wrongs.join(", ")}`);
  }
  expect(missed).toEqual([]);
});

test("an earlier checkpoint under a key that ended counts up to the size of its end, and is refused after it", async ({
  expect,
}) => {
  for (const { made, isGood } of rooted.sinceEnd) {
    const { code, wrongs } = await verify(made);
    const refused = [expect.stringContaining("after the end of the key that signed it")];
    expect({ code, wrongs }).toEqual(isGood ? { code: 0, wrongs: [] } : { code: 1, wrongs: refused });
  }
});

// The fast lane takes each ninth bit: nearly every byte, and each position of a bit.
const bitStep = inLane({ fast: 9, slow: 1, long: 1 });

test("every bit of a frame, a tile, a bundle and a checkpoint, flipped, is found, and the object named", async ({
  expect,
}) => {
  const log = await sampleLog([1, 1]);
  for (const path of ["frame/0", "frame/1", "tile/0/000.p/4", "tile/entries/000.p/4", "checkpoint"]) {
    const bytes = Uint8Array.from(log.objects.get(path) ?? []);
    expect(bytes.length, path).toBeGreaterThan(100);
    for (let bit = 0; bit < bytes.length * 8; bit += bitStep) {
      const mask = 1 << (bit & 7);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ mask;
      const result = await verifyLog(readerOf(withObject(log, path, bytes)), log.verifier);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ mask;
      if (result.ok || result.error.object !== path)
        expect.fail(`bit ${bit} of ${path}: ${JSON.stringify(result)}`);
    }
  }
}, 120_000);
