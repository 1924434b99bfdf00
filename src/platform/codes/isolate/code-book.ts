import { WorkerEntrypoint } from "cloudflare:workers";
import { findIdentifiers } from "#deid-check/check";
import { insideOf, readLeftJson } from "#deid-check/read-json";
import type { AskedCode } from "#deid/asked-values";
import { nameInForm, readForms, type CodesOf, type DataSet } from "#deid/codes";
import { cutInForm } from "#deid/bytes/cut-answer";
import type { FormAnswerRefusal, ShownAnswer } from "#deid/form-answer";
import { unknownAmong } from "#deid/known-codes";
import { instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import { SharedMemory } from "#limits/shared-memory";
import { placeOf, type ListedCodes, type ListedNames } from "#platform/codes/object/data-set-codes";
import { ConfigError } from "#platform/config/config-error";
import { log } from "#platform/log";
import { readJurisdiction } from "#platform/ledger/placement";
import { isolateCodes } from "./isolate-codes.ts";

interface Book {
  codesOf(dataSet: DataSet, names: readonly string[]): Promise<ListedCodes>;
  namesOf(codes: readonly string[]): Promise<ListedNames>;
  end(): Promise<boolean>;
}

interface Books {
  getByName(name: string): Book;
  jurisdiction(jurisdiction: DurableObjectJurisdiction): Books;
}

interface CodeBookEnv {
  readonly DATA_SET_CODES: Books;
  readonly LEDGER_JURISDICTION: string;
  readonly DEID_CHECK: string;
}

/**
 * The gateway's only right over data sets: to ask for codes, for the names behind codes, and for answers in a form of
 * 45 CFR 164.514. The forms are made here, since the gateway's bundle has no room for them.
 */
export class CodeBook extends WorkerEntrypoint<CodeBookEnv> {
  async codesOf(dataSet: DataSet, names: readonly string[]): Promise<ListedCodes> {
    return await asked(this.env, dataSet, (book) => book.codesOf(dataSet, names));
  }

  async namesOf(dataSet: DataSet, codes: readonly string[]): Promise<ListedNames> {
    return await asked(this.env, dataSet, (book) => book.namesOf(codes));
  }

  /** As the function of this name, for the gateway, whose bundle has no room for the public code systems. */
  unknownAmong(codes: readonly AskedCode[]): string | undefined {
    return unknownAmong(codes);
  }

  async inForm(
    dataSet: DataSet,
    answer: ShownAnswer,
  ): Promise<Result<Uint8Array<ArrayBuffer>, FormAnswerRefusal>> {
    const claim = memory.claim(dataSet.client);
    const left = await cutInForm(answer, rememberedCodes(this.env)(dataSet), (bytes) =>
      claim.hold(bytes),
    ).finally(() => claim.hold(0));
    if (left.ok && this.env.DEID_CHECK === "on") noteIdentifiers(left.value, answer);
    return left;
  }
}

/** The memory of answers that wait for codes: all clients share it. */
const memory = new SharedMemory(() => instant(Date.now()));

const remembered = new WeakMap<CodeBookEnv, CodesOf>();

/** The codes for the answers of this isolate: the pages of a data set name the same patients again and again. */
function rememberedCodes(env: CodeBookEnv): CodesOf {
  const known =
    remembered.get(env) ??
    isolateCodes(
      () => ({
        codesOf: (dataSet, names) => asked(env, dataSet, (book) => book.codesOf(dataSet, names)),
        namesOf: (dataSet, codes) => asked(env, dataSet, (book) => book.namesOf(codes)),
      }),
      () => instant(Date.now()),
    );
  remembered.set(env, known);
  return known;
}

/** In development each answer is read by the checker, which shares no code with the maker of the forms. */
function noteIdentifiers(body: Uint8Array, { form, year }: ShownAnswer): void {
  const read = readLeftJson(new TextDecoder().decode(body));
  const found = read === undefined ? [] : insideOf(read).flatMap((each) => findIdentifiers(each, form, year));
  // The links of an empty list are the gateway's own.
  for (const { path, identifier, paragraph } of found)
    if (!path.startsWith("Bundle.link")) log({ event: "identifier_left", path, identifier, paragraph });
}

/** The privacy officer's right: to end a data set before its agreement ends. */
export class DataSetDesk extends WorkerEntrypoint<CodeBookEnv> {
  /**
   * Ends a data set in each form.
   *
   * @param dataSet with the member `dataSet` of the policy as its name. @returns false: there is no such data set, or it
   * was over before.
   */
  async end(dataSet: DataSet): Promise<boolean> {
    let isEnded = false;
    for (const form of readForms) {
      const inForm = { ...dataSet, name: nameInForm(form, dataSet.name) };
      isEnded = (await asked(this.env, inForm, (book) => book.end())) || isEnded;
    }
    return isEnded;
  }
}

/**
 * The only place that calls an object of codes by its name: the first call places the object for good. An object that
 * was just restarted fails the calls in flight and breaks its stub: one more try. Each call may be repeated.
 */
async function asked<T>(
  { DATA_SET_CODES: books, LEDGER_JURISDICTION }: CodeBookEnv,
  dataSet: DataSet,
  call: (book: Book) => Promise<T>,
): Promise<T> {
  const jurisdiction = readJurisdiction(LEDGER_JURISDICTION, (variable, expected) => {
    throw new ConfigError(variable, expected);
  });
  const bookOf = () =>
    (jurisdiction === undefined ? books : books.jurisdiction(jurisdiction)).getByName(placeOf(dataSet));
  try {
    return await call(bookOf());
  } catch (fault) {
    if (!(fault instanceof Error) || Reflect.get(fault, "durableObjectReset") !== true) throw fault;
    return await call(bookOf());
  }
}
