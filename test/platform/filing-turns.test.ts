import { test } from "vitest";
import { FilingTurns } from "#platform/revocation/object/filing-turns";

test("few changes of Consents are written at once; of those that wait the patients' own come first, then the registrars'", async ({
  expect,
}) => {
  const turns = new FilingTurns(2);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const all = (["none", "none", "none", "none", "registrar", "patient", "patient"] as const).map(
    (authority, n) =>
      turns.run(authority, async () => {
        begun.push(`${authority} ${n}`);
        await new Promise<void>((resolve) => void ends.push(resolve));
        if (n === 1) throw new Error("D1 fails");
      }),
  );
  const settled = Promise.allSettled(all);
  await Promise.resolve();
  expect(begun).toEqual(["none 0", "none 1"]);
  while (begun.length < all.length) {
    ends.shift()?.();
    await new Promise((resolve) => void setTimeout(resolve));
  }
  for (const end of ends) end();
  expect(begun.slice(2)).toEqual(["patient 5", "patient 6", "registrar 4", "none 2", "none 3"]);
  expect((await settled).map(({ status }) => status).filter((each) => each === "rejected").length).toBe(1);
  expect(await turns.run("none", async () => "free")).toBe("free");
});
