import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "vitest";
import { Doorkeeper, peopleOf } from "../../../sandbox/identity-provider/people.ts";
import { totp } from "../../../sandbox/identity-provider/totp.ts";

const at = Date.UTC(2026, 10, 24, 12);

test("people keep their passwords with the state, each has their own, and a login names no patient", ({
  expect,
  onTestFinished,
}) => {
  const state = mkdtempSync(join(tmpdir(), "phylax-"));
  onTestFinished(() => rmSync(state, { recursive: true }));
  const people = peopleOf(state, ["amara-okafor", "jose-nunez"]);
  expect(people.map(({ login, patient, fhirUser }) => ({ login, patient, fhirUser }))).toEqual([
    { login: "patient-1", patient: "amara-okafor", fhirUser: "Patient/amara-okafor" },
    { login: "patient-2", patient: "jose-nunez", fhirUser: "Patient/jose-nunez" },
  ]);
  expect(new Set(people.flatMap(({ password, totp: secret }) => [password, secret])).size).toBe(4);
  for (const { password } of people) expect(password).toMatch(/^[A-Za-z0-9_-]{20}$/u);
  expect(peopleOf(state, ["amara-okafor", "jose-nunez"])).toEqual(people);
});

test("only the right password of that login is accepted, and a requested code must be right as well", ({
  expect,
}) => {
  const person = (login: string, password: string) => ({
    login,
    password,
    totp: "GEZDGNBVGY3TQOJQ",
    patient: "p",
    fhirUser: "Patient/p",
  });
  const [one, two] = [person("one", "first"), person("two", "second")];
  const doorkeeper = new Doorkeeper([one, two]);
  const admit = (login: string, password: string, code?: string) =>
    doorkeeper.admit({ login, password, code }, at);
  expect(admit("one", "first")).toEqual(one);
  for (const [login, password] of [
    ["one", "second"],
    ["one", ""],
    ["two", "first"],
    ["nobody", ""],
    ["nobody", "first"],
    ["__proto__", ""],
  ] as const)
    expect(admit(login, password), login).toBeUndefined();
  const code = totp(one.totp, at);
  expect(admit("one", "first", "")).toBeUndefined();
  expect(admit("one", "wrong", code), "does not spend the code").toBeUndefined();
  expect(admit("one", "first", code)).toEqual(one);
  expect(admit("one", "first", code), "once").toBeUndefined();
});
