import { test } from "vitest";
import { instant } from "#kernel/clock";
import { IsolateReadings } from "#platform/consents/isolate-readings";

test("a reading that fails gives its claim back: the next request reads the patient", async ({ expect }) => {
  const filed: unknown[] = [];
  const readings = new IsolateReadings(
    {
      claimReading: async ({ patients }) => ({ change: 7, claimed: patients, read: [] }),
      fileReading: async (change, { patients }, found) => {
        filed.push([change, patients, found]);
        return [];
      },
    },
    { reread: () => undefined },
    () => instant(0),
    async () => undefined,
  );
  const failing = async () => {
    throw new Error("origin_unreachable");
  };
  expect(await readings.bringUpToDate("main", ["p"], 60_000, failing)).toBe(false);
  expect(filed).toEqual([[7, ["p"], undefined]]);
});
