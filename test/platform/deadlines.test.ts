import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { parseAst } from "vitest/node";
import { deadlines, inTime, PartBusy, partInTime, withinBudget } from "#platform/deadlines";
import { LateAnswer } from "#platform/within";
import { child, isCall, nameOf, nodesBelow, type Node } from "../support/syntax-tree.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = () => new Promise<never>(() => {});
const after = (milliseconds: number) => async () => {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  return "answer";
};
/** How a call ends, and after how long. */
async function ending(call: Promise<unknown>): Promise<readonly [unknown, number]> {
  const begun = Date.now();
  return call.then(
    (value) => [value, Date.now() - begun] as const,
    (fault: unknown) => [fault, Date.now() - begun] as const,
  );
}

test("each part that does not answer is given up at its deadline, and an answer in time arrives", async () => {
  for (const part of Object.keys(deadlines) as (keyof typeof deadlines)[]) {
    const [given, late] = [ending(inTime(part, after(deadlines[part] - 1))), ending(inTime(part, never))];
    await vi.advanceTimersByTimeAsync(deadlines[part]);
    expect(await given, part).toEqual(["answer", deadlines[part] - 1]);
    expect(await late, part).toEqual([expect.any(LateAnswer), deadlines[part]]);
  }
});

test("a request waits ten seconds for all parts together, then half a second for each; calls side by side count once", async () => {
  const waits: number[] = [];
  const done = withinBudget(async () => {
    await Promise.all(Array.from({ length: 20 }, () => inTime("guard", after(1_000))));
    for (let call = 0; call < 5; call++) waits.push((await ending(inTime("consentReadings", never)))[1]);
    waits.push((await ending(inTime("guard", after(400))))[1]);
  });
  await vi.advanceTimersByTimeAsync(60_000);
  await done;
  expect(waits).toEqual([5_000, 4_000, 500, 500, 500, 400]);
});

test("after its head a long answer has the whole deadline for each window", async () => {
  let window: Promise<readonly [unknown, number]> | undefined;
  const head = Promise.withResolvers<void>();
  const answer = withinBudget(async () => {
    for (let call = 0; call < 3; call++) await ending(inTime("control", never));
    window = head.promise.then(() => ending(inTime("ledger", never)));
    return "head";
  });
  await vi.advanceTimersByTimeAsync(20_000);
  expect(await answer).toBe("head");
  head.resolve();
  await vi.advanceTimersByTimeAsync(20_000);
  expect((await window)?.[1]).toBe(deadlines.ledger);
});

test("the budget of a request is its own", async () => {
  const exhausted = withinBudget(async () => {
    for (let call = 0; call < 5; call++) await ending(inTime("control", never));
  });
  await vi.advanceTimersByTimeAsync(30_000);
  await exhausted;
  const next = withinBudget(() => ending(inTime("control", never)));
  await vi.advanceTimersByTimeAsync(30_000);
  expect((await next)[1]).toBe(deadlines.control);
});

test("a part that holds up too many calls gets no further one, also if those requests were cancelled, until their time is over", async () => {
  const call = vi.fn(never);
  // a cancelled request never runs on: here its timer is lost
  const held = Array.from({ length: 1_536 }, () => inTime("rowLeases", call));
  for (const each of held) each.catch(() => undefined);
  vi.clearAllTimers();
  const busy = await ending(inTime("rowLeases", call));
  expect(busy).toEqual([expect.any(PartBusy), 0]);
  expect(call).toHaveBeenCalledTimes(1_536);
  expect(await inTime("requestKeys", async () => "other parts go on")).toBe("other parts go on");
  vi.setSystemTime(Date.now() + deadlines.rowLeases);
  expect(await inTime("rowLeases", async () => "again")).toBe("again");
});

test("each method of a part that is called by RPC is called in its time", async () => {
  const stub = { base: 40, plus: async (one: number) => await Promise.resolve(stub.base + one), hang: never };
  const timed = partInTime("control", stub);
  expect(await timed.plus(2)).toBe(42);
  const hung = ending(timed.hang());
  await vi.advanceTimersByTimeAsync(deadlines.control);
  expect(await hung).toEqual([expect.any(LateAnswer), deadlines.control]);
});

const root = join(import.meta.dirname, "../..");
/** The adapters of the parts, with the methods of their stubs and bindings. */
const adapters: Readonly<Record<string, readonly string[]>> = {
  "guard/isolate/limiter.ts": ["lease", "leaseOfSubject"],
  "guard/isolate/denials.ts": ["denials", "heed", "revoke"],
  "guard/isolate/assertion-memory.ts": ["assertionOnce"],
  "registry/copies/registry-reader.ts": ["query"],
  "consents/isolate-consents.ts": ["of"],
  "consents/isolate-readings.ts": ["claimReading", "fileReading"],
  "reviews/isolate-reviews.ts": ["open"],
  "idempotency/isolate/request-keys.ts": ["claim", "sending", "ended"],
  "row-leases/isolate/leases.ts": ["take", "release"],
  "elements/isolate/element-counter.ts": ["add"],
  "ledger/client/sink.ts": ["appendText"],
  "ledger/client/prover.ts": ["proof"],
  "config/log-states.ts": ["status"],
};
const parsed = (source: string) => parseAst(source, { lang: "ts" }) as unknown as Node; // the parser's types are not exported
const calleeName = (node: Node): string | undefined => {
  const callee = child(node, "callee");
  const property = child(callee, "property");
  return property?.type === "PrivateIdentifier" ? undefined : nameOf(property ?? callee);
};

/** The nodes below a call of `inTime`, or of a function of the file that calls it. */
function timedNodes(tree: Node): ReadonlySet<Node> {
  const all = nodesBelow(tree);
  const wrappers = new Set(["inTime", "partInTime"]);
  const callsOne = (node: Node) =>
    nodesBelow(node).some((below) => isCall(below) && wrappers.has(calleeName(below) ?? ""));
  for (let size = 0; size !== wrappers.size;) {
    size = wrappers.size;
    for (const node of all) {
      const name = nameOf(child(node, "id"));
      const isFunction =
        node.type === "FunctionDeclaration" || child(node, "init")?.type === "ArrowFunctionExpression";
      if (name !== undefined && isFunction && callsOne(node)) wrappers.add(name);
    }
  }
  return new Set(
    all.filter((node) => isCall(node) && wrappers.has(calleeName(node) ?? "")).flatMap(nodesBelow),
  );
}

const untimed = (source: string, isMeant: (call: Node) => boolean): readonly string[] => {
  const tree = parsed(source);
  const timed = timedNodes(tree);
  return nodesBelow(tree).flatMap((node) =>
    isCall(node) && isMeant(node) && !timed.has(node) ? [calleeName(node) ?? ""] : [],
  );
};

test("each adapter calls its part in its time, and a worker calls no binding itself", () => {
  vi.useRealTimers();
  for (const [file, methods] of Object.entries(adapters)) {
    const source = readFileSync(join(root, "src/platform", file), "utf8");
    const isMeant = (call: Node) => methods.includes(calleeName(call) ?? "");
    const names = nodesBelow(parsed(source)).flatMap((node) => (isCall(node) ? [calleeName(node)] : []));
    for (const method of methods) expect(names, file).toContain(method);
    expect(untimed(source, isMeant), file).toEqual([]);
  }
  const ofBinding = (call: Node) => {
    const binding = child(child(call, "callee"), "object");
    return nameOf(child(binding, "object")) === "env";
  };
  for (const worker of ["gateway", "ops"])
    expect(untimed(readFileSync(join(root, `workers/${worker}/index.ts`), "utf8"), ofBinding)).toEqual([]);
  expect(untimed("const a = () => env.DESK.open(1)", ofBinding), "the check finds such a call").toEqual([
    "open",
  ]);
});
