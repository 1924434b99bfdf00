import { test } from "vitest";
import { StartedProcess } from "../support/started-process.ts";

const node = (script: string) => new StartedProcess("the server", process.execPath, ["-e", script]);

test("a process that ends before it is ready is given up at once, with its last words", async ({
  expect,
}) => {
  const ended = node("console.error('no such database'); process.exit(3)");
  await expect(
    ended.until(async () => undefined, { everyMilliseconds: 20, tell: () => undefined }),
  ).rejects.toThrow("the server ended:\nno such database");
  await ended.end();
  const missing = new StartedProcess("the server", "/no/such/program", []);
  await expect(missing.until(async () => undefined, { everyMilliseconds: 20 })).rejects.toThrow("ENOENT");
});

test("a process that lives is asked until it answers: a question that fails is asked again", async ({
  expect,
}) => {
  const alive = node("setInterval(() => {}, 1000)");
  let asked = 0;
  const answer = await alive.until(
    async () => {
      asked += 1;
      if (asked === 1) throw new Error("refused");
      return asked < 3 ? undefined : "ready";
    },
    { everyMilliseconds: 5 },
  );
  expect([answer, asked]).toEqual(["ready", 3]);
  await alive.end();
});
