import { createHash, createPublicKey, verify, type JsonWebKey } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AlertMessage } from "#audit/alerts/message";
import type { AlertReport } from "#audit/alerts/report";
import type { Traffic } from "#audit/traffic/instruments";
import type { TrafficSpan } from "#audit/traffic/span";
import type { LedgerHealthReport, LogHealth } from "#ledger/health";
import { AlertBook } from "#platform/alerts/object/alert-book";
import { ObjectNamespace } from "../support/in-process/durable-objects.ts";

const start = Date.parse("2026-12-03T08:00:00Z");
const minute = 60_000;

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A receiver on a socket. It takes a message, unless a test says how else it answers. */
class Receiver {
  readonly got: Received[] = [];
  answer: (response: ServerResponse) => void = taken;
  readonly #server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      this.got.push({
        path: request.url ?? "",
        headers: request.headers,
        text: Buffer.concat(parts).toString(),
      });
      this.answer(response);
    });
  });

  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    // a server that listens on TCP has such an address
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/alerts`;
  }

  get messages(): readonly AlertMessage[] {
    return this.got.map(({ text }) => JSON.parse(text) as AlertMessage);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const taken = (response: ServerResponse): void => void response.writeHead(204).end();
const failing = (response: ServerResponse): void => void response.writeHead(500).end("later");
const redirecting = (response: ServerResponse): void =>
  void response.writeHead(307, { location: "/elsewhere" }).end();
const hanging = (): void => {};

const logOf = (log: string, change: Partial<LogHealth> = {}): LogHealth => ({
  log,
  state: "good",
  size: 1,
  copied: 1,
  behindSeconds: 0,
  rooted: 1,
  seconds: 1,
  why: null,
  ...change,
});
const wellReport: LedgerHealthReport = { logs: [logOf("s0-2026h2")], root: logOf("root"), witnesses: [] };
const lateReport: LedgerHealthReport = { ...wellReport, logs: [logOf("s0-2026h2", { behindSeconds: 300 })] };

let receiver: Receiver;
let url: string;
let book: ObjectNamespace;
let parts: {
  report: () => Promise<LedgerHealthReport>;
  traffic: () => Promise<Traffic>;
  denials: () => Promise<readonly string[]>;
};
let watch: Record<"begin" | "silence" | "endSilence", (...args: readonly unknown[]) => Promise<unknown>> & {
  report(): Promise<AlertReport>;
  readings(): Promise<ReturnType<AlertBook["readings"]>>;
  ages(span: TrafficSpan): Promise<ReturnType<AlertBook["ages"]>>;
};

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: start });
  vi.spyOn(console, "error").mockImplementation(() => {});
  receiver = new Receiver();
  url = await receiver.open();
  parts = {
    report: async () => wellReport,
    traffic: async () => new Map(),
    denials: async () => [],
  };
  const env = {
    LEDGER_HEALTH: { report: () => parts.report(), traffic: () => parts.traffic() },
    OPERATOR_ROLL: { denials: () => parts.denials() },
    ALERT_WEBHOOK: url,
    OPS_URL: "https://ops.example.org",
  };
  book = new ObjectNamespace(AlertBook, () => env, "asked");
  watch = book.getByName("alerts") as typeof watch; // the methods of the class, by RPC
  await watch.begin();
});
afterEach(() => {
  book.close();
  receiver.close();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets minutes pass, with two looks in each. */
async function pass(minutes: number, every = 30_000): Promise<void> {
  const end = Date.now() + minutes * minute;
  while (Date.now() < end) {
    vi.setSystemTime(Date.now() + every);
    await book.ringAlarms();
  }
}

const stateOf = async (alert: string) =>
  (await watch.report()).alerts.find((each) => each.alert === alert)?.state;

/** Checks a message as a receiver does that has only the public key (RFC 9421 §3.2). It shares no code with the signer. */
function isSigned({ headers, text }: Received, key: JsonWebKey & { readonly kid?: string }): boolean {
  const input = String(headers["signature-input"]).slice("sig=".length);
  const covered = `"@method" "@target-uri" "content-type" "content-digest"`;
  if (!input.startsWith(`(${covered});created=`) || !input.endsWith(`;keyid="${key.kid}";tag="phylax-alert"`))
    return false;
  const digest = `sha-256=:${createHash("sha256").update(text).digest("base64")}:`;
  const lines = [
    `"@method": POST`,
    `"@target-uri": ${url}`,
    `"content-type": ${headers["content-type"]}`,
    `"content-digest": ${digest}`,
    `"@signature-params": ${input}`,
  ];
  const signature = Buffer.from(String(headers["signature"]).slice("sig=:".length, -1), "base64");
  const { kty, crv, x } = key;
  const publicKey = createPublicKey({ key: { kty, crv, x } as JsonWebKey, format: "jwk" }); // of the report
  return verify(null, Buffer.from(lines.join("\n")), publicKey, signature);
}

test("an alert that fires and ends is posted twice, signed, and with names and numbers of ours alone", async () => {
  await pass(5);
  expect(receiver.got).toEqual([]);
  parts.report = async () => lateReport;
  await pass(1.5);
  expect((await watch.report()).alerts.find(({ alert }) => alert === "ledger_behind")).toMatchObject({
    state: "waiting",
    value: 300,
    threshold: 120,
    unit: "seconds",
  });
  await pass(10);
  parts.report = async () => wellReport;
  await pass(10);
  const [begun, ended, ...others] = receiver.messages;
  expect(others).toEqual([]);
  expect(begun).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{32}$/u),
    alert: "ledger_behind",
    state: "firing",
    since: "2026-12-03T08:05:30.000Z",
    at: "2026-12-03T08:07:30.000Z",
    severity: "page",
    says: "A log has records without a copy in R2 for minutes, and takes no records after thirty",
    runbook: "docs/runbook.md#r2-is-down",
    threshold: 120,
    deployment: "https://ops.example.org",
  });
  expect(ended).toMatchObject({ alert: "ledger_behind", state: "ended" });
  const key = (await watch.report()).key as JsonWebKey; // a public JWK
  expect(key).not.toHaveProperty("d");
  for (const received of receiver.got) {
    expect(isSigned(received, key)).toBe(true);
    expect(isSigned({ ...received, text: `${received.text} ` }, key)).toBe(false);
  }
});

for (const [name, bad] of Object.entries({ failing, redirecting, hanging }))
  test(`a receiver that is ${name} gets the same message again`, { timeout: 60_000 }, async () => {
    receiver.answer = bad;
    parts.report = async () => lateReport;
    await pass(2.5);
    const tries = receiver.got.length;
    expect(tries).toBe(1);
    expect(await watch.report()).toMatchObject({ waiting: 1, deadLetters: [] });
    receiver.answer = taken;
    await pass(3);
    expect(receiver.messages.map(({ id, state }) => ({ id, state }))).toEqual(
      Array.from({ length: 2 }, () => ({ id: receiver.messages[0]?.id, state: "firing" })),
    );
    expect(receiver.got.every(({ path }) => path === "/alerts")).toBe(true);
    expect(await watch.report()).toMatchObject({ waiting: 0, deadLetters: [] });
  });

test("a message that no receiver takes for six hours is a dead letter, and the end follows its begin", async () => {
  receiver.answer = failing;
  parts.report = async () => lateReport;
  await pass(10);
  parts.report = async () => wellReport;
  await pass(330, 5 * minute);
  expect(new Set(receiver.messages.map(({ state }) => state)), "the end waits").toEqual(new Set(["firing"]));
  expect(receiver.got.length, "in hours of tries").toBeLessThan(25);
  await pass(90, 5 * minute);
  const { deadLetters } = await watch.report();
  expect(deadLetters.map(({ alert, state, failed }) => `${alert} ${state}: ${failed}`)).toContain(
    "ledger_behind firing: 500",
  );
  expect(JSON.stringify(vi.mocked(console.error).mock.calls)).toContain("alert_given_up");
  expect(await watch.readings()).toContainEqual(
    expect.objectContaining({ gauge: "phylax_alerts_dead_letters", value: deadLetters.length }),
  );
  receiver.answer = taken;
  await pass(60, 5 * minute);
  expect(receiver.messages.at(-1)?.alert, "the receiver learns that messages were lost").toBe(
    "messages_given_up",
  );
});

test("in a silence an alert is judged and not sent; what still fires at its end is sent then", async () => {
  const silence = { from: start, until: start + 20 * minute, reason: "R2 is moved", operator: "ada" };
  const id = await watch.silence({ ...silence, alerts: ["ledger_behind"] });
  await watch.silence({
    ...silence,
    alerts: ["all"],
    from: start + 60 * minute,
    until: start + 90 * minute,
  });
  parts.report = async () => lateReport;
  await pass(15);
  expect(receiver.got).toEqual([]);
  const { alerts, silences } = await watch.report();
  expect(alerts.find(({ alert }) => alert === "ledger_behind")).toMatchObject({
    state: "firing",
    silenced: true,
  });
  expect(silences[0]).toMatchObject({ id, reason: "R2 is moved", operator: "ada" });
  await pass(10);
  expect(receiver.messages).toMatchObject([{ alert: "ledger_behind", state: "firing" }]);
  parts.report = async () => wellReport;
  await pass(40);
  parts.report = async () => lateReport;
  await pass(20);
  expect(
    receiver.messages.map(({ state }) => state),
    "a window that was planned",
  ).toEqual(["firing", "ended"]);
  expect(await watch.endSilence(id), "it is over").toBe(false);
});

test("parts that hang or fail raise their own alerts, and end none", { timeout: 60_000 }, async () => {
  parts.report = async () => lateReport;
  await pass(3);
  parts = {
    report: () => Promise.reject(new Error("away")),
    traffic: () => Promise.reject(new Error("away")),
    denials: () => Promise.reject(new Error("away")),
  };
  await pass(8);
  const firing = (await watch.report()).alerts.filter(({ state }) => state === "firing");
  expect(firing.map(({ alert }) => alert)).toEqual(["ledger_behind", "revocations_old", "numbers_old"]);
  parts.denials = () => new Promise(() => {});
  await pass(0.5);
  expect(await stateOf("revocations_old")).toBe("firing");
});

test("failures burn by the totals of the traffic book, also after the book was lost", async () => {
  let [all, faults] = [0, 0];
  parts.traffic = async () =>
    new Map([
      ["phylax_outcomes read disclosed", (all += 100)],
      ["phylax_refusals fault", faults],
    ]);
  await pass(20);
  parts.traffic = async () =>
    new Map([
      ["phylax_outcomes read disclosed", (all += 100)],
      ["phylax_refusals fault", (faults += 20)],
    ]);
  await pass(15);
  expect(await stateOf("gateway_failing")).toBe("firing");
  [all, faults] = [0, 0];
  parts.traffic = async () => new Map([["phylax_outcomes read disclosed", (all += 100)]]);
  await pass(1);
  expect(await stateOf("gateway_failing")).toBe("quiet");
});

test("a log that falls silent ends no alert about its copy", async () => {
  parts.report = async () => lateReport;
  await pass(3);
  const silent = { state: "silent", behindSeconds: 0 } as const;
  parts.report = async () => ({ ...wellReport, logs: [logOf("s0-2026h2", silent)] });
  await pass(3);
  expect(await stateOf("ledger_behind")).toBe("firing");
  parts.report = async () => wellReport;
  await pass(0.5);
  expect(await stateOf("ledger_behind")).toBe("quiet");
});

test("the highest ages of each minute and hour stay for plots, and leave after 35 days and 13 months", async () => {
  const agesOf = async (by: "minute" | "hour", step: number) => {
    const [from, to] = [0, Number.MAX_SAFE_INTEGER];
    return (await watch.ages({ by, step, from, to })).map(({ at, counts }) => [
      at,
      Object.fromEntries(counts),
    ]);
  };
  const ages = (behind: number, revocations: number) => ({
    "phylax_ledger_behind_seconds s0-2026h2": behind,
    "phylax_ledger_behind_seconds root": 0,
    "phylax_part_age_seconds ledger": 0,
    "phylax_part_age_seconds revocations": revocations,
    "phylax_part_age_seconds traffic": 0,
  });
  const first = start / minute;
  await book.ringAlarms();
  parts.report = async () => lateReport;
  parts.denials = () => Promise.reject(new Error("down"));
  await pass(1);
  parts.report = async () => wellReport;
  await pass(0.5);
  expect(await agesOf("minute", 1)).toEqual([
    [first, ages(300, 30)],
    [first + 1, ages(300, 90)],
  ]);
  expect(await agesOf("minute", 15)).toEqual([[first, ages(300, 90)]]);
  expect(await agesOf("hour", 1)).toEqual([[start / (60 * minute), ages(300, 90)]]);
  vi.setSystemTime(start + 36 * 24 * 60 * minute);
  await book.ringAlarms();
  expect((await agesOf("minute", 1)).map(([at]) => at)).toEqual([first + 36 * 24 * 60]);
  expect(await agesOf("hour", 1)).toHaveLength(2);
  vi.setSystemTime(start + 397 * 24 * 60 * minute);
  await book.ringAlarms();
  expect(await agesOf("hour", 1)).toHaveLength(2);
});

test("a look keeps the sixteen oldest copies, however many logs there are", async () => {
  const logs = Array.from({ length: 200 }, (_, i) => logOf(`s${i}-2026h2`, { behindSeconds: i }));
  parts.report = async () => ({ ...wellReport, logs });
  await pass(0.5);
  const [present] = await watch.ages({ by: "minute", from: 0, to: Number.MAX_SAFE_INTEGER });
  const kept = [...(present?.counts ?? [])].filter(([series]) => series.startsWith("phylax_ledger_behind"));
  expect(kept.map(([, seconds]) => seconds).sort((left, right) => left - right)).toEqual(
    Array.from({ length: 16 }, (_, i) => 184 + i),
  );
});

test("a log that was silent at one look raises no alert once it answers", async () => {
  parts.report = async () => ({ ...wellReport, logs: [logOf("s0-2026h2", { state: "silent" })] });
  await pass(0.5);
  expect(await stateOf("ledger_stopped")).toBe("waiting");
  parts.report = async () => wellReport;
  await pass(3);
  expect(await stateOf("ledger_stopped")).toBe("quiet");
});

test(
  "failures burn slowly after a long good history, at each look of a minute",
  { timeout: 60_000 },
  async () => {
    let [all, faults] = [0, 0];
    const traffic = (failing: number) => async () =>
      new Map([
        ["phylax_outcomes read disclosed", (all += 100)],
        ["phylax_refusals fault", (faults += failing)],
      ]);
    parts.traffic = traffic(0);
    await pass(400);
    parts.traffic = traffic(10);
    await pass(4);
    expect(await stateOf("gateway_failing")).toBe("quiet");
    await pass(41);
    expect(await stateOf("gateway_failing")).toBe("firing");
    expect(await stateOf("gateway_failing_slowly")).toBe("firing");
  },
);

test("the report and the messages of a watch that begins twice come once", async () => {
  await watch.begin();
  parts.report = async () => lateReport;
  await pass(3);
  await watch.begin();
  await pass(3);
  expect(receiver.got).toHaveLength(1);
});
