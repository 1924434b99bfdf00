import { kindInWords } from "#audit/accounting/page/english";
import { operatorScope } from "../operators.ts";

const deeds: Readonly<Record<string, string>> = {
  rs: "Read and search",
  read: "Read and search",
  r: "Read",
  s: "Search",
  c: "Add to",
};

const known: Readonly<Record<string, string>> = {
  openid: "Know who you are and which record is yours",
  fhirUser: "Know who you are and which record is yours",
  "launch/patient": "Know who you are and which record is yours",
  launch: "Know for which patient you launched it",
  offline_access: "Stay connected for a day without asking you again",
  online_access: "Stay connected while you are signed in here",
  [operatorScope]: "Operate this service in your name, for five minutes",
};

/**
 * Scopes (SMART App Launch 2) in the words of the person who is asked: one sentence for each thing that they
 * permit. A scope that has no words here shows its own text, so that nothing is permitted unseen.
 * @param isPatient the person has records of their own; otherwise the records are those of a patient.
 */
export function scopesInWords(scopes: readonly string[], isPatient = true): readonly string[] {
  return [...new Set(scopes.map((scope) => inWords(scope, isPatient)))];
}

function inWords(whole: string, isPatient: boolean): string {
  const [scope = "", ...conditions] = whole.split("?"); // patient/Observation.rs?category=…
  const [, context = "", type = "", permission = ""] =
    /^(patient|user)\/(\*|[A-Za-z]+)\.(rs|read|r|s|c)$/u.exec(scope) ?? [];
  const deed = deeds[permission];
  if (deed === undefined) return (Object.hasOwn(known, whole) ? known[whole] : undefined) ?? whole;
  if (conditions.length > 0) return `${inWords(scope, isPatient)}, only with ${conditions.join("?")}`;
  const kinds = type === "*" ? "kinds of records" : kindInWords(type)[1];
  if (context === "user") return `${deed} ${type === "*" ? `all ${kinds}` : kinds} that you may see`;
  if (!isPatient) return `${deed} ${type === "*" ? `all ${kinds}` : kinds} of the patient`;
  return type === "*" ? `${deed} all kinds of your records` : `${deed} your ${kinds}`;
}
