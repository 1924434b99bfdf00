import { isPlainObject } from "./plain-object.ts";

/*
 * Readers of values of an unknown form: the claims of a token, a key, a stored text. The gateway loads them in each
 * isolate; schemas that are published as JSON Schema are zod's (ADR 129).
 */

/** Reads a value: the value in its type, or its first problem. */
export type ValueShape<T> = (value: unknown) => T | Misfit;
export type ShapedValue<S> = S extends ValueShape<infer T> ? T : never;

/** The first problem of a value, and its place below the value. It never quotes the value. */
export class Misfit {
  readonly problem: string;
  readonly path: readonly (string | number)[];

  constructor(problem: string, path: readonly (string | number)[] = []) {
    this.problem = problem;
    this.path = path;
  }

  below(step: string | number): Misfit {
    return new Misfit(this.problem, [step, ...this.path]);
  }
}

/** The value of a reading; undefined for a problem. */
export const fitting = <T>(read: T | Misfit): T | undefined => (read instanceof Misfit ? undefined : read);

/** The value of a reading. Throws the place of a problem. */
export function mustFit<T>(read: T | Misfit): T {
  if (read instanceof Misfit) throw new Error(`${read.path.join("/")} ${read.problem}`);
  return read;
}

const only =
  <T>(problem: string, fits: (value: unknown) => boolean): ValueShape<T> =>
  (value) =>
    fits(value) ? (value as T) : new Misfit(problem); // `fits` decides the type

export const textOf = (min = 0, max = Infinity): ValueShape<string> =>
  only(
    "must be a text of the right length",
    (value) => typeof value === "string" && value.length >= min && value.length <= max,
  );

export const textLike = (form: RegExp): ValueShape<string> =>
  only("must be a text of the right form", (value) => typeof value === "string" && form.test(value));

/** Neither NaN nor infinite. */
export const numberIn = (min = -Infinity, max = Infinity): ValueShape<number> =>
  only(
    "must be a number in the permitted range",
    (value) => typeof value === "number" && Number.isFinite(value) && value >= min && value <= max,
  );

export const integerIn = (min: number, max: number): ValueShape<number> =>
  passing(numberIn(min, max), Number.isSafeInteger);

export const literalOf = <const T extends readonly (string | number | boolean | null)[]>(
  values: T,
): ValueShape<T[number]> =>
  only(`must be ${values.join(" or ")}`, (value) => values.some((each) => each === value));

export const booleanValue = literalOf([true, false]);

export const anything: ValueShape<unknown> = (value) => value;

export const arrayOf =
  <T>(item: ValueShape<T>, min = 0, max = Infinity): ValueShape<T[]> =>
  (value) => {
    if (!Array.isArray(value) || value.length < min || value.length > max)
      return new Misfit("must be a list of the right length");
    const list: T[] = [];
    for (const [index, each] of value.entries()) {
      const read = item(each);
      if (read instanceof Misfit) return read.below(index);
      list.push(read);
    }
    return list;
  };

/** An object with free names. */
export const recordOf =
  <T>(member: ValueShape<T>): ValueShape<Record<string, T>> =>
  (value) => {
    if (!isPlainObject(value)) return notAnObject();
    const entries: [string, T][] = [];
    for (const [name, each] of Object.entries(value)) {
      const read = member(each);
      if (read instanceof Misfit) return read.below(name);
      entries.push([name, read]);
    }
    return Object.fromEntries(entries);
  };

type Shapes = Readonly<Record<string, ValueShape<unknown>>>;
type OptionalNames<S extends Shapes> = {
  [Name in keyof S]: undefined extends ShapedValue<S[Name]> ? Name : never;
}[keyof S];
type Members<S extends Shapes> = { [Name in Exclude<keyof S, OptionalNames<S>>]: ShapedValue<S[Name]> } & {
  [Name in OptionalNames<S>]?: Exclude<ShapedValue<S[Name]>, undefined>;
};

/** The named members of an object. Other members are left out. */
export function objectOf<const S extends Shapes>(shapes: S): ValueShape<Members<S>> {
  const entries = Object.entries(shapes);
  return (value) => {
    if (!isPlainObject(value)) return notAnObject();
    const members: Record<string, unknown> = {};
    for (const [name, shape] of entries) {
      const read = shape(value[name]);
      if (read instanceof Misfit) return read.below(name);
      if (read !== undefined) members[name] = read;
    }
    return members as Members<S>; // each member was read by its shape
  };
}

/** An object with these members alone. */
export function strictObjectOf<const S extends Shapes>(shapes: S): ValueShape<Members<S>> {
  const known = objectOf(shapes);
  return (value) => {
    const read = known(value);
    if (read instanceof Misfit || !isPlainObject(value)) return read;
    const other = Object.keys(value).find((name) => !Object.hasOwn(shapes, name));
    return other === undefined ? read : new Misfit("no such field", [other]);
  };
}

/** An object with a form that follows from a single member. */
export const variantOf =
  <T extends Shapes>(member: string, shapes: T): ValueShape<ShapedValue<T[keyof T]>> =>
  (value) => {
    if (!isPlainObject(value)) return notAnObject();
    const kind = value[member];
    const shape = typeof kind === "string" && Object.hasOwn(shapes, kind) ? shapes[kind] : undefined;
    if (shape === undefined) return new Misfit(`must be ${Object.keys(shapes).join(" or ")}`, [member]);
    return shape(value) as ShapedValue<T[keyof T]> | Misfit; // one of the shapes
  };

export const optional =
  <T>(shape: ValueShape<T>): ValueShape<T | undefined> =>
  (value) =>
    value === undefined ? undefined : shape(value);

/** `absent`: the value for a member that is not there. */
export const withDefault =
  <T>(shape: ValueShape<T>, absent: T): ValueShape<T> =>
  (value) =>
    value === undefined ? absent : shape(value);

/** The reading of the first shape that fits. */
export const eitherOf =
  <T extends readonly ValueShape<unknown>[]>(...shapes: T): ValueShape<ShapedValue<T[number]>> =>
  (value) => {
    for (const shape of shapes) {
      const read = shape(value);
      if (!(read instanceof Misfit)) return read as ShapedValue<T[number]>; // one of the shapes
    }
    return new Misfit("has none of the permitted forms");
  };

export const passing = <T>(shape: ValueShape<T>, passes: (value: T) => boolean): ValueShape<T> =>
  mapped(shape, (value) => (passes(value) ? value : new Misfit("has the wrong form")));

export const mapped =
  <T, U>(shape: ValueShape<T>, change: (value: T) => U | Misfit): ValueShape<U> =>
  (value) => {
    const read = shape(value);
    return read instanceof Misfit ? read : change(read);
  };

const notAnObject = () => new Misfit("must be an object");
