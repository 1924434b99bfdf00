import { largest } from "#kernel/largest";
import type { ConsentRules, Provision } from "./consent.ts";

/**
 * The facts of a row that a Consent asks for, beyond its type and patients. `labels`: also the labels, of the
 * origin and by the codes in the row. `whole`: its dates, codes, authors or references.
 */
export type AskedFacts = "nothing" | "labels" | "whole";

const known = new WeakMap<ConsentRules, AskedFacts>();

export function factsAsked(rules: ConsentRules): AskedFacts {
  const facts = known.get(rules) ?? most(rules.readings.map(({ root }) => ofProvision(root)));
  known.set(rules, facts);
  return facts;
}

const order: readonly AskedFacts[] = ["nothing", "labels", "whole"];
const most = (facts: readonly AskedFacts[]): AskedFacts =>
  order[
    largest(
      facts.map((each) => order.indexOf(each)),
      0,
    )
  ] ?? "whole";

function ofProvision({ limits, exceptions }: Provision): AskedFacts {
  const { dataPeriod, codes, data, labels } = limits;
  const isWhole = [dataPeriod, codes, data].some((limit) => limit !== undefined);
  const needed = isWhole ? "whole" : labels === undefined ? "nothing" : "labels";
  return most([needed, ...exceptions.map(ofProvision)]);
}

/** Answers whether a Consent asks for more than is known of a row. @param captured undefined: the whole row. */
export const isBeyond = (needed: AskedFacts, captured: AskedFacts | undefined): boolean =>
  captured !== undefined && order.indexOf(needed) > order.indexOf(captured);
