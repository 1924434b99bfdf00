import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { err, ok } from "#kernel/result";
import { DemonstrationSeed, type SeedDocument } from "../../../sandbox/demo/seed.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-seed-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const client = (id: string, kind = "payer") => ({ id, kind, status: "active" });
const documentOf = (clients: readonly object[], effect = "show"): SeedDocument => ({
  policies: [{ name: "p", body: { effect } }],
  clients: clients as SeedDocument[string],
  agreements: [{ id: "a", client: "one" }],
  grants: [{ client: "one", origin: "main", purpose: "TREAT", policy: "p" }],
});

/** A start with the seed's file of this name: the entries that it registered, and its words. */
async function start(
  name: string,
  document: SeedDocument,
  suspended: readonly string[] = [],
  hasClients = true,
) {
  const [registered, said]: [SeedDocument[], string[]] = [[], []];
  const seed = await DemonstrationSeed.open(
    join(folder, name),
    {
      async replaceRegistry(given) {
        const file = given as SeedDocument;
        const index = (file["clients"] ?? []).findIndex(({ id }) => suspended.some((each) => each === id));
        if (index !== -1)
          return err({
            reason: "conflict",
            pointer: `/clients/${index}/status`,
            problem: "is suspended in the registry",
          });
        registered.push(file);
        return ok(undefined);
      },
      admitOperator: () => Promise.resolve(),
      hasClients: () => Promise.resolve(hasClients),
    },
    (line) => said.push(line),
  );
  await seed.addEntries(document);
  const names = registered.flatMap((file) =>
    Object.entries(file).flatMap(([list, entries]) =>
      list === "policies" ? [] : entries.map(({ id, client: of }) => `${list} ${String(id ?? of)}`),
    ),
  );
  return { names, said };
}

test("a start registers an entry once: what operators did to it since then stays", async ({ expect }) => {
  const document = documentOf([client("one"), client("two")]);
  expect((await start("once", document)).names).toEqual([
    "clients one",
    "clients two",
    "agreements a",
    "grants one",
  ]);
  expect(await start("once", document, ["one", "two"])).toEqual({ names: [], said: [] });
});

test("an entry with a new content is registered again, and a grant with its policy", async ({ expect }) => {
  await start("changed", documentOf([client("one"), client("two")]));
  expect((await start("changed", documentOf([client("one"), client("two", "research")]))).names).toEqual([
    "clients two",
  ]);
  const next = documentOf([client("one"), client("two", "research")], "hide");
  expect((await start("changed", next)).names).toEqual(["grants one"]);
});

test("a changed client that operators suspended stays as it is, and the others are registered", async ({
  expect,
}) => {
  const { names, said } = await start("clash", documentOf([client("one"), client("two")]), ["one"]);
  expect(names).toEqual(["clients two"]);
  expect(said).toEqual([
    'registry: "one" stays as the operators left it: /clients/0/status is suspended in the registry',
  ]);
});

test("a registry that was lost gets every entry again", async ({ expect }) => {
  const document = documentOf([client("one")]);
  const all = ["clients one", "agreements a", "grants one"];
  expect((await start("lost", document)).names).toEqual(all);
  expect((await start("lost", document, [], false)).names).toEqual(all);
});
