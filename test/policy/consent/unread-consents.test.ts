import { test } from "vitest";
import { instant } from "#kernel/clock";
import type { ConsentRules } from "#policy/consent/consent";
import { decideByConsents } from "#policy/consent/decide-by-consents";
import { judgeConsent } from "#policy/consent/judge-consent";
import { readConsent } from "#policy/consent/read-consent";
import { rowFactsOf } from "#policy/consent/row-facts";
import { readStoredForm, storedFormOf } from "#policy/consent/stored-form";
import { unreadConsents } from "#policy/consent/unread-consents";
import { base, consent, requestOf, resource } from "./scene.ts";

test("Consents that were not read deny each purpose but an emergency, whatever a newer or more specific Consent permits", ({
  expect,
}) => {
  const thp = "http://terminology.hl7.org/CodeSystem/";
  const purpose = ["TREAT", "HRESCH"].map((code) => ({ system: `${thp}v3-ActReason`, code }));
  const permit = readConsent(resource(consent({ type: "permit", purpose })), base);
  const filed = (name: string, rules: ConsentRules, mayPermit: boolean, filedAt: number) => ({
    consent: name,
    digest: name,
    rules,
    mayPermit,
    filedAt: instant(filedAt),
  });
  const later = Date.parse("2026-11-28");
  const both = [filed("unread", unreadConsents, false, 0), filed("permit", permit, true, later)];
  const row = rowFactsOf(resource({ resourceType: "Observation", id: "o" }), base);
  for (const combining of ["deny-overrides", "most-specific", "most-recent"] as const) {
    const permitted = ["TREAT", "HRESCH", "ETREAT", "BTG"].map(
      (code) =>
        decideByConsents(both, requestOf({ purpose: code }), row, { base: "honoured", combining })
          .isPermitted,
    );
    expect(permitted, combining).toEqual([false, false, true, true]);
  }
});

test("the stored form of the rules that stand for unread Consents is read as these rules", ({ expect }) => {
  expect(readStoredForm(storedFormOf(unreadConsents))).toEqual(unreadConsents);
});

test("a Consent with a longer form than is stored denies all but an emergency; the longest that is stored is read", ({
  expect,
}) => {
  const listed = (length: number) =>
    readConsent(
      resource(
        consent({ type: "deny", code: [{ coding: [{ system: "urn:c", code: "x".repeat(length) }] }] }),
      ),
      base,
    );
  const row = rowFactsOf(resource({ resourceType: "Observation", id: "o", code: { text: "pulse" } }), base);
  const verdict = (length: number) => judgeConsent(listed(length), requestOf({}), row).verdict;
  expect(storedFormOf(listed(65_000)).length).toBeLessThanOrEqual(65_536);
  expect([verdict(65_000), verdict(65_536)]).toEqual(["silent", "deny"]);
  const emergency = requestOf({ purpose: "ETREAT" });
  expect(judgeConsent(listed(65_536), emergency, row).verdict).toBe("permit");
  expect(storedFormOf(listed(1_000_000)).length).toBeLessThan(1_000);
});
