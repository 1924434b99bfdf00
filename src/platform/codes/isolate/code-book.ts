import { WorkerEntrypoint } from "cloudflare:workers";
import type { DataSet } from "#deid/codes";
import { placeOf, type ListedCodes, type ListedNames } from "#platform/codes/object/data-set-codes";
import { ConfigError } from "#platform/config/config-error";
import { readJurisdiction } from "#platform/ledger/placement";

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
}

/** The gateway's only right over data sets: to ask for codes, and for the names behind codes. */
export class CodeBook extends WorkerEntrypoint<CodeBookEnv> {
  async codesOf(dataSet: DataSet, names: readonly string[]): Promise<ListedCodes> {
    return await asked(this.env, dataSet, (book) => book.codesOf(dataSet, names));
  }

  async namesOf(dataSet: DataSet, codes: readonly string[]): Promise<ListedNames> {
    return await asked(this.env, dataSet, (book) => book.namesOf(codes));
  }
}

/** The privacy officer's right: to end a data set before its agreement ends. */
export class DataSetDesk extends WorkerEntrypoint<CodeBookEnv> {
  /** False: there is no such data set, or it was over before. */
  async end(dataSet: DataSet): Promise<boolean> {
    return await asked(this.env, dataSet, (book) => book.end());
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
