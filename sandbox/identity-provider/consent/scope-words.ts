import { kindInWords } from "#audit/accounting/page/english";
import { operatorScope } from "../operators.ts";

const deeds: Readonly<Record<string, string>> = {
  rs: "Read and search",
  read: "Read and search",
  r: "Read",
  s: "Search",
};

const known: Readonly<Record<string, string>> = {
  openid: "Know who you are and which record is yours",
  fhirUser: "Know who you are and which record is yours",
  "launch/patient": "Know who you are and which record is yours",
  offline_access: "Stay connected for a day without asking you again",
  [operatorScope]: "Operate this service in your name, for five minutes",
};

/**
 * Scopes (SMART App Launch 2) in the words of the person who is asked: one sentence for each thing that they
 * permit. A scope that has no words here shows its own text, so that nothing is permitted unseen.
 */
export function scopesInWords(scopes: readonly string[]): readonly string[] {
  return [...new Set(scopes.map(inWords))];
}

function inWords(scope: string): string {
  const [, type = "", permission = ""] = /^patient\/(\*|[A-Za-z]+)\.(rs|read|r|s)$/u.exec(scope) ?? [];
  const deed = deeds[permission];
  if (deed === undefined) return (Object.hasOwn(known, scope) ? known[scope] : undefined) ?? scope;
  return type === "*" ? `${deed} all kinds of your records` : `${deed} your ${kindInWords(type)[1]}`;
}
