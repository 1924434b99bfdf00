import * as fc from "fast-check";
import { test } from "vitest";
import {
  formatScopes,
  heldToPatient,
  intersectScopes,
  narrowScopes,
  parseScopes,
  parseSignedInScopes,
  scopeReach,
  type Permission,
  type Reach,
  type Scopes,
} from "#identity/scopes";

const cruds: readonly Permission[] = ["c", "r", "u", "d", "s"];
const types = ["*", "Patient", "Observation"];
const scopes: fc.Arbitrary<Scopes> = fc.array(
  fc.record({
    context: fc.constantFrom("patient" as const, "system" as const),
    type: fc.constantFrom(...types),
    permissions: fc.subarray([...cruds], { minLength: 1 }),
  }),
  { minLength: 1, maxLength: 5 },
);
/** Nobody's rows, the patient's, everyone's: each holds the ones before it. */
const width = (reach: Reach | undefined): number => [undefined, "patient", "everyone"].indexOf(reach);
const read = (text: string): Scopes => {
  const parsed = parseScopes(text);
  if (!parsed.ok) throw new Error(parsed.error.reason);
  return parsed.value;
};

test.for([
  ["system/Patient.rs", "system/Patient.rs"],
  ["system/*.cruds system/Patient.r", "system/*.cruds system/Patient.r"],
  ["system/Patient.read", "system/Patient.rs"],
  ["patient/*.rs system/Practitioner.r", "patient/*.rs system/Practitioner.r"],
  ["patient/Observation.read", "patient/Observation.rs"],
  ["system/Patient.write", "system/Patient.cud"],
  ["system/*.*", "system/*.cruds"],
] as const)("%s is read as %s", ([text, as], { expect }) => {
  expect(formatScopes(read(text))).toBe(as);
});

test.for([
  ["", "scope_malformed"],
  ["system/Patient.rs  system/Patient.r", "scope_malformed"],
  ["system/Patient.sr", "scope_malformed"],
  ["system/Patient.rr", "scope_malformed"],
  ["system/Patient.x", "scope_malformed"],
  ["system/Patient.", "scope_unknown"],
  ["system/patient.rs", "scope_unknown"],
  ["openid", "scope_unknown"],
  ["launch/patient", "scope_unknown"],
  ["SYSTEM/Patient.rs", "scope_unknown"],
  ["user/*.cruds", "scope_context_unsupported"],
  ["PATIENT/*.rs", "scope_unknown"],
  ["patient/Observation.rs?category=laboratory", "scope_query_unsupported"],
  ["system/Observation.rs?category=laboratory", "scope_query_unsupported"],
  ["system/Patient.constructor", "scope_malformed"],
] as const)("'%s' is refused: %s", ([text, reason], { expect }) => {
  expect(parseScopes(text)).toEqual({ ok: false, error: { reason } });
});

test("what is formatted is read as the same", ({ expect }) => {
  fc.assert(
    fc.property(scopes, (some) => {
      expect(formatScopes(read(formatScopes(some)))).toBe(formatScopes(some));
    }),
  );
});

test("an intersection reaches what both reach and never more rows than the narrower", ({ expect }) => {
  fc.assert(
    fc.property(
      scopes,
      scopes,
      fc.constantFrom("Patient", "Observation", "Claim"),
      fc.constantFrom(...cruds),
      (left, right, type, permission) => {
        const [a, b] = [left, right].map((side) => width(scopeReach(side, type, permission)));
        expect(width(scopeReach(intersectScopes(left, right), type, permission))).toBe(Math.min(a ?? 0, b ?? 0));
      },
    ),
  );
});

test("narrowed scopes permit nothing that the grant does not, also for types of tomorrow", ({ expect }) => {
  fc.assert(
    fc.property(
      scopes,
      scopes,
      fc.constantFrom("Patient", "Claim", "Tomorrow"),
      fc.constantFrom(...cruds),
      (asked, granted, type, permission) => {
        const narrowed = narrowScopes(asked, granted);
        const reach = width(scopeReach(narrowed.ok ? narrowed.value : [], type, permission));
        expect(reach).toBeLessThanOrEqual(width(scopeReach(granted, type, permission)));
      },
    ),
  );
});

test("taking a scope away never widens, and a hold to one patient reaches nobody else's rows", ({ expect }) => {
  fc.assert(
    fc.property(scopes, fc.nat(), fc.constantFrom("Patient", "Claim"), fc.constantFrom(...cruds), (some, at, type, permission) => {
      const reach = scopeReach(some, type, permission);
      const fewer = some.filter((_scope, index) => index !== at % some.length);
      expect(width(scopeReach(fewer, type, permission))).toBeLessThanOrEqual(width(reach));
      expect(scopeReach(heldToPatient(some), type, permission)).toBe(reach && "patient");
    }),
  );
});

test("of what a token says about the sign-in nothing is taken, and nothing else is passed over", ({ expect }) => {
  const said = "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access patient/*.rs".split(" ");
  const scopes = parseSignedInScopes(said);
  expect(scopes.ok && formatScopes(scopes.value)).toBe("patient/*.rs");
  expect(parseSignedInScopes(["openid"])).toEqual({ ok: true, value: [] });
  for (const other of ["email", "openid2", "user/*.rs", "launch/practitioner", ""]) {
    expect(parseSignedInScopes([...said, other]).ok, other).toBe(false);
  }
});
