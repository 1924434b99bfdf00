import { test } from "vitest";
import { instant } from "#kernel/clock";
import { IsolateReadings } from "#platform/consents/isolate-readings";

test("a reading that fails gives its claim back: the next request reads the patient", async ({ expect }) => {
  const [filed, kept]: [unknown[], Promise<void>[]] = [[], []];
  const readings = new IsolateReadings(
    {
      claimReading: async ({ patients }) => ({ change: 7, claimed: patients, read: [] }),
      fileReading: async (change, { patients }, found) => {
        filed.push([change, patients, found]);
        return [];
      },
    },
    { reread: () => undefined },
    {
      clock: () => instant(0),
      wait: async () => undefined,
      keepAlive: (work) => void kept.push(work),
    },
  );
  const failing = async () => {
    throw new Error("origin_unreachable");
  };
  expect(await readings.bringUpToDate("main", ["p"], 60_000, failing)).toBe(false);
  expect(filed).toEqual([[7, ["p"], undefined]]);
  expect(kept, "the runtime ends no reading whose sender leaves").toHaveLength(1);
  expect(await kept[0]).toBeUndefined();
});
