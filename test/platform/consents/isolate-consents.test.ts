import { test } from "vitest";
import { instant } from "#kernel/clock";
import { storedFormOf } from "#policy/consent/stored-form";
import { IsolateConsents } from "#platform/consents/isolate-consents";
import type { ConsentQuestion } from "#platform/consents/consent-desk";
import type { AppliedUpdate, RecordName } from "#registry/revocation";

const small = storedFormOf({ isActive: true, readings: [] });

/** A desk with a Consent of each patient in `filed`, by its digest, and the isolate's copies in front of it. */
function scene(filed: Map<string, { digest: string; form?: string; mayPermit?: boolean; filedBy?: string }>) {
  const questions: ConsentQuestion[] = [];
  let now = 1_000_000;
  let isDown = false;
  let meanwhile = () => {};
  const consents = new IsolateConsents(
    {
      async of(question) {
        questions.push(question);
        if (isDown) throw new Error("D1 is down");
        const answers = question.patients.map((patient) => {
          const { digest, form = small, mayPermit = true, filedBy = null } = filed.get(patient) ?? {};
          const consent = {
            consent: "c",
            digest: digest ?? "",
            form,
            mayPermit,
            filedBy,
            filedAt: instant(0),
          };
          const formerSubjects = [`former pseudonym of ${patient}`];
          const consents = digest === undefined ? [] : [consent];
          return { subject: `pseudonym of ${patient}`, formerSubjects, consents };
        });
        meanwhile();
        return answers;
      },
    },
    () => instant(now),
  );
  const hear = (epoch: number, more: Partial<AppliedUpdate> & { pending?: readonly RecordName[] } = {}) =>
    consents.apply({
      client: "a",
      standing: { epoch, bookmark: `${epoch}`, pending: more.pending ?? [], consentOrigins: ["main"] },
      stale: [],
      after: epoch - 1,
      asOf: instant(now),
      ...more,
    });
  const digests = async (...patients: string[]) => {
    const found = await consents.consentsOf("main", patients, "a");
    return found === "unavailable"
      ? found
      : patients.map(
          (patient) =>
            found
              .get(patient)
              ?.map(({ digest }) => digest)
              .join() ?? "no answer",
        );
  };
  return {
    consents,
    questions,
    hear,
    digests,
    pass: (milliseconds: number) => (now += milliseconds),
    down: (is: boolean) => (isDown = is),
    onQuestion: (act: () => void) => (meanwhile = act),
  };
}
const changed = (patient: string): RecordName => `consent/main/pseudonym of ${patient}`;

test("all patients that an isolate does not know are asked for in a single call, and the answer is good as long as deltas arrive", async ({
  expect,
}) => {
  const { digests, hear, questions, pass } = scene(new Map([["p", { digest: "1" }]]));
  hear(5, { after: undefined });
  expect(await digests("p", "q")).toEqual(["1", ""]);
  expect(questions).toEqual([{ origin: "main", patients: ["p", "q"], bookmark: "5", hasPending: false }]);
  for (let n = 0; n < 30; n += 1) {
    pass(4_000);
    hear(5, { after: 5 });
    expect(await digests("p", "q")).toEqual(["1", ""]);
  }
  expect(questions.length, "also a patient without Consents is remembered").toBe(1);
  expect(await digests("p", "r")).toEqual(["1", ""]);
  expect(questions[1]?.patients).toEqual(["r"]);
});

test("an origin without Consents costs no call, and an origin that may have some costs a call", async ({
  expect,
}) => {
  const { consents, hear, questions } = scene(new Map());
  hear(5, { after: undefined });
  expect(await consents.consentsOf("other", ["p"], "a")).toEqual(new Map([["p", []]]));
  expect(questions).toEqual([]);
  hear(6, { standing: { epoch: 6, bookmark: null, pending: [] } });
  await consents.consentsOf("other", ["p"], "a");
  expect(questions.length).toBe(1);
});

test("a delta drops the copies of its patient alone", async ({ expect }) => {
  const filed = new Map([["p", { digest: "1" }]]);
  const { digests, hear, questions } = scene(filed);
  hear(5, { after: undefined });
  await digests("p", "q");
  filed.set("p", { digest: "2" });
  filed.set("q", { digest: "3" });
  hear(6, { stale: [changed("p"), "client/a"] });
  expect(await digests("p", "q")).toEqual(["2", ""]);
  expect(questions[1]).toMatchObject({ patients: ["p"], bookmark: "6" });
});

test("a change that the isolate itself has filed counts before its delta comes, also against an answer on its way and a database that lags", async ({
  expect,
}) => {
  const filed = new Map([["p", { digest: "1" }]]);
  const { consents, digests, hear, questions, onQuestion } = scene(filed);
  const none = { epoch: 5, bookmark: "5", pending: [], consentOrigins: [] };
  hear(5, { after: undefined, standing: none });
  expect([consents.mayHave("main"), await digests("p")]).toEqual([false, [""]]);
  consents.applyFiled("main", { records: [changed("p")], epoch: 7, bookmark: "7" });
  expect([consents.mayHave("main"), await digests("p", "q")]).toEqual([true, ["1", ""]]);
  expect(questions.at(-1)?.bookmark, "not the bookmark of the deltas").toBe("7");

  hear(8, { after: 5 });
  onQuestion(() => {
    filed.set("p", { digest: "2" });
    consents.applyFiled("main", { records: [changed("p")], epoch: 9, bookmark: "9" });
    onQuestion(() => {});
  });
  expect(await digests("p", "q"), "the answer was on its way").toEqual(["1", ""]);
  expect(await digests("p", "q")).toEqual(["2", ""]);
  hear(10, { stale: [changed("p")], after: 8 });
  await digests("p");
  expect(questions.at(-1)).toMatchObject({ patients: ["p"], bookmark: "10" });
});

test("while the key of pseudonyms is replaced, a delta drops the copy by the patient's former name too", async ({
  expect,
}) => {
  const filed = new Map([["p", { digest: "1" }]]);
  const { digests, hear } = scene(filed);
  hear(5, { after: undefined });
  await digests("p", "q");
  filed.set("p", { digest: "2" });
  filed.set("q", { digest: "3" });
  hear(6, { stale: ["consent/main/former pseudonym of p"] });
  expect(await digests("p", "q")).toEqual(["2", ""]);
});

test("no copy is used seven seconds after the last delta, and none is used across a gap in the deltas", async ({
  expect,
}) => {
  const filed = new Map([["p", { digest: "1" }]]);
  const { digests, hear, questions, pass } = scene(filed);
  hear(5, { after: undefined });
  await digests("p");
  filed.set("p", { digest: "2" });
  pass(6_999);
  expect(await digests("p")).toEqual(["1"]);
  pass(1);
  expect(await digests("p")).toEqual(["2"]);
  expect(questions[1], "read at the primary").toMatchObject({ bookmark: null, hasPending: true });

  // a further client's first update names no change, and no delta has arrived for a while
  hear(9, { after: undefined });
  await digests("p");
  expect(questions.length).toBe(3);
  filed.set("p", { digest: "3" });
  pass(3_000);
  hear(20, { after: undefined });
  expect(await digests("p")).toEqual(["3"]);
});

test("while one client's deltas arrive, the first update of a further client drops no copy", async ({
  expect,
}) => {
  const filed = new Map([["p", { digest: "1" }]]);
  const { digests, hear, questions, pass } = scene(filed);
  hear(5, { after: undefined });
  await digests("p");
  pass(1_000);
  hear(20, { after: undefined, client: "b" });
  expect(await digests("p")).toEqual(["1"]);
  expect(questions.length).toBe(1);
  filed.set("p", { digest: "2" });
  hear(20, { after: 5, stale: [changed("p")] });
  expect(await digests("p")).toEqual(["2"]);
});

test("an answer that may lack a change that arrived meanwhile is not stored", async ({ expect }) => {
  const filed = new Map([["p", { digest: "1" }]]);
  const { digests, hear, questions, onQuestion } = scene(filed);
  hear(5, { after: undefined });
  onQuestion(() => hear(6, { stale: [changed("p")] }));
  await digests("p", "q");
  onQuestion(() => {});
  filed.set("p", { digest: "2" });
  expect(await digests("p", "q")).toEqual(["2", ""]);
  expect(questions[1]?.patients, "q is stored").toEqual(["p"]);
});

test("when D1 is down, copies go on until ten minutes after their read, and unknown patients are unavailable", async ({
  expect,
}) => {
  const { digests, hear, pass, down } = scene(new Map([["p", { digest: "1" }]]));
  hear(5, { after: undefined });
  await digests("p");
  down(true);
  expect(await digests("p", "q")).toBe("unavailable");
  for (let n = 0; n < 119; n += 1) {
    pass(5_000);
    hear(5, { after: 5 });
    expect(await digests("p")).toEqual(["1"]);
  }
  pass(5_000);
  hear(5, { after: 5 });
  expect(await digests("p")).toBe("unavailable");
});

test("while a Consent at the origin is being changed, the question says so", async ({ expect }) => {
  const { digests, hear, questions } = scene(new Map());
  hear(5, { after: undefined, pending: [changed("z")] });
  await digests("p");
  expect(questions[0]?.hasPending).toBe(true);
});

test("a Consent does not permit for the client that filed it", async ({ expect }) => {
  const filed = new Map([["p", { digest: "1", filedBy: "registrar" }]]);
  const { consents, hear } = scene(filed);
  hear(5, { after: undefined });
  const mayPermit = async (client: string) => {
    const found = await consents.consentsOf("main", ["p"], client);
    return found === "unavailable" ? found : found.get("p")?.map((each) => each.mayPermit);
  };
  expect(await mayPermit("telehealth")).toEqual([true]);
  expect(await mayPermit("registrar")).toEqual([false]);
  expect(await mayPermit("telehealth")).toEqual([true]);
});

test("copies and rules hold eight mebibytes of forms each: the oldest are read again", async ({ expect }) => {
  const form = small.padEnd(65_536);
  const patients = Array.from({ length: 129 }, (_, n) => `${n}`);
  const { consents, hear, questions } = scene(new Map(patients.map((digest) => [digest, { digest, form }])));
  const rulesOf = async (patient: string) => {
    const found = await consents.consentsOf("main", [patient], "a");
    return found === "unavailable" ? found : found.get(patient)?.[0]?.rules;
  };
  hear(5, { after: undefined });
  const before = new Map<string, unknown>();
  for (const patient of patients) before.set(patient, await rulesOf(patient));
  expect(questions.length).toBe(129);
  expect(await rulesOf("1"), "remembered").toBe(before.get("1"));
  expect(questions.length).toBe(129);
  expect(await rulesOf("0"), "forgotten").not.toBe(before.get("0"));
  expect(questions.length).toBe(130);
});
