import { Hono } from "hono";

/** The floor: the cost of a Worker with Hono that only forwards. It has no check, no cut, no record. */
const app = new Hono<{ Bindings: { readonly ORIGIN: string } }>();

app.get("/v1/fhir/main/*", ({ env, req }) => {
  const { pathname, search } = new URL(req.url);
  return fetch(`${env.ORIGIN}${pathname.slice("/v1/fhir/main".length)}${search}`);
});

export default app;
