import { test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import { startTestStack } from "../support/stack.ts";

test("T46: each stack of these tests is watched from its start: a stack that printed a token fails when it closes", async ({
  expect,
}) => {
  const phylax = await startTestStack();
  const token = await phylax.token("telehealth");
  const reply = await send(phylax.dev, undefined, `${phylax.dev.fhir}/Patient/x`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(reply.status).toBe(401);
  console.error(`refused: ${token}`); // no line of the project may do this
  await expect(phylax.close()).rejects.toThrow("a token, an assertion, a proof or a key was printed");
}, 60_000);
