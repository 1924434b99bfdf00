import { expect, test } from "vitest";
import { grantName, readGrantName } from "#audit/grant-name";

test("the name of a grant is read as it was made, and no further text is read as a name", () => {
  const grant = { client: "app", origin: "main", purpose: "TREAT" };
  expect(grantName(grant)).toBe("app/main/TREAT");
  expect(readGrantName(grantName(grant))).toEqual(grant);
  for (const text of ["", "app/main", "app/main/TREAT/more", "app//TREAT"])
    expect(() => readGrantName(text), text).toThrow("no name of a grant");
});
