import { test } from "vitest";
import { instant } from "#kernel/clock";
import { rowShare, RowShareSpent } from "#fhir/search/row-work";
import {
  decideByConsents,
  type Combining,
  type ConsentBase,
  type FiledConsent,
} from "#policy/consent/decide-by-consents";
import { readConsent } from "#policy/consent/read-consent";
import { rowFactsOf } from "#policy/consent/row-facts";
import { cpuMillisecondsOf } from "../../support/cpu-milliseconds.ts";
import { base, consent, observation, purpose, recipient, requestOf, type Asking } from "./scene.ts";

const row = rowFactsOf(observation(), base);
const filed = (digest: string, provision: object, more: object = {}, mayPermit = true): FiledConsent => ({
  digest,
  rules: readConsent(consent(provision, more), base),
  consent: "c",
  filedAt: instant(Date.parse("2026-06-01T00:00:00Z")),
  mayPermit,
});
const decide = (
  consents: readonly FiledConsent[],
  combining: Combining = "deny-overrides",
  asking: Asking = {},
  ground: ConsentBase = "required",
) => decideByConsents(consents, requestOf(asking), row, { base: ground, combining });

const permit = filed("permit", { type: "permit" });
const deny = filed("deny", { type: "deny" });

test("without a word of any Consent the base policy decides", ({ expect }) => {
  const research = filed("research", { type: "deny", purpose: [purpose("HRESCH")] });
  for (const consents of [[], [research]]) {
    expect(decide(consents, "deny-overrides", {}, "honoured")).toEqual({
      isPermitted: true,
      because: undefined,
    });
    expect(decide(consents)).toEqual({ isPermitted: false, because: undefined });
  }
});

test("a denial overrides a permit, and the decision names the Consent and its provision", ({ expect }) => {
  for (const consents of [
    [permit, deny],
    [deny, permit],
  ])
    expect(decide(consents)).toEqual({
      isPermitted: false,
      because: { consent: "c", digest: "deny", path: "provision" },
    });
  expect(decide([permit])).toEqual({
    isPermitted: true,
    because: { consent: "c", digest: "permit", path: "provision" },
  });
});

test("the most specific verdict wins where the policy says so; a denial wins a tie", ({ expect }) => {
  const forOne = filed("one", {
    type: "permit",
    purpose: [purpose("TREAT")],
    actor: [recipient({ reference: "Practitioner/p" })],
  });
  expect(decide([deny, forOne], "most-specific").isPermitted).toBe(true);
  expect(decide([deny, forOne], "most-specific", { who: ["Practitioner/q"] }).isPermitted).toBe(false);
  expect(decide([deny, permit], "most-specific").isPermitted).toBe(false);
});

test("the Consent that was given last wins where the policy says so; a denial wins when dates do not tell", ({
  expect,
}) => {
  const given = (type: string, dateTime: string | undefined) => filed(type, { type }, { dateTime });
  const wins = (denied: string | undefined, permitted: string | undefined) =>
    decide([given("deny", denied), given("permit", permitted)], "most-recent").isPermitted;
  expect(wins("2025-01-01", "2026-01-01")).toBe(true);
  expect(wins("2026-01-01", "2025-01-01")).toBe(false);
  expect(wins("2026-01-01", "2026-01-01")).toBe(false);
  expect(wins("2026-01-01", "2026")).toBe(false);
  expect(wins(undefined, "2026-01-01")).toBe(false);
  expect(wins("2025-01-01", undefined)).toBe(false);
  // a date after the filing is no date in its favour
  expect(wins("2026-05-31", "2999-01-01")).toBe(true);
  expect(wins("2999-01-01", "2999-01-02")).toBe(false);
  expect(decide([given("permit", undefined)], "most-recent").isPermitted).toBe(true);
});

test("a Consent of those who profit permits nothing, and still denies", ({ expect }) => {
  expect(decide([filed("own", { type: "permit" }, {}, false)])).toEqual({
    isPermitted: false,
    because: undefined,
  });
  expect(decide([permit, filed("own", { type: "deny" }, {}, false)]).isPermitted).toBe(false);
});

/** A Consent of the pair: an effect, the criteria of its frame, a date, and the authority of its writer. */
interface Sample {
  readonly effect: "permit" | "deny";
  readonly criteria: readonly ("purpose" | "actor")[];
  readonly isAbout: boolean;
  readonly given: string | undefined;
  readonly mayPermit: boolean;
}
const samples: readonly Sample[] = (["permit", "deny"] as const).flatMap((effect) =>
  ([[], ["purpose"], ["purpose", "actor"]] as const).flatMap((criteria) =>
    [true, false].flatMap((isAbout) =>
      ["2026-01-01", "2026-03-01", undefined].flatMap((given) =>
        [true, false].map((mayPermit) => ({ effect, criteria, isAbout, given, mayPermit })),
      ),
    ),
  ),
);
const filedSample = ({ effect, criteria, isAbout, given, mayPermit }: Sample): FiledConsent =>
  filed(
    "sample",
    {
      type: effect,
      ...((criteria.includes("purpose") || !isAbout) && { purpose: [purpose(isAbout ? "TREAT" : "HRESCH")] }),
      ...(criteria.includes("actor") && { actor: [recipient({ reference: "Practitioner/p" })] }),
    },
    { dateTime: given },
    mayPermit,
  );

/** The independent reading of docs/consent.md ("Several Consents"). */
function expectedOf(pair: readonly Sample[], combining: Combining, ground: ConsentBase): boolean {
  const speaking = pair.filter(
    ({ isAbout, effect, mayPermit }) => isAbout && (effect === "deny" || mayPermit),
  );
  // a date that is missing: a denial may be the last, and a permit the first
  const day = ({ given, effect }: Sample) => given ?? (effect === "deny" ? "2026-06-01" : "");
  const best = (rank: (sample: Sample) => string | number) => {
    const most = speaking.map(rank).reduce((a, b) => (b > a ? b : a), rank(speaking[0] as Sample));
    return speaking.filter((sample) => rank(sample) === most);
  };
  if (speaking.length === 0) return ground === "honoured";
  const counted =
    combining === "deny-overrides"
      ? speaking
      : best(combining === "most-specific" ? ({ criteria }) => criteria.length : day);
  return counted.every(({ effect }) => effect === "permit");
}

test("two Consents agree under each combining rule and each base as an independent reading says", ({
  expect,
}) => {
  let pairs = 0;
  const filedOnce = new Map(samples.map((sample) => [sample, [filedSample(sample)]]));
  for (const combining of ["deny-overrides", "most-specific", "most-recent"] as const)
    for (const ground of ["honoured", "required"] as const)
      for (const [index, first] of samples.entries())
        for (const second of samples.slice(index)) {
          pairs++;
          const both = [first, second];
          const found = decide(
            both.flatMap((sample) => filedOnce.get(sample) ?? []),
            combining,
            {},
            ground,
          ).isPermitted;
          if (found !== expectedOf(both, combining, ground))
            expect.fail(`${JSON.stringify({ combining, ground, both })}: ${found}`);
        }
  expect(pairs).toBe(6 * ((samples.length * (samples.length + 1)) / 2));
});

test("each provision of each Consent costs the row units of its share, and too many end its judgement", ({
  expect,
}) => {
  const limited = (many: number) =>
    filed("many", {
      type: "permit",
      provision: Array.from({ length: many }, (_, at) => ({
        type: "deny",
        data: [{ meaning: "instance", reference: { reference: `Observation/other-${at}` } }],
      })),
    });
  const spentBy = (consents: readonly FiledConsent[]): number => {
    const judged = rowFactsOf(observation(), base);
    decideByConsents(consents, requestOf(), judged, { base: "required", combining: "deny-overrides" });
    return judged.work.spent;
  };
  expect(spentBy([limited(20)])).toBeGreaterThan(1.8 * spentBy([limited(10)]));
  expect(spentBy([limited(10), limited(10)])).toBe(2 * spentBy([limited(10)]));
  const dear = limited(150);
  expect(spentBy(Array.from({ length: 200 }, () => dear))).toBeLessThan(rowShare);
  expect(() => spentBy(Array.from({ length: 1_000 }, () => dear))).toThrow(RowShareSpent);
});

test("many labels of a row and of a Consent cost their sum", ({ expect }) => {
  const labels = (many: number, name: string) =>
    Array.from({ length: many }, (_, at) => ({ system: "urn:labels", code: `${name}${at}` }));
  const judged = rowFactsOf(observation({ meta: { security: labels(1_000, "a") } }), base);
  const consents = Array.from({ length: 100 }, () =>
    filed("labels", { type: "permit", securityLabel: labels(1_000, "a") }),
  );
  const cpu = cpuMillisecondsOf(() => {
    const decided = decideByConsents(consents, requestOf(), judged, {
      base: "required",
      combining: "deny-overrides",
    });
    expect(decided.isPermitted).toBe(true);
  });
  expect(cpu).toBeLessThan(200);
});
