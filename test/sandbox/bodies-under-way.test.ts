import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { BodiesUnderWay } from "../../sandbox/front/bodies-under-way.ts";

test("slow bodies of one client leave sockets to the others, and a body that ended or broke off gives its own back", () => {
  const bodies = new BodiesUnderWay(128);
  const slow = Array.from({ length: 96 }, () => new EventEmitter());
  for (const body of slow) expect(bodies.take("slow", body)).toBe(true);
  expect(bodies.take("slow", new EventEmitter())).toBe(false);
  for (let count = 0; count < 32; count++) expect(bodies.take("honest", new EventEmitter())).toBe(true);
  expect(bodies.take("honest", new EventEmitter()), "the same share for everyone").toBe(false);
  for (const body of slow.slice(0, 70)) body.emit("end");
  for (const body of slow.slice(0, 70)) body.emit("close");
  expect(bodies.take("slow", new EventEmitter())).toBe(true);
});
