import { test } from "vitest";
import { readOwnForm } from "#console/form";
import { cookieOf, SessionSeal, sessionSignIns, type ConsoleSession } from "#console/session";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";

const seal = new SessionSeal([new Secret(new Uint8Array(32).fill(7))]);
const session: ConsoleSession = {
  operator: "officer",
  x5t: "x",
  signIn: { issuer: "https://login.example", subject: "s", tokenId: "t", amr: ["otp"], authTime: 1 },
  formToken: "f",
};

test("a sealed session opens to itself, and a sign-in of another issuer is none", async ({ expect }) => {
  const text = await seal.sealSession(session);
  expect(await seal.openSession(text)).toEqual(session);
  const verifier = sessionSignIns(seal);
  const found = await verifier.verify(new Secret(text), "https://login.example", instant(0));
  expect(found).toMatchObject({
    ok: true,
    value: { subject: "s", binding: { kind: "certificate", x5t: "x" } },
  });
  expect(await verifier.verify(new Secret(text), "https://other.example", instant(0))).toMatchObject({
    ok: false,
  });
});

test("during a change of the key both keys open, and the new key seals", async ({ expect }) => {
  const older = new Secret(new Uint8Array(32).fill(7));
  const both = new SessionSeal([new Secret(new Uint8Array(32).fill(9)), older]);
  expect(await both.openSession(await seal.sealSession(session))).toEqual(session);
  expect(await seal.openSession(await both.sealSession(session))).toBeUndefined();
});

test("a changed text, a text of another key and a text for another use open to nothing", async ({
  expect,
}) => {
  const text = await seal.sealSession(session);
  const late = text.at(-5) === "A" ? "B" : "A";
  const begun = { state: "s", verifier: "v", iss: "i", x5t: "x", until: 9 };
  for (const wrong of [
    `${text.slice(0, 40)}${text[40] === "A" ? "B" : "A"}${text.slice(41)}`,
    `${text.slice(0, -5)}${late}${text.slice(-4)}`,
    await new SessionSeal([new Secret(new Uint8Array(32).fill(8))]).sealSession(session),
    await seal.sealBegun(begun),
    "",
    "planted",
  ])
    expect(await seal.openSession(wrong)).toBeUndefined();
  expect(await seal.openBegun(text, instant(0))).toBeUndefined();
  expect(await seal.openBegun(await seal.sealBegun(begun), instant(8))).toEqual(begun);
  expect(await seal.openBegun(await seal.sealBegun(begun), instant(9)), "too late").toBeUndefined();
});

test("a cookie that comes twice is not accepted", ({ expect }) => {
  const of = (cookie: string) => cookieOf(new Headers({ cookie }), "__Host-a");
  expect(of("b=1; __Host-a=2")).toBe("2");
  expect(of("__Host-a=1; __Host-a=2")).toBeUndefined();
  expect(of("x__Host-a=1")).toBeUndefined();
  expect(of("__Host-a=")).toBeUndefined();
});

test("a form counts only from a page of this origin with the session's token", async ({ expect }) => {
  const right = {
    origin: "https://ops.example",
    "sec-fetch-site": "same-origin",
    "content-type": "application/x-www-form-urlencoded",
  };
  const read = (headers: Readonly<Record<string, string>>, body: string) =>
    readOwnForm(
      new Request("https://ops.example/x", { headers }),
      bytes(body),
      "https://ops.example",
      session,
    );
  expect((await read(right, "form=f&a=1"))?.get("a")).toBe("1");
  const { "sec-fetch-site": _site, ...older } = right;
  expect(await read(older, "form=f"), "a browser without Sec-Fetch-Site").toBeDefined();
  for (const wrong of [
    { ...right, origin: "https://evil.example" },
    { ...right, origin: "null" },
    { ...right, "sec-fetch-site": "same-site" },
    { ...right, "content-type": "text/plain" },
  ])
    expect(await read(wrong, "form=f")).toBeUndefined();
  for (const body of ["", "form=", "form=g", "form=ff"])
    expect(await read(right, body), body).toBeUndefined();
});

async function* bytes(text: string) {
  yield new TextEncoder().encode(text);
}
