import { afterAll, beforeAll, test } from "vitest";
import { keyBoundToken, keyHolder, keyHolderEntry, type KeyHolder } from "../support/key-holder.ts";
import { expectOneOf } from "../support/replays.ts";
import { clientEntries, joined, starterPolicy } from "../support/outside.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

let phylax: TestStack;
let holder: KeyHolder;
let token: string;
beforeAll(async () => {
  phylax = await startTestStack();
  holder = await keyHolder("key-holder");
  await phylax.stack.runtime.applyRegistry(
    joined(
      { policies: [starterPolicy("treat")] },
      clientEntries(keyHolderEntry(holder), "TREAT", "treat", "system/*.rs"),
    ),
  );
  token = await keyBoundToken(phylax, holder);
}, 120_000);
afterAll(() => phylax.close());

test(
  "T32: of 1,000 concurrent requests with one proof, exactly one is answered; each of the rest is on record as a replay",
  { timeout: 120_000 },
  ({ expect }) => expectOneOf(1_000, expect, phylax, holder, token),
);
