import { describe, test } from "vitest";
import { judgeSignIn, type SignIn, type SignInDemand } from "#identity/sign-in";
import { at, now } from "../support/credentials.ts";

const demand: SignInDemand = {
  iss: "https://issuer.example.org",
  sub: "ada",
  acr: ["mfa", "phr"],
  amr: ["otp", "pwd"],
  maxAgeSeconds: 900,
};
const signIn: SignIn = {
  issuer: demand.iss,
  subject: "ada",
  tokenId: "token-1",
  keyId: undefined,
  binding: { kind: "certificate", x5t: "A".repeat(43) },
  acr: "phr",
  amr: ["pwd", "otp", "user"],
  authTime: now,
};
const verdict = (changes: Partial<SignIn>, of: SignInDemand = demand): string => {
  const judged = judgeSignIn({ ...signIn, ...changes }, of, at);
  return judged.ok ? "taken" : judged.error.reason;
};

describe("a sign-in is", () => {
  test.for([
    ["taken with any acr of the list and all of amr", {}, "taken"],
    ["taken on the last second", { authTime: now - 900 }, "taken"],
    ["too old a second later", { authTime: now - 901 }, "sign_in_too_old"],
    ["taken ten seconds ahead, as clocks are", { authTime: now + 10 }, "taken"],
    ["from the future a second later", { authTime: now + 11 }, "sign_in_time_in_future"],
    ["undated without auth_time", { authTime: undefined }, "sign_in_time_missing"],
    ["too weak without an acr", { acr: undefined }, "sign_in_too_weak"],
    ["too weak with an acr in other letters", { acr: "MFA" }, "sign_in_too_weak"],
    ["too weak with all the acr in one", { acr: "mfa phr" }, "sign_in_too_weak"],
    ["too weak without one amr", { amr: ["otp", "user"] }, "sign_in_too_weak"],
    ["not this operator's under another sub", { subject: "Ada" }, "subject_mismatch"],
    [
      "not reported as weak or old if it belongs to a different person",
      { subject: "eve", acr: undefined, authTime: 0 },
      "subject_mismatch",
    ],
  ] as const)("%s", ([, changes, expected], { expect }) => {
    expect(verdict(changes)).toBe(expected);
  });

  test("checked by its age alone if nothing more is demanded", ({ expect }) => {
    const age = { iss: demand.iss, sub: demand.sub, maxAgeSeconds: 60 };
    expect(verdict({ acr: undefined, amr: [] }, age)).toBe("taken");
    expect(verdict({ acr: undefined, amr: [], authTime: now - 61 }, age)).toBe("sign_in_too_old");
  });
});
