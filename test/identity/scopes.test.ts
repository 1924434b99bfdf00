import * as fc from "fast-check";
import { test } from "vitest";
import { formatScopes, intersectScopes, narrowScopes, parseScopes, permits, type Permission, type Scopes } from "#identity/scopes";

const cruds: readonly Permission[] = ["c", "r", "u", "d", "s"];
const types = ["*", "Patient", "Observation"];
const scopes: fc.Arbitrary<Scopes> = fc.array(
  fc.record({
    context: fc.constant("system" as const),
    type: fc.constantFrom(...types),
    permissions: fc.subarray([...cruds], { minLength: 1 }),
  }),
  { minLength: 1, maxLength: 5 },
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
  ["patient/Patient.rs", "scope_context_unsupported"],
  ["user/*.cruds", "scope_context_unsupported"],
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

test("an intersection permits what both permit and nothing else", ({ expect }) => {
  fc.assert(
    fc.property(
      scopes,
      scopes,
      fc.constantFrom("Patient", "Observation", "Claim"),
      fc.constantFrom(...cruds),
      (left, right, type, permission) => {
        expect(permits(intersectScopes(left, right), type, permission)).toBe(
          permits(left, type, permission) && permits(right, type, permission),
        );
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
        if (narrowed.ok && permits(narrowed.value, type, permission)) expect(permits(granted, type, permission)).toBe(true);
      },
    ),
  );
});
