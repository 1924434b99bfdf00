import type { FactPath, Facts } from "#fhir/json/facts";
import { isArray, isObject, type Json, type JsonObject } from "#fhir/json/json";

/** Thrown when a decision reads a member that no path of its list names. */
export class UnlistedFact extends Error {}

/**
 * The same facts under watch: a decision that reads a member outside the paths, or looks at all names, throws
 * {@link UnlistedFact}. A list that lacks a path then fails even where the resource lacks the member.
 */
export function watched(facts: Facts, paths: readonly FactPath[]): Facts {
  const whole = new Set(paths.flatMap(([member, below]) => (below === undefined ? [member] : [])));
  const ofMeta = new Set(paths.flatMap(([, below]) => below ?? []));
  const proxy: Facts = new Proxy<Facts>(facts, {
    ...only((name) => whole.has(name) || (name === "meta" && ofMeta.size > 0)),
    get: (target, name, receiver) => {
      if (typeof name === "symbol") return Reflect.get(target, name, receiver);
      if (whole.has(name)) return target[name];
      if (name === "meta" && ofMeta.size > 0) return watchedMeta(target[name], ofMeta);
      throw new UnlistedFact(name);
    },
  });
  return proxy;
}

function watchedMeta(meta: Json | undefined, members: ReadonlySet<string>): Json | undefined {
  if (isArray(meta)) return meta.map((item) => watchedMeta(item, members) ?? null);
  if (!isObject(meta)) return meta;
  const proxy: JsonObject = new Proxy<JsonObject>(meta, {
    ...only((name) => members.has(name)),
    get: (target, name) => {
      if (typeof name === "string" && members.has(name)) return target[name];
      throw new UnlistedFact(`meta.${String(name)}`);
    },
  });
  return proxy;
}

/** Traps for every way to learn of a member but its value. */
function only(isListed: (name: string) => boolean): Omit<ProxyHandler<JsonObject>, "get"> {
  const listed = (name: string | symbol) => {
    if (typeof name === "string" && !isListed(name)) throw new UnlistedFact(name);
  };
  return {
    has: (target, name) => {
      listed(name);
      return Reflect.has(target, name);
    },
    getOwnPropertyDescriptor: (target, name) => {
      listed(name);
      return Reflect.getOwnPropertyDescriptor(target, name);
    },
    ownKeys: () => {
      throw new UnlistedFact("all names");
    },
  };
}
