import type { Claim, Coverage, ExplanationOfBenefit, Money } from "@medplum/fhirtypes";
import { exactText } from "../origin/exact-json.ts";
import { at, daysAgo } from "./calendar.ts";
import { to, type Chart, type Visit } from "./chart.ts";
import { insurer } from "./institutions.ts";
import { conceptOf, hl7, icd10 } from "./vocabulary.ts";

/**
 * A member's coverage. A family is one contract: each member has a Coverage with the same subscriber and
 * subscriber number.
 */
export function coverage({ person, patient, id }: Chart, memberNumber: number): Coverage {
  const subscriber = person.subscriber ?? person.id;
  const self = subscriber === person.id;
  return {
    resourceType: "Coverage",
    id: id("Coverage"),
    identifier: [
      {
        type: hl7("v2-0203", "MB", "Member Number"),
        system: "https://commonwealth-mutual.example/member",
        value: `${number(subscriber)}-0${memberNumber}`,
      },
    ],
    status: "active",
    type: hl7("v3-ActCode", "EHCPOL", "extended healthcare"),
    policyHolder: to("Patient", subscriber),
    subscriber: to("Patient", subscriber),
    subscriberId: number(subscriber),
    beneficiary: patient,
    dependent: `0${memberNumber}`,
    relationship: hl7(
      "subscriber-relationship",
      self ? "self" : person.id.startsWith(subscriber) ? "child" : "spouse",
    ),
    period: { start: daysAgo(1400) },
    payor: [to("Organization", insurer)],
    class: [{ type: hl7("coverage-class", "plan"), value: "CM-GOLD-2026", name: "Gold" }],
  };
}

/** The subscriber's number, the same for the whole family. */
const number = (subscriber: string) =>
  `CM${subscriber.split("").reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1_000_000, 7)}`;

/** The cost of a visit, and the insurer's answer. */
export function claimOf(
  { patient, random, id }: Chart,
  visit: Visit,
  coverageId: string,
): [Claim, ExplanationOfBenefit] {
  const cents = random.int(90, 420) * 100 + random.pick([0, 10, 50]);
  const charge = dollars(cents);
  const insurance = { coverage: to("Coverage", coverageId), focal: true };
  const claimed: Claim = {
    resourceType: "Claim",
    id: id("Claim"),
    status: "active",
    type: hl7("claim-type", "professional"),
    use: "claim",
    patient,
    billablePeriod: { start: at(visit.date, visit.hour), end: at(visit.date, visit.hour, 30) },
    created: at(visit.date, visit.hour + 2),
    insurer: to("Organization", insurer),
    provider: to("Organization", visit.organization),
    priority: hl7("processpriority", "normal"),
    insurance: [{ ...insurance, sequence: 1 }],
    diagnosis: [
      {
        sequence: 1,
        diagnosisCodeableConcept: conceptOf(icd10, "Z00.00", "General adult medical examination"),
      },
    ],
    item: [
      {
        sequence: 1,
        diagnosisSequence: [1],
        productOrService: conceptOf(
          "http://www.ama-assn.org/go/cpt",
          "99213",
          "Office or other outpatient visit",
        ),
        encounter: [to("Encounter", visit.encounter)],
        net: charge,
      },
    ],
    total: charge,
  };
  const paid = Math.round(cents * 0.8);
  const explained: ExplanationOfBenefit = {
    resourceType: "ExplanationOfBenefit",
    id: id("ExplanationOfBenefit"),
    status: "active",
    type: hl7("claim-type", "professional"),
    use: "claim",
    patient,
    created: at(visit.date, visit.hour + 5),
    insurer: to("Organization", insurer),
    provider: to("Organization", visit.organization),
    claim: to("Claim", claimed.id ?? ""),
    outcome: "complete",
    insurance: [insurance],
    item: [
      {
        sequence: 1,
        productOrService: conceptOf(
          "http://www.ama-assn.org/go/cpt",
          "99213",
          "Office or other outpatient visit",
        ),
        encounter: [to("Encounter", visit.encounter)],
        adjudication: [{ category: hl7("adjudication", "benefit"), amount: dollars(paid) }],
      },
    ],
    total: [
      { category: hl7("adjudication", "submitted"), amount: charge },
      { category: hl7("adjudication", "benefit"), amount: dollars(paid) },
    ],
    payment: { amount: dollars(paid) },
  };
  return [claimed, explained];
}

const dollars = (cents: number): Money => ({ value: exactText((cents / 100).toFixed(2)), currency: "USD" });
