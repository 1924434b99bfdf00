import { test } from "vitest";
import { Router } from "#entrypoint/router";

function doorOf() {
  const faults: object[] = [];
  const router = new Router({ newId: () => "0".repeat(32), onFault: (fault) => faults.push(fault) });
  const ask = async (path: string, method = "GET") => {
    const answer = await router.fetch(new Request(`https://door.example${path}`, { method }));
    return [answer.status, await answer.text(), answer.headers.get("by")] as const;
  };
  return { router, faults, ask };
}

test("a request meets the handlers of its address in their order, each behind the one before", async ({
  expect,
}) => {
  const { router, ask } = doorOf();
  router.on("*", "/a/*", async (_request, next) => {
    const answer = await next();
    answer.headers.set("by", "filter");
    return answer;
  });
  router.on("GET", "/a/:name/b", (_request, next, name) => (name === "x" ? new Response(name) : next()));
  const other = doorOf();
  other.router.on("GET POST", "/a/*", () => new Response("further"));
  router.add(other.router);
  expect(await ask("/a/x/b")).toEqual([200, "x", "filter"]);
  expect(await ask("/a/%78/b?c=/d")).toEqual([200, "x", "filter"]);
  expect(await ask("/a/y/b")).toEqual([200, "further", "filter"]);
  for (const path of ["/a", "/a/", "/a/x/b/c", "/a/%0A", "/a/%zz"])
    expect(await ask(path, "POST"), path).toEqual([200, "further", "filter"]);
});

test("HEAD has the head of GET, and no body", async ({ expect }) => {
  const { router, ask } = doorOf();
  router.on("GET", "/a.b", () => new Response("text", { status: 201, headers: { by: "a" } }));
  expect(await ask("/a.b", "HEAD")).toEqual([201, "", "a"]);
  expect((await ask("/acb"))[0], "a full stop is a full stop").toBe(404);
});

test("an address without a handler is 404, and a fault 503 for whoever waits for the answer, without its message", async ({
  expect,
}) => {
  const { router, faults, ask } = doorOf();
  router.on("*", "/a", async (_request, next) => new Response(await (await next()).text(), { status: 299 }));
  router.on("GET", "/a", () => Promise.reject(new TypeError("a name in a message")));
  for (const path of ["/", "/b", "/a/", "/ab"]) expect((await ask(path))[0], path).toBe(404);
  const [status, text] = await ask("/a");
  expect([status, JSON.parse(text)]).toEqual([299, expect.objectContaining({ status: 503 })]);
  expect(text).not.toContain("a name in a message");
  expect(faults).toEqual([{ requestId: "0".repeat(32), name: "TypeError" }]);
});
