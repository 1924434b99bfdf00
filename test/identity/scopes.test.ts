import * as fc from "fast-check";
import { test } from "vitest";
import {
  formatScopes,
  limitToPatient,
  intersectScopes,
  narrowScopes,
  parseScopes,
  parseEnforceableScopes,
  reachesOf,
  type ScopePermission,
  type Scopes,
} from "#identity/scopes";

const cruds: readonly ScopePermission[] = ["c", "r", "u", "d", "s"];
const types = ["*", "Patient", "Observation"];
const contexts = ["patient", "user", "system"] as const;
const conditions = ["category a", "category b", "category s|a", "code a", "code b"];
const scopes: fc.Arbitrary<Scopes> = fc.array(
  fc.record({
    context: fc.constantFrom(...contexts),
    type: fc.constantFrom(...types),
    permissions: fc.subarray([...cruds], { minLength: 1 }),
    filters: fc.array(
      fc.record({
        parameter: fc.constantFrom("category", "code"),
        values: fc.subarray(["a", "b", "s|a"], { minLength: 1 }),
      }),
      { maxLength: 2 },
    ),
  }),
  { minLength: 1, maxLength: 5 },
);

/** A row: its owners, and the conditions that it meets. */
interface Row {
  readonly owners: readonly ("patient" | "user")[];
  readonly meets: readonly string[];
}
const rows: fc.Arbitrary<Row> = fc.record({
  owners: fc.subarray(["patient", "user"] as const),
  meets: fc.subarray(conditions),
});

/** The plain meaning of scopes: some scope reaches the row. */
const reaches = (some: Scopes, type: string, permission: ScopePermission, row: Row): boolean =>
  reachesOf(some, type, permission).some(
    (reach) =>
      (reach.context === "system" || row.owners.includes(reach.context)) &&
      reach.filters.every(({ parameter, values }) =>
        values.some((value) => row.meets.includes(`${parameter} ${value}`)),
      ),
  );
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
  ["user/*.cruds", "user/*.cruds"],
  ["patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=laboratory"],
  [
    "patient/Observation.rs?category=http%3A%2F%2Fexample.org%2Fc%7Ca,b",
    "patient/Observation.rs?category=http://example.org/c|a,b",
  ],
  ["system/Condition.read?category=a&category=b", "system/Condition.rs?category=a&category=b"],
  [
    "patient/Observation.rs?category=a&code=http://loinc.org|8867-4&date=ge2020-01-01T00:00:00%2B01:00",
    "patient/Observation.rs?category=a&code=http://loinc.org|8867-4&date=ge2020-01-01T00:00:00%2B01:00",
  ],
  ["patient/Patient.r?name=van%20den%20Berg", "patient/Patient.r?name=van%20den%20Berg"],
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
  ["PATIENT/*.rs", "scope_unknown"],
  ["patient/Observation.rs?code", "scope_query_not_supported"],
  ["patient/Observation.rs?category=a&encounter.status=1", "scope_query_not_supported"],
  ["patient/Observation.rs?category=", "scope_query_not_supported"],
  ["patient/Observation.rs?category=a,", "scope_query_not_supported"],
  ["patient/Observation.rs?category:not=a", "scope_query_not_supported"],
  ["patient/Observation.rs?category=%zz", "scope_query_not_supported"],
  ["patient/Observation.rs?category=a%26b", "scope_query_not_supported"],
  ["patient/Observation.rs?", "scope_query_not_supported"],
  ["system/Patient.constructor", "scope_malformed"],
] as const)("'%s' is refused: %s", ([text, reason], { expect }) => {
  expect(parseScopes(text)).toEqual({ ok: false, error: { reason } });
});

test("formatted scopes are read back the same", ({ expect }) => {
  fc.assert(
    fc.property(scopes, (some) => {
      expect(formatScopes(read(formatScopes(some)))).toBe(formatScopes(some));
    }),
  );
});

test("an intersection reaches only rows that both sides reach, and all of them except between patient and user scopes", ({
  expect,
}) => {
  fc.assert(
    fc.property(
      scopes,
      scopes,
      fc.constantFrom("Patient", "Claim"),
      fc.constantFrom(...cruds),
      rows,
      (left, right, type, permission, row) => {
        const both = reaches(left, type, permission, row) && reaches(right, type, permission, row);
        const common = reaches(intersectScopes(left, right), type, permission, row);
        if (common) expect(both).toBe(true);
        const mixed =
          new Set([...left, ...right].map(({ context }) => context).filter((context) => context !== "system"))
            .size > 1;
        if (both && !mixed) expect(common).toBe(true);
      },
    ),
  );
});

test("narrowed scopes reach no row beyond the grant, also for resource types of later versions", ({
  expect,
}) => {
  fc.assert(
    fc.property(
      scopes,
      scopes,
      fc.constantFrom("Patient", "Tomorrow"),
      fc.constantFrom(...cruds),
      rows,
      (asked, granted, type, permission, row) => {
        const narrowed = narrowScopes(asked, granted);
        if (narrowed.ok && reaches(narrowed.value, type, permission, row))
          expect(reaches(granted, type, permission, row)).toBe(true);
      },
    ),
  );
});

test("removing a scope never widens, and scopes limited to a patient reach only that patient's rows", ({
  expect,
}) => {
  fc.assert(
    fc.property(
      scopes,
      fc.nat(),
      fc.constantFrom("Patient", "Claim"),
      fc.constantFrom(...cruds),
      rows,
      (some, at, type, permission, row) => {
        const fewer = some.filter((_scope, index) => index !== at % some.length);
        if (reaches(fewer, type, permission, row)) expect(reaches(some, type, permission, row)).toBe(true);
        const limited = limitToPatient(some);
        expect(reaches(limited, type, permission, { ...row, owners: ["user"] })).toBe(false);
      },
    ),
  );
});

test("a scope that is not understood, or whose filter cannot be enforced, grants nothing as a whole; the rest stands", ({
  expect,
}) => {
  const written =
    "openid email profile launch/practitioner need_patient_banner patient/*.rs patient/Observation.cud?encounter.status=1 patient/Patient.x";
  const read = parseEnforceableScopes(written.split(" "));
  expect(read.ok && [formatScopes(read.value.scopes), read.value.ignored]).toEqual([
    "patient/*.rs",
    { reason: "scope_unknown" },
  ]);
  expect(parseEnforceableScopes(["openid"])).toMatchObject({ ok: true, value: { scopes: [] } });
  expect(parseEnforceableScopes(Array.from({ length: 65 }, () => "patient/*.rs")).ok).toBe(false);
});
