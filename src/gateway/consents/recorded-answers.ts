import type { OriginBody, OriginQuestion } from "#fhir/ports";
import type { Result } from "#kernel/result";

type Piece = OriginBody extends AsyncIterable<infer Item> ? Item : never;
interface Answer {
  readonly body: OriginBody;
}

// The memory of a request has this much beside the budget of its answers: a page of an origin or two.
const bytesMax = 8_388_608;

/**
 * The origin's answers to the questions of a reading. If the reading is repeated, it gets the same answers: the
 * origin is asked nothing twice, so neither its load nor the time of the answer reveals that rows were hidden. An
 * answer that was not read to its end, or has no room, is asked for again.
 */
export class RecordedAnswers<A extends Answer, R> {
  readonly #answers = new Map<string, RecordedAnswer<A, R>[]>();
  #asked = new Map<string, number>();
  #bytes = 0;

  /** Begins the reading again. */
  rewind(): void {
    this.#asked = new Map();
  }

  async ask(question: OriginQuestion, ask: () => Promise<Result<A, R>>): Promise<Result<A, R>> {
    const key = keyOf(question);
    const turn = this.#asked.get(key) ?? 0;
    this.#asked.set(key, turn + 1);
    const recorded = this.#answers.get(key) ?? [];
    this.#answers.set(key, recorded);
    const known = recorded[turn]?.again();
    if (known !== undefined) return known;
    const answer = await ask();
    const record = new RecordedAnswer(answer, (bytes) => {
      this.#bytes += bytes;
      return this.#bytes <= bytesMax;
    });
    recorded[turn] = record;
    return record.live();
  }
}

/** No path has a space in it, nor a `?`. */
const keyOf = (question: OriginQuestion): string =>
  "link" in question
    ? `link ${question.link}`
    : `${question.posted === true ? "post" : "get"} ${question.path}?${question.query}`;

/** An answer whose pieces are retained while they pass. */
class RecordedAnswer<A extends Answer, R> {
  readonly #answer: Result<A, R>;
  readonly #takes: (bytes: number) => boolean;
  #pieces: Piece[] | undefined = [];
  #isWhole = false;

  constructor(answer: Result<A, R>, takes: (bytes: number) => boolean) {
    this.#answer = answer;
    this.#takes = takes;
  }

  live(): Result<A, R> {
    if (!this.#answer.ok) return this.#answer;
    const recording = new RecordingBody(this.#answer.value.body[Symbol.asyncIterator](), {
      piece: (piece) => this.#record(piece),
      whole: () => (this.#isWhole = true),
    });
    return { ok: true, value: { ...this.#answer.value, body: { [Symbol.asyncIterator]: () => recording } } };
  }

  /** The answer as it was; undefined: it was not retained. */
  again(): Result<A, R> | undefined {
    if (!this.#answer.ok) return this.#answer;
    const pieces = this.#pieces;
    if (!this.#isWhole || pieces === undefined) return undefined;
    return { ok: true, value: { ...this.#answer.value, body: replayed(pieces) } };
  }

  #record(piece: Piece): void {
    if (this.#pieces !== undefined && this.#takes(piece.ok ? piece.value.length : 0))
      this.#pieces.push(piece);
    else this.#pieces = undefined;
  }
}

/** Written out: a generator around a body would cost as much as the read of a short body. */
class RecordingBody implements AsyncIterator<Piece, undefined> {
  readonly #pieces: AsyncIterator<Piece, undefined>;
  readonly #on: { readonly piece: (piece: Piece) => void; readonly whole: () => void };

  constructor(
    pieces: AsyncIterator<Piece, undefined>,
    on: { readonly piece: (piece: Piece) => void; readonly whole: () => void },
  ) {
    this.#pieces = pieces;
    this.#on = on;
  }

  async next(): Promise<IteratorResult<Piece, undefined>> {
    const next = await this.#pieces.next();
    if (next.done === true) this.#on.whole();
    else this.#on.piece(next.value);
    return next;
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.#pieces.return?.();
    return { done: true, value: undefined };
  }
}

async function* replayed(pieces: readonly Piece[]): AsyncGenerator<Piece> {
  yield* pieces;
}
