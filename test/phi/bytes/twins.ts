import { ownersNamed } from "#fhir/r4/concerned-patients";
import { Facts, type FactPath } from "#fhir/json/facts";
import { isObject, property, readJson, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { byteClassesOf } from "#phi/bytes/byte-classes";
import { ByteCutter } from "#phi/bytes/cutter";
import { Plan } from "#phi/bytes/plan";
import { unusual } from "#phi/bytes/unusual";
import { isResourceType } from "#fhir/r4/elements";
import { showsAll } from "#policy/view/shown";
import { compileView } from "#policy/view/view";
import { originUrls, type Bases } from "#phi/origin-urls";
import { redactResource } from "#phi/redact";
import { hidesOwner } from "#phi/shown-reference";
import type { ResourceView } from "#policy/compile";
import { isHarmless, labelsOf } from "#policy/labels";

/** Bases whose addresses the hostile texts of the fuzzing contain. */
export const bases: Bases = {
  origin: "http://origin.internal:8080/fhir",
  public: "https://api.example/v1/fhir/main",
  // some URLs of attachments get a link
  sealed: (row, url) => (url.length % 2 === 0 ? `Binary/link-of-${row}-to-${url.length}` : undefined),
  // and some do not leave without a link
  isStored: (url) => url.length % 3 === 0,
};

/** The facts that the engine is asked for: some that exist, and some that hardly do. */
const facts: readonly FactPath[] = [
  ["resourceType"],
  ["id"],
  ["meta", "security"],
  ["meta", "versionId"],
  ["subject"],
  ["patient"],
  ["category"],
  ["code"],
  ["address"],
  ["performer"],
  ["value"],
];

const cutter = new ByteCutter();
const urls = originUrls(bases);
const classes = byteClassesOf(bases);
const plans = new WeakMap<ResourceView, Plan | "unusual">();

/** As a policy would decide: some links may be named. */
const mayLinkTo = (other: JsonObject) => (textAt(other, "reference") ?? "").length % 2 === 0;

/** The views of contained resources; of further resources nothing leaves. */
const insideViews = new Map<string, ResourceView>();
function viewInside(inside: JsonObject): ResourceView | undefined {
  const type = textAt(inside, "resourceType") ?? "";
  if (!isResourceType(type) || type.length % 3 === 0) return undefined;
  const view = insideViews.get(type) ?? {
    object: compileView(type, showsAll, { all: false, urls: new Set() }),
    subsetted: true,
    hidden: [],
  };
  insideViews.set(type, view);
  return view;
}
const context = { bases, urls, classes };
const judge = { mayLinkTo, viewInside };

export type Verdict = "equal" | "left to the plain engine";

/**
 * Cuts a text by both engines. It throws if the byte engine releases anything that the plain engine does not
 * release in the same bytes, or reads other facts.
 *
 * @param fastView for a test of this comparison: the byte engine's view, if it is a different view.
 */
export function compare(bytes: Uint8Array, view: ResourceView, fastView: ResourceView = view): Verdict {
  const fast = cutFast(bytes, fastView);
  if (fast === undefined) return "left to the plain engine";
  const shown = (text: string) => `${text}\n${new TextDecoder().decode(bytes)}`;
  const read = readJson(bytes);
  if (!read.ok || !isObject(read.value))
    throw new Error(shown("the byte engine accepts what readJson refuses"));
  const resource = read.value;
  // The facts alone decide about labels, so a label inside has to be left to the plain engine.
  if (!isHarmless(labelsOf(Facts.of(resource, [["resourceType"]]))))
    throw new Error(shown("an inline label passes"));
  const found = redactResource(resource, view, { bases, urls, mayLinkTo, viewInside });
  if (!found.ok) throw new Error(shown(`the plain engine refuses: ${found.error}`));
  const { patients, unseen, room, unnamed, withheld, records } = found.value;
  const plain = {
    text: JSON.stringify(found.value.resource),
    patients: [...patients],
    unseen: [...unseen],
    room,
    unnamed,
    withheld,
    records,
    facts: facts.map((path) => JSON.stringify(factAt(resource, path))),
  };
  const owners = ownersNamed(resource, [bases.origin, bases.public]);
  const all = new Set([...owners.patients, ...fast.patients]);
  const seen = new Set(fast.patients.filter((_, index) => fast.areSeen[index] === true));
  if (textAt(resource, "resourceType") === "Patient")
    for (const patient of owners.patients) seen.add(patient);
  const other = {
    text: fast.text,
    patients: [...all],
    unseen: [...all].filter((patient) => !seen.has(patient)),
    room: fast.room + (hidesOwner(resource, view) ? 1 : 0),
    unnamed: owners.unnamed || fast.unnamed,
    withheld: fast.withheld,
    records: fast.records,
    facts: fast.facts,
  };
  if (JSON.stringify(plain) !== JSON.stringify(other))
    throw new Error(shown(`two results:\n${JSON.stringify(plain)}\n${JSON.stringify(other)}`));
  const changed = found.value.resource["meta"];
  const lastUpdated = isObject(changed) ? textAt(changed, "lastUpdated") : undefined;
  if (lastUpdated !== fast.lastUpdated) throw new Error(shown(`lastUpdated: ${fast.lastUpdated}`));
  return "equal";
}

function factAt(resource: JsonObject, [first, second]: FactPath): Json | undefined {
  const value = property(resource, first);
  return second === undefined ? value : isObject(value) ? property(value, second) : undefined;
}

function cutFast(bytes: Uint8Array, view: ResourceView) {
  try {
    const plan = plans.get(view) ?? new Plan(view, facts);
    if (plan === "unusual") return undefined;
    plans.set(view, plan);
    cutter.begin(context);
    cutter.judgeBy(judge);
    cutter.load(bytes);
    cutter.scanner.next();
    cutter.cut(plan);
    if (!cutter.scanner.isAtEnd) return undefined;
    const { mentions, factStart, factEnd } = cutter;
    return {
      text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(cutter.output.row),
      patients: mentions.copy().patients,
      areSeen: mentions.areSeen.slice(0, mentions.count),
      room: mentions.room,
      unnamed: mentions.unnamed,
      withheld: cutter.withheld,
      records: cutter.records,
      lastUpdated: cutter.lastUpdated,
      facts: facts.map((_, index) => {
        const end = factEnd[index] ?? 0;
        if (end === 0) return undefined;
        const value = readJson(cutter.scanner.bytes.subarray(factStart[index], end));
        return value.ok ? JSON.stringify(value.value) : "unread";
      }),
    };
  } catch (fault) {
    if (fault !== unusual) throw fault;
    if (!plans.has(view)) plans.set(view, "unusual");
    return undefined;
  }
}
