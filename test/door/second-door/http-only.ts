import { beforeEach } from "vitest";

/** Tests that state something that HTTP alone has: a header, a 304, the form of a request that no line can have. */
const httpOnly: ReadonlySet<string> = new Set([
  "L30: no cache may store an answer", // Cache-Control
  "a quota is exact through the whole gateway, and its end is a 429 with the time to come back", // RateLimit, Retry-After
  "a storm of 429: the origin is asked once in the time that it says, and answers after it", // Retry-After
]);

beforeEach(({ task, skip }) => {
  if (httpOnly.has(task.name)) skip();
});
