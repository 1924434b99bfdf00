import { test } from "vitest";
import { faceOf } from "#entrypoint/gateway-face";

test("what a row decided has the same face as what is absent", ({ expect }) => {
  const absent = faceOf({ reason: "absent" });
  expect(faceOf({ reason: "row_outside_access" })).toEqual(absent);
  expect(faceOf({ reason: "resource_withheld" })).toEqual(absent);
  expect(absent.status).toBe(404);
});

test("a page's link that is old, altered or somebody else's has one face", ({ expect }) => {
  const faces = (
    ["page_link_expired", "page_link_mismatch", "page_link_malformed", "page_link_target_absent"] as const
  ).map((reason) => faceOf({ reason }));
  for (const face of faces) expect(face).toEqual({ status: 410, code: "expired", text: expect.any(String) });
  expect(new Set(faces.map(({ text }) => text)).size).toBe(1);
});

test("every check of a credential that fails has one face, whatever the registry has of the client", ({
  expect,
}) => {
  const faces = (
    [
      "signature_invalid",
      "key_unknown",
      "token_inactive",
      "token_denied",
      "certificate_mismatch",
      "certificate_revoked",
      "certificate_not_registered",
      "client_unknown",
      "client_suspended",
      "client_denied",
    ] as const
  ).map((reason) => faceOf({ reason }));
  expect(new Set(faces.map((face) => JSON.stringify(face))).size).toBe(1);
  expect(faces[0]?.status).toBe(401);
});

test("what a caller itself sent, or did not send, has a text of its own", ({ expect }) => {
  const reasons = [
    "token_missing",
    "authorization_malformed",
    "authorization_scheme_unknown",
    "token_scheme_mismatch",
    "token_expired",
    "audience_mismatch",
    "certificate_missing",
    "client_unknown",
  ] as const;
  const faces = reasons.map((reason) => faceOf({ reason }));
  for (const { status, code } of faces) expect([status, code]).toEqual([401, "login"]);
  expect(new Set(faces.map(({ text }) => text)).size).toBe(reasons.length);
});

test("the name of a parameter or an interaction is told, since it is the specification's own", ({
  expect,
}) => {
  expect(faceOf({ reason: "parameter_hidden", parameter: "phone" }).text).toContain("phone");
  expect(faceOf({ reason: "interaction_not_supported", interaction: "history-system" }).text).toContain(
    "history-system",
  );
});
