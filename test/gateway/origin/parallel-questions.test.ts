import { test } from "vitest";
import type { OriginQuestion } from "#fhir/ports";
import { TargetBook } from "#fhir/r4/target-book";
import { RequestConsents } from "#gateway/consents/request-consents";
import { FollowedTargets } from "#gateway/origin/followed-targets";
import { FollowedLabels } from "#gateway/origin/followed-labels";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { ConsentBook } from "#policy/consent/consent-book";
import { rowLabels } from "#policy/sensitivity/row-labels";
import { sessionOf } from "../../support/origin-session.ts";

const base = "https://api.example/v1/fhir/main";
const encounter = { resourceType: "Encounter", id: "e", subject: { reference: "Patient/ann" } };
const row = {
  resourceType: "Observation",
  subject: encounter.subject,
  encounter: { reference: "Encounter/e" },
};
const nameOf = (question: OriginQuestion) => ("path" in question ? question.path : "link");

test("of two questions at the same time neither leaves before the labels of the rows so far are known", async ({
  expect,
}) => {
  const asked: string[] = [];
  let areLabelsRead = false;
  const session = sessionOf(async (question) => {
    const name = nameOf(question);
    asked.push(areLabelsRead || name === "Encounter" ? name : `${name} too early`);
    if (name !== "Encounter") return err({ reason: "absent" });
    await new Promise((resolve) => void setTimeout(resolve, 20));
    const text = JSON.stringify({
      resourceType: "Bundle",
      type: "searchset",
      entry: [{ resource: encounter, search: { mode: "match" } }],
    });
    async function* body() {
      yield ok(new TextEncoder().encode(text));
      areLabelsRead = true;
    }
    return ok({ kind: "answered", body: body(), base });
  });
  const at = instant(0);
  const book = new ConsentBook({
    request: {
      recipient: { references: new Set(), identifiers: new Set() },
      holder: { references: new Set(), identifiers: new Set() },
      purpose: "TREAT",
      api: undefined,
      at,
    },
    individual: undefined,
    publicBase: base,
  });
  const noConsents = { mayHave: () => false, consentsOf: async () => new Map(), reread: () => {} };
  session.judgeBy(new RequestConsents(book, noConsents, "main", "test"));
  const labels = new FollowedLabels("parallel", at);
  session.labelBy(labels);
  session.followBy(
    new FollowedTargets(new TargetBook(), () =>
      err({ reason: "outside_patient_compartment", type: "Observation" }),
    ),
  );
  const shown = await session.decided(async () => {
    const { hasUnknown } = labels.book.withReferred(rowLabels([]), row, base);
    const each = await Promise.all(
      ["Patient/a", "Patient/b"].map((path) => session.ask({ path, query: "" })),
    );
    return ok({ isShown: !hasUnknown, reasons: each.map((one) => (one.ok ? "" : one.error.reason)) });
  });
  expect(shown).toEqual(ok({ isShown: true, reasons: ["absent", "absent"] }));
  expect(asked).toEqual(["Encounter", "Patient/a", "Patient/b"]);
});
