import { parseAst } from "vitest/node";
import { bare, child, children, isCall, membersOf, nameOf, nodesBelow, type Node } from "./syntax-tree.ts";

/**
 * A place at which a text has a meaning for stored or sent bytes: an argument of a call, or a member of an
 * object.
 */
export type Sink =
  /**
   * `after`: only in a chain that begins with a call of this name, as `createHmac(…).update(…)`. `of`: only
   * this member of the argument.
   */
  | { readonly call: string; readonly argument: number; readonly after?: string; readonly of?: string }
  | { readonly member: string };

/**
 * The possible values of an expression: its texts (`${}` where a template is filled at run time), and the
 * parameters that it depends on.
 */
interface Reach {
  readonly texts: readonly string[];
  readonly parameters: readonly Sink[];
}

const nothing: Reach = { texts: [], parameters: [] };
// Templates multiply the words that may stand in their places. With more words than this a place is left
// open.
const wordsMax = 8;
// At most two functions hand a text on. Further up, a parameter's name says nothing about the text.
const callsMax = 2;

/**
 * TypeScript sources, and the texts that reach given places in them: through constants, imports and the
 * parameters of functions.
 */
export class SourceScan {
  readonly #modules: ReadonlyMap<string, Module>;
  readonly #reached = new Map<Node, Reach>();

  /** @param sources by path: `src/room/file.ts`. */
  constructor(sources: ReadonlyMap<string, string>) {
    this.#modules = new Map([...sources].map(([path, text]) => [path, moduleOf(path, text)]));
  }

  /** Every text that can reach one of the sinks. */
  textsAt(...sinks: readonly Sink[]): readonly string[] {
    return sorted(this.#values(sinks).flatMap(({ reach }) => reach.texts));
  }

  /** The literal texts at the sinks, and the constants among the names at them. */
  constantsAt(...sinks: readonly Sink[]): readonly string[] {
    const values = sinks.flatMap((sink) =>
      [...this.#modules.values()].flatMap((module) =>
        module.valuesAt(sink).flatMap((value) => this.#constant(value, module) ?? []),
      ),
    );
    return sorted(values);
  }

  /** The possible results of the functions of these names. */
  returnedBy(...names: readonly string[]): readonly string[] {
    const all = [...this.#modules.values()].flatMap((module) =>
      module.constants.map((constant) => ({ module, ...constant })),
    );
    return sorted(
      names.flatMap((name) =>
        all.flatMap((one) => (one.name === name ? this.#reach(one.value, one.module).texts : [])),
      ),
    );
  }

  /**
   * The objects that can reach one of the sinks: the text of one of their members, then the names of the
   * further members. `without`: expressions that reach it and are not objects of this kind.
   */
  objectsAt(member: string, ...sinks: readonly Sink[]) {
    const values = this.#values(sinks).map(({ module, value, reach }) => {
      const objects = nodesBelow(value).filter(({ type }) => type === "ObjectExpression");
      return {
        module,
        value,
        reach,
        texts: objects.flatMap((object) => this.#textsOfMember(object, member, module)),
      };
    });
    const isOther = ({ reach, texts }: (typeof values)[number]) =>
      texts.length === 0 && reach.parameters.length === 0;
    return {
      found: sorted(values.flatMap(({ texts }) => texts)),
      without: sorted(values.filter(isOther).map(({ module, value }) => `${module.path} ${value.type}`)),
    };
  }

  /**
   * Constants that are objects of numbers alone, at any depth, in modules that import one of these names:
   * the place and number of each.
   */
  numberTables(importing: readonly string[]): readonly string[] {
    const modules = [...this.#modules.values()].filter(({ imported }) =>
      [...imported.values()].some(({ name }) => importing.includes(name)),
    );
    return sorted(
      modules.flatMap(({ path, constants }) =>
        constants.flatMap(({ name, value }) =>
          bare(value).type !== "ObjectExpression"
            ? []
            : (numbersIn(value, `${path.split("/").at(-1)} ${name}`) ?? []),
        ),
      ),
    );
  }

  /** The numbers of the single constant of this name, with their names. */
  numbersOf(constant: string): readonly string[] {
    return sorted(numbersIn(this.#objectNamed(constant), constant) ?? []);
  }

  /** The member names of the single constant of this name. */
  namesOf(constant: string): readonly string[] {
    return sorted(
      children(this.#objectNamed(constant), "properties").flatMap(
        (property) => nameOf(child(property, "key")) ?? [],
      ),
    );
  }

  #objectNamed(constant: string): Node {
    const found = [...this.#modules.values()]
      .flatMap(({ constants }) => constants)
      .filter(({ name }) => name === constant);
    const [object, ...others] = found
      .map(({ value }) => bare(value))
      .filter(({ type }) => type === "ObjectExpression");
    if (object === undefined || others.length > 0) throw new Error(`not one constant ${constant}`);
    return object;
  }

  /** The exports of the modules with a matching path: `path name`. */
  exportsOf(path: RegExp): readonly string[] {
    const modules = [...this.#modules.values()].filter((module) => path.test(module.path));
    return sorted(modules.flatMap((module) => module.exported.map((name) => `${module.path} ${name}`)));
  }

  /** Names of an environment's members: `env.X`, `this.env.X`, and `X` of a destructured `env`. */
  environment(): readonly string[] {
    const isEnvironment = (node: Node | undefined): boolean =>
      nameOf(node) === "env" ||
      (node?.type === "MemberExpression" && nameOf(child(node, "property")) === "env");
    const nodes = [...this.#modules.values()].flatMap((module) => module.nodes);
    const names = nodes.flatMap((node) => {
      if (node.type === "MemberExpression" && isEnvironment(child(node, "object")))
        return [nameOf(child(node, "property")) ?? ""];
      if (node.type !== "VariableDeclarator" || !isEnvironment(child(node, "init"))) return [];
      return children(child(node, "id"), "properties").map(
        (property) => nameOf(child(property, "key")) ?? "",
      );
    });
    return sorted(names.filter((name) => /^[A-Z][A-Z0-9_]*$/u.test(name)));
  }

  /** All texts that match. */
  textsLike(pattern: RegExp): readonly string[] {
    const texts = [...this.#modules.values()].flatMap((module) =>
      module.nodes
        .filter(({ type }) => type === "TemplateLiteral" || type === "Literal")
        .flatMap((node) => this.#reach(node, module).texts),
    );
    return sorted(texts.filter((text) => pattern.test(text)));
  }

  /** The expressions at the sinks, and all arguments that callers give for the parameters in them. */
  #values(sinks: readonly Sink[]) {
    const waiting = sinks.map((sink) => ({ sink, calls: 0 }));
    const known = new Set(sinks.map((sink) => JSON.stringify(sink)));
    const found: { readonly module: Module; readonly value: Node; readonly reach: Reach }[] = [];
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { sink, calls } = next;
      for (const module of this.#modules.values()) {
        for (const value of module.valuesAt(sink)) {
          const reach = this.#reach(value, module);
          found.push({ module, value, reach });
          for (const parameter of calls < callsMax ? reach.parameters : []) {
            const name = JSON.stringify(parameter);
            if (!known.has(name)) waiting.push({ sink: parameter, calls: calls + 1 });
            known.add(name);
          }
        }
      }
    }
    return found;
  }

  #textsOfMember(object: Node, member: string, module: Module): readonly string[] {
    const named = children(object, "properties").map((property) => ({
      property,
      name: nameOf(child(property, "key")) ?? "…",
    }));
    const value = child(named.find(({ name }) => name === member)?.property, "value");
    const others = named.map(({ name }) => name).filter((name) => name !== member);
    return value === undefined
      ? []
      : this.#reach(value, module).texts.map((text) => [text, ...others].join(" "));
  }

  #constant(node: Node, module: Module): string | undefined {
    if (node.type === "Literal") return nameOf(node);
    if (node.type !== "Identifier") return undefined;
    const { from, name } = module.imported.get(nameOf(node) ?? "") ?? {};
    const imported = this.#modules
      .get(from ?? "")
      ?.constants.find((constant) => constant.name === name)?.value;
    const value = module.declarationOf(node)?.values[0] ?? imported;
    return value?.type === "Literal" ? nameOf(value) : undefined;
  }

  #reach(node: Node, module: Module): Reach {
    const known = this.#reached.get(node);
    if (known !== undefined) return known;
    this.#reached.set(node, nothing); // in a cycle: the rest of the cycle has the texts
    const reach = this.#reachOf(node, module);
    this.#reached.set(node, reach);
    return reach;
  }

  #reachOf(node: Node, module: Module): Reach {
    const all = (...nodes: readonly (Node | undefined)[]) =>
      joined(nodes.flatMap((one) => (one === undefined ? [] : [this.#reach(one, module)])));
    switch (node.type) {
      case "Literal":
        return typeof node["value"] === "string" ? { texts: [node["value"]], parameters: [] } : nothing;
      case "TemplateLiteral":
        return this.#template(node, module);
      case "Identifier":
        return this.#named(node, module);
      case "CallExpression":
      case "NewExpression": {
        const callee = child(node, "callee");
        if (callee?.type === "Identifier") return all(callee, ...children(node, "arguments"));
        return nameOf(child(callee, "property")) === "toString"
          ? nothing
          : all(...children(node, "arguments"));
      }
      case "MemberExpression":
        return nothing; // the contents of an object come from its own expressions
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression": {
        const body = child(node, "body");
        const returned =
          body?.type === "BlockStatement"
            ? nodesBelow(body).filter(({ type }) => type === "ReturnStatement")
            : [body];
        // The function's own parameters get the call's arguments, which are visited with the call.
        return { texts: all(...returned).texts, parameters: [] };
      }
      default:
        return node.type.startsWith("TSType")
          ? nothing
          : // no caller hands a text on through an operator or a list
            { texts: all(...runtimeChildren(node)).texts, parameters: [] };
    }
  }

  #template(node: Node, module: Module): Reach {
    const places = children(node, "expressions").map((place) => this.#reach(place, module));
    const texts = children(node, "quasis").reduce<readonly string[]>(
      (begun, quasi, at) => {
        const words = places[at]?.texts ?? [];
        const isLast = at >= places.length;
        const next = isLast
          ? [""]
          : words.length === 0 || words.length * begun.length > wordsMax
            ? ["${}"]
            : words;
        return begun.flatMap((text) => next.map((word) => text + cookedOf(quasi) + word));
      },
      [""],
    );
    return { texts, parameters: [] };
  }

  #named(node: Node, module: Module): Reach {
    const declaration = module.declarationOf(node);
    if (declaration !== undefined) {
      const { values, parameter } = declaration;
      const reach = joined(values.map((value) => this.#reach(value, module)));
      return {
        ...reach,
        parameters: parameter === undefined ? reach.parameters : [...reach.parameters, parameter],
      };
    }
    const { from, name } = module.imported.get(nameOf(node) ?? "") ?? {};
    const other = this.#modules.get(from ?? "");
    const value = other?.constants.find((constant) => constant.name === name)?.value;
    return other === undefined || value === undefined ? nothing : this.#reach(value, other);
  }
}

const types: ReadonlySet<string> = new Set([
  "typeAnnotation",
  "typeArguments",
  "typeParameters",
  "returnType",
]);
const runtimeChildren = (node: Node): readonly Node[] =>
  Object.keys(node).flatMap((name) => (types.has(name) ? [] : membersOf(node, name)));

const sorted = (texts: readonly string[]): readonly string[] => [...new Set(texts)].sort();
// ESTree TemplateElement
const cookedOf = (quasi: Node): string => (quasi["value"] as { readonly cooked: string }).cooked;

function joined(reaches: readonly Reach[]): Reach {
  if (reaches.length <= 1) return reaches[0] ?? nothing;
  const parameters = new Map(
    reaches.flatMap((reach) => reach.parameters.map((one) => [JSON.stringify(one), one])),
  );
  return { texts: [...new Set(reaches.flatMap(({ texts }) => texts))], parameters: [...parameters.values()] };
}

/** The paths and numbers of an object of numbers. `undefined` for any further value. */
function numbersIn(node: Node, at: string): readonly string[] | undefined {
  const value = bare(node);
  if (value.type === "Literal")
    return typeof value["value"] === "number" ? [`${at} ${value["value"]}`] : undefined;
  const [first] = children(value, "elements"); // a row of a table that begins with its number
  if (first !== undefined) return numbersIn(first, at);
  if (value.type !== "ObjectExpression") return undefined;
  const rows = children(value, "properties").map((property) => {
    const below = child(property, "value");
    return below === undefined
      ? undefined
      : numbersIn(below, `${at}.${nameOf(child(property, "key")) ?? ""}`);
  });
  return rows.length === 0 || rows.includes(undefined) ? undefined : rows.flatMap((row) => row ?? []);
}

/**
 * The meaning of an identifier: the values of a constant, or a parameter and the words that its type lists.
 */
interface Declaration {
  readonly values: readonly Node[];
  readonly parameter?: Sink | undefined;
}

interface Scoped extends Declaration {
  /** The block, function or module in which the name has this meaning. */
  readonly scope: Node;
}

class Module {
  readonly path: string;
  readonly nodes: readonly Node[];
  readonly imported = new Map<string, { readonly from: string; readonly name: string }>();
  /** At the top of the module. */
  readonly constants: { readonly name: string; readonly value: Node }[] = [];
  readonly exported: string[] = [];
  readonly #declared = new Map<string, Scoped[]>();
  readonly #calls = new Map<string, Node[]>();
  readonly #members = new Map<string, Node[]>();

  constructor(path: string, text: string) {
    this.path = path;
    // the parser's own types do not cover TypeScript's nodes
    const tree = parseAst(text, { lang: "ts" }) as unknown as Node;
    const nodes: Node[] = [];
    const visit = (node: Node, around: readonly Node[]) => {
      nodes.push(node);
      this.#read(node, around);
      const within = [node, ...around];
      for (const name of Object.keys(node))
        for (const below of [child(node, name), ...children(node, name)]) if (below) visit(below, within);
    };
    visit(tree, []);
    this.nodes = nodes;
  }

  valuesAt(sink: Sink): readonly Node[] {
    if ("member" in sink) return this.#members.get(sink.member) ?? [];
    return (this.#calls.get(sink.call) ?? []).flatMap((call) => {
      const argument = children(call, "arguments")[sink.argument];
      if (argument === undefined || (sink.after !== undefined && !this.#follows(call, sink.after))) return [];
      const member = children(argument, "properties").find(
        (property) => nameOf(child(property, "key")) === sink.of,
      );
      return [(sink.of === undefined ? undefined : child(member, "value")) ?? argument];
    });
  }

  /** The innermost declaration of the identifier's name around it. */
  declarationOf(identifier: Node): Declaration | undefined {
    const around = (this.#declared.get(nameOf(identifier) ?? "") ?? []).filter(({ scope }) =>
      isWithin(identifier, scope),
    );
    return around.toSorted((one, other) => lengthOf(one.scope) - lengthOf(other.scope))[0];
  }

  /**
   * True if the call belongs to a chain that begins with a call of `made`: `createHash(…).update(…)`,
   * directly or through a constant.
   */
  #follows(call: Node, made: string): boolean {
    const object = child(child(call, "callee"), "object");
    const of = object?.type === "Identifier" ? (this.declarationOf(object)?.values ?? []) : [object];
    return of.some(
      (value) =>
        value !== undefined && nodesBelow(value).some((one) => isCall(one) && calleeOf(one) === made),
    );
  }

  #read(node: Node, around: readonly Node[]): void {
    const scope = around.find(({ type }) => scopes.has(type)) ?? node;
    switch (node.type) {
      case "VariableDeclarator":
        for (const { name, value } of boundIn(child(node, "id"), child(node, "init"))) {
          this.#declare(name, { scope, values: value === undefined ? [] : [value] });
          if (scope.type === "Program" && value !== undefined) this.constants.push({ name, value });
        }
        break;
      case "FunctionDeclaration":
      case "ClassDeclaration":
        this.#declare(nameOf(child(node, "id")) ?? "", {
          scope,
          values: node.type === "ClassDeclaration" ? [] : [node],
        });
        if (scope.type === "Program" && node.type !== "ClassDeclaration")
          this.constants.push({ name: nameOf(child(node, "id")) ?? "", value: node });
        break;
      case "ImportDeclaration":
        this.#import(node);
        break;
      case "ExportNamedDeclaration":
        for (const one of children(node, "specifiers"))
          this.exported.push(nameOf(child(one, "exported")) ?? "");
        this.exported.push(...[nameOf(child(child(node, "declaration"), "id")) ?? []].flat());
        break;
      case "Property":
        add(this.#members, nameOf(child(node, "key")), child(node, "value"));
        break;
      default:
    }
    if (isCall(node)) add(this.#calls, calleeOf(node), node);
    if (functions.has(node.type)) this.#parameters(node, around);
  }

  #parameters(node: Node, around: readonly Node[]): void {
    const call = functionName(node, around);
    for (const [argument, parameter] of children(node, "params").entries()) {
      for (const { name, of } of namesIn(parameter)) {
        const sink =
          call === undefined ? undefined : of === undefined ? { call, argument } : { call, argument, of };
        this.#declare(name, { scope: node, values: wordsOf(parameter), parameter: sink });
      }
    }
  }

  #declare(name: string, declared: Scoped): void {
    add(this.#declared, name, declared);
  }

  #import(node: Node): void {
    const source = nameOf(child(node, "source")) ?? "";
    const folder = this.path.slice(0, this.path.lastIndexOf("/"));
    const from = source.startsWith("#")
      ? `src/${source.slice(1)}.ts`
      : source.startsWith("./")
        ? `${folder}/${source.slice(2)}`
        : source;
    for (const one of children(node, "specifiers"))
      this.imported.set(nameOf(child(one, "local")) ?? "", {
        from,
        name: nameOf(child(one, "imported")) ?? "default",
      });
  }
}

// A test scans the same files again and again, with a change in a single file.
const modules = new Map<string, Module>();

function moduleOf(path: string, text: string): Module {
  const name = `${path}\0${text}`;
  const module = modules.get(name) ?? new Module(path, text);
  modules.set(name, module);
  return module;
}

const functions: ReadonlySet<string> = new Set([
  "FunctionDeclaration",
  "FunctionExpression",
  "ArrowFunctionExpression",
]);
const scopes: ReadonlySet<string> = new Set([
  ...functions,
  "Program",
  "BlockStatement",
  "ForOfStatement",
  "ForStatement",
  "ForInStatement",
]);

/**
 * The name of the called function: `hkdf` of `hkdf(…)`, `setAAD` of `cipher.setAAD(…)`, `Epoch` of `new
 * Epoch(…)`.
 */
function calleeOf(call: Node): string | undefined {
  const callee = child(call, "callee");
  return callee?.type === "MemberExpression" ? nameOf(child(callee, "property")) : nameOf(callee);
}

/**
 * The name by which a function is called. `undefined` for a function that is passed on as a value: its
 * callers cannot be found.
 */
function functionName(node: Node, around: readonly Node[]): string | undefined {
  const [holder] = around;
  const name = nameOf(child(node, "id"));
  if (name !== undefined) return name;
  if (holder?.type === "VariableDeclarator") return nameOf(child(holder, "id"));
  if (
    holder?.type !== "MethodDefinition" &&
    holder?.type !== "Property" &&
    holder?.type !== "PropertyDefinition"
  )
    return undefined;
  const key = nameOf(child(holder, "key"));
  return key === "constructor"
    ? nameOf(
        child(
          around.find(({ type }) => type.startsWith("Class") && type !== "ClassBody"),
          "id",
        ),
      )
    : key;
}

/**
 * `const name = value`; `const [a, b] = [x, y]` place by place. In any further destructuring each name
 * stands for the whole value.
 */
function boundIn(
  id: Node | undefined,
  init: Node | undefined,
): readonly { readonly name: string; readonly value: Node | undefined }[] {
  if (id === undefined) return [];
  if (id.type === "ArrayPattern" && init?.type === "ArrayExpression")
    return children(id, "elements").flatMap((element, at) =>
      boundIn(element, children(init, "elements")[at]),
    );
  return namesIn(id).map(({ name }) => ({ name, value: init }));
}

/** The names that a pattern binds, with the member for a destructured object. */
function namesIn(
  pattern: Node,
  of?: string,
): readonly { readonly name: string; readonly of: string | undefined }[] {
  switch (pattern.type) {
    case "Identifier":
      return [{ name: nameOf(pattern) ?? "", of }];
    case "ObjectPattern":
      return children(pattern, "properties").flatMap((property) => {
        const value = child(property, "value");
        return value === undefined ? [] : namesIn(value, nameOf(child(property, "key")));
      });
    case "ArrayPattern":
      return children(pattern, "elements").flatMap((element) => namesIn(element, of));
    case "AssignmentPattern": {
      const left = child(pattern, "left");
      return left === undefined ? [] : namesIn(left, of);
    }
    case "TSParameterProperty": {
      const parameter = child(pattern, "parameter");
      return parameter === undefined ? [] : namesIn(parameter, of);
    }
    default:
      return [];
  }
}

/** The words that a parameter's type lists: `table: "windows" | "subject_windows"`. */
function wordsOf(parameter: Node): readonly Node[] {
  const type = child(child(parameter, "typeAnnotation"), "typeAnnotation");
  const members = type?.type === "TSUnionType" ? children(type, "types") : type === undefined ? [] : [type];
  const words = members.map((member) =>
    member.type === "TSLiteralType" ? child(member, "literal") : undefined,
  );
  return words.includes(undefined) ? [] : words.filter((word) => word !== undefined);
}

const placeOf = (node: Node): readonly [number, number] => [Number(node["start"]), Number(node["end"])];
const lengthOf = (node: Node): number => Number(node["end"]) - Number(node["start"]);

function isWithin(node: Node, around: Node): boolean {
  const [[start, end], [from, to]] = [placeOf(node), placeOf(around)];
  return from <= start && end <= to;
}

function add<T>(map: Map<string, T[]>, name: string | undefined, value: T | undefined): void {
  if (name === undefined || value === undefined) return;
  const list = map.get(name);
  if (list === undefined) map.set(name, [value]);
  else list.push(value);
}
