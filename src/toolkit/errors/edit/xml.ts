import { NsbError, errorText } from '../../../message/nsb-error.ts'

async function formatter() {
  const { default: loaded } = await import('xml-formatter')
  // Its types are those of an ES module, and it is none.
  return loaded as unknown as typeof loaded.default
}

/**
 * Are its elements closed, and is there one around all of them? More is not looked at.
 *
 * @throws {NsbError} NSB_NOT_XML
 */
export async function checkXml(text: string): Promise<void> {
  const format = await formatter()
  try {
    format.minify(text, strict)
  } catch (error) {
    throw new NsbError({
      code: 'NSB_NOT_XML',
      message: `The body is not XML: ${errorText(error)}. Nothing was sent.`,
      suggestions: ['Close every element, with one around all of them'],
      cause: error,
    })
  }
}

const strict = { strictMode: true, throwOnFailure: true, collapseContent: true } as const
/** What is larger is shown as it is. */
const longestLaidOut = 1_000_000

/** A text over several lines; undefined where that would not be undone by {@link flatXml}, because its blanks may mean something. */
export async function laidOutXml(text: string): Promise<string | undefined> {
  if (text.length > longestLaidOut) return undefined
  const format = await formatter()
  try {
    const laidOut = format(text, { ...strict, indentation: '  ', lineSeparator: '\n' })
    return format.minify(laidOut, strict) === text ? laidOut : undefined
  } catch {
    return undefined
  }
}

/** On one line again. @throws {NsbError} NSB_NOT_XML */
export async function flatXml(text: string): Promise<string> {
  await checkXml(text)
  return (await formatter()).minify(text, strict)
}
