import { type MessageType, definitionOf, definitionOfInstance, isAssignable } from '../message/declaration.ts'

/** One recorded operation: the message as it was at the call, and the options it was given. */
export interface RecordedOperation<T = object, Options = object> {
  readonly message: T
  readonly options: Options
}

type Like<T extends object> = Pick<MessageType<T>, keyof MessageType<T>> & { readonly prototype: T }

/** Recorded operations of one kind, in order. A base type finds what derives from it. */
export class Recorded<Options> implements Iterable<RecordedOperation<object, Options>> {
  readonly #operations: RecordedOperation<object, Options>[] = []

  get length(): number {
    return this.#operations.length
  }

  [Symbol.iterator](): Iterator<RecordedOperation<object, Options>> {
    return this.#operations[Symbol.iterator]()
  }

  /** @internal */
  add(message: object, options: Options): void {
    this.#operations.push({ message, options })
  }

  /** The messages of a type. */
  of<T extends object>(type: Like<T>): readonly T[] {
    return this.entries(type).map((operation) => operation.message)
  }

  /** The messages of a type, with their options. */
  entries<T extends object>(type: Like<T>): readonly RecordedOperation<T, Options>[] {
    return this.#operations.filter(({ message }) => isA(message, type as MessageType)) as unknown as readonly RecordedOperation<
      T,
      Options
    >[]
  }

  first<T extends object>(type: Like<T>): RecordedOperation<T, Options> | undefined {
    return this.entries(type)[0]
  }

  /** @throws {Error} unless there is exactly one */
  single<T extends object>(type: Like<T>): RecordedOperation<T, Options> {
    const entries = this.entries(type)
    if (entries.length !== 1)
      throw new Error(
        `Expected exactly one message of type '${nameOf(type as MessageType)}', but there are ${entries.length}${this.#listing()}.`,
      )
    return entries[0] as RecordedOperation<T, Options>
  }

  /** @throws {Error} when there is one */
  none<T extends object>(type: Like<T>): void {
    const { length } = this.entries(type)
    if (length > 0)
      throw new Error(
        `Expected no message of type '${nameOf(type as MessageType)}', but there ${length === 1 ? 'is one' : `are ${length}`}${this.#listing()}.`,
      )
  }

  #listing(): string {
    const names = this.#operations.map(({ message }) => definitionOfInstance(message)?.fullName ?? typeof message)
    return names.length === 0 ? ' (nothing was recorded)' : ` among ${names.join(', ')}`
  }
}

function isA(message: object, type: MessageType): boolean {
  const actual = definitionOfInstance(message)
  const wanted = definitionOf(type)
  return actual !== undefined && wanted !== undefined && isAssignable(actual, wanted)
}

function nameOf(type: MessageType): string {
  return definitionOf(type)?.fullName ?? String(type)
}
