import { NsbError, errorText } from './nsb-error.ts'
import { type SchemaInput, type SchemaIssue, type SchemaOutput, type StandardSchema, issuePointer } from './standard-schema.ts'
import { checkFullName, formatTypeName } from './type-names.ts'
import { parseTimeSpan } from './wire-formats.ts'

export type MessageKind = 'command' | 'event' | 'message'

/** A registered symbol, so that two loaded copies of the library still understand each other's messages. */
export const messageSymbol: unique symbol = Symbol.for('nsbus.message') as never

/** What nsb knows of a message type. */
export interface MessageDefinition {
  readonly fullName: string
  readonly assembly: string | undefined
  readonly version: string
  readonly kind: MessageKind
  readonly isInterface: boolean
  readonly schema: StandardSchema | undefined
  /** All message types it is assignable to, without itself, in the order of the type header. */
  readonly parents: readonly MessageDefinition[]
  /** Names that are accepted on receive, never written. */
  readonly aliases: readonly string[]
  readonly timeToBeReceivedMs: number | undefined
  /** The value of `NServiceBus.EnclosedMessageTypes`. */
  readonly enclosedTypes: string
}

export interface MessageOptions {
  /** Simple assembly name; with it the wire carries the assembly qualified name, which .NET finds even when the type was not scanned. */
  readonly assembly?: string
  /** Assembly version; default 1.0.0.0. Receivers never compare it. */
  readonly version?: string
  /** Base message classes and interfaces, first-hand. */
  readonly implements?: readonly MessageType[]
  /** How long the message is of use, `hh:mm:ss`; not handled by then, it vanishes. */
  readonly timeToBeReceived?: string
  /** Names it is also accepted under. */
  readonly aliases?: readonly string[]
  /** Accept a closed generic name; NServiceBus does not support generic messages. */
  readonly allowGeneric?: boolean
}

/** The instance side of every message class. Its private member makes a plain object or a spread copy a compile error. */
export declare abstract class MessageInstance<Kind extends MessageKind> {
  private readonly messageKind: Kind
}

/** A message class or a message interface: type token, constructor and validator in one. */
export interface MessageType<T extends object = object> {
  readonly [messageSymbol]: MessageDefinition
  readonly prototype: T
  readonly name: string
}

export interface MessageClass<Input, Output, Kind extends MessageKind> {
  new (input: Input): Output & MessageInstance<Kind>
  readonly [messageSymbol]: MessageDefinition
}

type ObjectOf<T> = T extends object ? T : never

/** The body does not match the schema of its message type. `issues` has the places and what is wrong there. */
export class MessageValidationError extends NsbError {
  readonly issues: readonly SchemaIssue[]

  constructor(definition: MessageDefinition, issues: readonly SchemaIssue[], suggestions: readonly string[] = []) {
    const lines = issues.slice(0, 10).map((issue) => `  ${issuePointer(issue) || '/'}  ${issue.message}`)
    const more = issues.length > 10 ? [`  … and ${issues.length - 10} more`] : []
    super({
      code: 'NSB_BODY_INVALID',
      message: [`'${definition.fullName}' does not match its schema:`, ...lines, ...more].join('\n'),
      suggestions,
      details: { type: definition.fullName, issues: issues.map((issue) => ({ path: issuePointer(issue), message: issue.message })) },
    })
    this.issues = issues
  }
}

/**
 * Declares a command: "do this", to one owner.
 *
 * @param fullName the .NET full name, such as `Shop.Messages.PlaceOrder`
 * @param schema any Standard Schema of an object, such as `z.object({...})`; it must validate synchronously
 * @throws {NsbError} NSB_BAD_TYPE_NAME
 */
export function command<S extends StandardSchema>(fullName: string, schema: S, options?: MessageOptions) {
  return declare<S, 'command'>('command', fullName, schema, options)
}

/** Declares an event: "this happened", to whoever subscribed. Otherwise like {@link command}. */
export function event<S extends StandardSchema>(fullName: string, schema: S, options?: MessageOptions) {
  return declare<S, 'event'>('event', fullName, schema, options)
}

/** Declares a plain message, what a reply is. Otherwise like {@link command}. */
export function message<S extends StandardSchema>(fullName: string, schema: S, options?: MessageOptions) {
  return declare<S, 'message'>('message', fullName, schema, options)
}

function declare<S extends StandardSchema, Kind extends MessageKind>(
  kind: Kind,
  fullName: string,
  schema: S,
  options: MessageOptions = {},
): MessageClass<SchemaInput<S>, ObjectOf<SchemaOutput<S>>, Kind> {
  if (typeof schema?.['~standard']?.validate !== 'function')
    throw new NsbError({
      code: 'NSB_NO_SCHEMA',
      message: `'${fullName}' was declared without a schema: the second argument has no '~standard' property.`,
      suggestions: [`${kind}('${fullName}', z.object({ ... }))`],
    })
  return messageClass(define(kind, false, fullName, schema as unknown as StandardSchema, options)) as never
}

/**
 * Declares a message interface: what several message types have in common, and what can be published and handled by itself.
 * It has no schema: its instances carry whatever the body has.
 */
export function MessageInterface<T extends object>(
  fullName: string,
  options?: MessageOptions & { readonly kind?: 'event' },
): MessageClass<T, T, 'event'>
export function MessageInterface<T extends object, Kind extends MessageKind>(
  fullName: string,
  options: MessageOptions & { readonly kind: Kind },
): MessageClass<T, T, Kind>
export function MessageInterface(fullName: string, options: MessageOptions & { readonly kind?: MessageKind } = {}): unknown {
  return messageClass(define(options.kind ?? 'event', true, fullName, undefined, options))
}

function messageClass(definition: MessageDefinition): MessageType {
  return class {
    static readonly [messageSymbol] = definition

    constructor(input: unknown) {
      setOwn(this, validate(definition, input))
    }
  }
}

/**
 * Checks a value against the schema of its type.
 *
 * @throws {MessageValidationError} NSB_BODY_INVALID
 * @throws {NsbError} NSB_ASYNC_SCHEMA when the schema answers with a promise
 */
export function validate(definition: MessageDefinition, input: unknown): object {
  const result = check(definition, input)
  if (result.issues) throw new MessageValidationError(definition, result.issues)
  return result.value
}

/** Like {@link validate}, with the issues as a value. */
export function check(
  definition: MessageDefinition,
  input: unknown,
): { readonly value: object; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] } {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    return {
      issues: [
        {
          message: `a message is an object with properties, not ${input === null ? 'null' : Array.isArray(input) ? 'an array' : `a ${typeof input}`}`,
        },
      ],
    }
  if (!definition.schema) return { value: input }
  const result = run(definition, definition.schema, input)
  if (result instanceof Promise) {
    result.catch(() => undefined)
    const thrown = hiddenThrow(definition.schema, input)
    if (thrown) throw schemaThrew(definition, thrown.error)
    throw new NsbError({
      code: 'NSB_ASYNC_SCHEMA',
      message: `The schema of '${definition.fullName}' answers with a promise; messages are validated when they are constructed, so it must answer at once.`,
      suggestions: ['Move the asynchronous check into the handler'],
    })
  }
  if (result.issues) return { issues: result.issues }
  if (typeof result.value !== 'object' || result.value === null)
    return { issues: [{ message: 'the schema turned the message into something that is not an object' }] }
  return { value: result.value }
}

function run(definition: MessageDefinition, schema: StandardSchema, input: unknown): ReturnType<StandardSchema['~standard']['validate']> {
  try {
    return schema['~standard'].validate(input)
  } catch (error) {
    throw schemaThrew(definition, error)
  }
}

function schemaThrew(definition: MessageDefinition, error: unknown): NsbError {
  return new NsbError({
    code: 'NSB_SCHEMA_THREW',
    message: `The schema of '${definition.fullName}' threw instead of answering: ${errorText(error)}`,
    suggestions: ['Let it report an issue: z.string().refine(...), not throw'],
    cause: error,
  })
}

/**
 * What zod hides: its Standard Schema answers with a promise when something in it throws, as if it were asynchronous. Its own synchronous
 * entry throws the same again, or its complaint that names `parseAsync`.
 */
function hiddenThrow(schema: StandardSchema, input: object): { readonly error: unknown } | undefined {
  if (!('safeParse' in schema) || typeof schema.safeParse !== 'function') return undefined
  try {
    schema.safeParse(input)
  } catch (error) {
    return errorText(error).includes('parseAsync') ? undefined : { error }
  }
  return undefined
}

/** A message instance from a value that its schema has already accepted. */
export function instantiate(type: MessageType, value: object): object {
  const instance = Object.create(type.prototype) as object
  setOwn(instance, value)
  return instance
}

// Bodies are untrusted: `__proto__` must not reach a setter, so it is dropped instead of assigned.
function setOwn(target: object, source: object): void {
  for (const key of Object.keys(source))
    if (key !== '__proto__') (target as Record<string, unknown>)[key] = (source as Record<string, unknown>)[key]
}

/** The definition behind a message class or interface; undefined for anything else. */
export function definitionOf(type: unknown): MessageDefinition | undefined {
  return typeof type === 'function' ? (type as unknown as { [messageSymbol]?: MessageDefinition })[messageSymbol] : undefined
}

/** The definition behind a message instance; undefined for anything else, a spread copy included. */
export function definitionOfInstance(instance: unknown): MessageDefinition | undefined {
  if (typeof instance !== 'object' || instance === null) return undefined
  // Not from the instance itself: a body may have a property of that name.
  return definitionOf((Object.getPrototypeOf(instance) as { constructor?: unknown } | null)?.constructor)
}

/** True when a message of type `from` can be handled as `to`. */
export function isAssignable(from: MessageDefinition, to: MessageDefinition): boolean {
  return sameType(from, to) || from.parents.some((parent) => sameType(parent, to))
}

/** The same type, even when it was declared by two loaded copies of one module. */
export function sameType(a: MessageDefinition, b: MessageDefinition): boolean {
  return a === b || (a.fullName === b.fullName && a.assembly === b.assembly)
}

function define(
  kind: MessageKind,
  isInterface: boolean,
  fullName: string,
  schema: StandardSchema | undefined,
  options: MessageOptions,
): MessageDefinition {
  checkFullName(fullName, options.allowGeneric ?? false)
  for (const alias of options.aliases ?? []) checkFullName(alias, true)
  const { assembly, version = '1.0.0.0' } = options
  if (assembly !== undefined && !/^[^;,\s]+$/.test(assembly))
    throw new NsbError({
      code: 'NSB_BAD_TYPE_NAME',
      message: `'${fullName}' names the assembly '${assembly}', which is not a simple assembly name.`,
      suggestions: [`Write it without version and culture: { assembly: 'Shop.Messages' }`],
    })
  const parents = hierarchy(fullName, isInterface, options.implements ?? [])
  const timeToBeReceivedMs = options.timeToBeReceived === undefined ? undefined : parseTimeSpan(options.timeToBeReceived)
  if (timeToBeReceivedMs !== undefined && timeToBeReceivedMs <= 0)
    throw new NsbError({
      code: 'NSB_BAD_TIME_TO_BE_RECEIVED',
      message: `'${fullName}' has the time to be received '${options.timeToBeReceived}', which is not above zero.`,
      suggestions: [`Write hh:mm:ss: timeToBeReceived: '00:01:00'`],
    })
  const names = [{ fullName, assembly, version }, ...parents].map((type) => formatTypeName(type.fullName, type.assembly, type.version))
  return {
    fullName,
    assembly,
    version,
    kind,
    isInterface,
    schema,
    parents,
    aliases: options.aliases ?? [],
    timeToBeReceivedMs,
    enclosedTypes: [...new Set(names)].join(';'),
  }
}

/** Transitive parents in the order of the type header: deepest first, ties in discovery order (interfaces before base classes). */
function hierarchy(fullName: string, isInterface: boolean, firstHand: readonly MessageType[]): readonly MessageDefinition[] {
  const direct = firstHand.map((type) => {
    const definition = definitionOf(type)
    if (!definition)
      throw new NsbError({
        code: 'NSB_NOT_A_MESSAGE',
        message: `'${fullName}' lists something in 'implements' that is no message type: ${describe(type)}.`,
        suggestions: [
          'List classes made by command, event or message, or interfaces made by MessageInterface',
          'Circular imports leave undefined here: declare the parent in a file of its own',
        ],
      })
    return definition
  })
  const classes = direct.filter((definition) => !definition.isInterface)
  if (classes.length > 1 || (isInterface && classes.length > 0))
    throw new NsbError({
      code: 'NSB_BAD_HIERARCHY',
      message: isInterface
        ? `The interface '${fullName}' implements the class '${classes[0]?.fullName}'.`
        : `'${fullName}' has ${classes.length} base classes: ${classes.map((definition) => `'${definition.fullName}'`).join(', ')}. A .NET class has one.`,
      suggestions: ['Make the others interfaces: MessageInterface(...)'],
    })
  const all = [...direct.filter((definition) => definition.isInterface), ...classes].flatMap((parent) => [parent, ...parent.parents])
  const interfaces = all.filter((definition) => definition.isInterface)
  const unique = [...new Set([...interfaces, ...all])]
  return unique.sort((a, b) => depth(b) - depth(a))
}

// .NET counts, for an interface, the interfaces it extends (markers included), and for a class its base classes (System.Object included).
function depth(definition: MessageDefinition): number {
  return definition.isInterface
    ? definition.parents.length + (definition.kind === 'message' ? 1 : 2)
    : definition.parents.filter((parent) => !parent.isInterface).length + 1
}

function describe(value: unknown): string {
  return typeof value === 'function' ? `class '${value.name}'` : value === undefined ? 'undefined' : typeof value
}
