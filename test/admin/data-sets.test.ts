import { test } from "vitest";
import { adminApp } from "#admin/app";
import type { AuditEvent } from "#audit/event";
import { ok } from "#kernel/result";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const { x5t, tlsClientAuth } = presented("privacy");
const cohort = { client: "research", agreement: "dua", origin: "main", dataSet: "cohort" };

/** A door, before data sets of which one alone has codes. */
function door(roles: readonly string[]) {
  const book: string[] = [];
  const events: AuditEvent[] = [];
  const app = adminApp({
    ...nobodySignsIn,
    operators: {
      find: (asked) => Promise.resolve(asked === x5t ? { ...machine, id: "privacy", roles } : undefined),
    },
    registry: {
      ...registryUnasked,
      apply: () => Promise.reject(new Error("not asked")),
      revoke: () => Promise.resolve(ok(undefined)),
      lift: () => Promise.resolve(ok(false)),
    },
    dataSets: {
      end({ client, agreement, origin, name }) {
        book.push(`end ${[client, agreement, origin, name].join(" ")}`);
        return Promise.resolve(name === "cohort");
      },
    },
    ledger: recordsOnly((recorded) => {
      events.push(...recorded);
      book.push(...recorded.map(({ kind, step }) => `${kind} ${step}`));
      return Promise.resolve("counted");
    }),
    clock: () => at,
    onFault: ({ name }) => book.push(`fault ${name}`),
  });
  const post = (document: object) => {
    const init = {
      method: "POST",
      body: JSON.stringify(document),
      headers: { "content-type": "application/json" },
    };
    const request = new Request("https://ops.example.org/api/data-sets/end", init);
    return app.request(Object.assign(request, { cf: { tlsClientAuth } }));
  };
  return { post, book, events };
}

test("the end of a data set is on record before it is done, and after", async ({ expect }) => {
  const { post, book, events } = door(["privacy-officer"]);
  const reply = await post(cohort);
  expect([reply.status, await reply.json()]).toMatchObject([200, { ended: true }]);
  expect(book).toEqual(["administration 0", "end research dua main cohort", "administration 1"]);
  expect(events[0]).toMatchObject({ who: { operator: "privacy" }, what: { interaction: "end-data-set" } });
});

test("nobody but an operator with the role of a privacy officer ends a data set", async ({ expect }) => {
  const { post, book } = door(["registry-admin", "revoker", "approver"]);
  expect((await post(cohort)).status).toBe(403);
  expect(book.some((entry) => entry.startsWith("end"))).toBe(false);
});

test("a name without codes, and a document of another form, end nothing and say so", async ({ expect }) => {
  const { post, book } = door(["privacy-officer"]);
  const misspelt = await post({ ...cohort, dataSet: "chohort" });
  expect([misspelt.status, await misspelt.json()]).toMatchObject([
    422,
    { detail: "names no data set with codes", pointer: "" },
  ]);
  book.length = 0;
  for (const [document, pointer] of [
    [{ ...cohort, client: undefined }, "/client"],
    [{ ...cohort, origin: 1 }, "/origin"],
    [{ ...cohort, dataSet: "" }, "/dataSet"],
    [{ ...cohort, patient: "main/Patient/1" }, ""],
  ] as const) {
    const reply = await post(document);
    expect([reply.status, await reply.json()]).toMatchObject([
      422,
      { detail: "is missing or malformed", pointer },
    ]);
  }
  expect(book.some((entry) => entry.startsWith("end"))).toBe(false);
});
