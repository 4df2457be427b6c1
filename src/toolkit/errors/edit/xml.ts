import { NsbError, errorText } from '../../../message/nsb-error.ts'
import { XmlText } from '../../xml-text.ts'

/**
 * Are its elements closed, and is there one around all of them? More is not looked at.
 *
 * @throws {NsbError} NSB_NOT_XML
 */
export function checkXml(text: string): XmlText {
  try {
    return XmlText.read(text)
  } catch (error) {
    throw new NsbError({
      code: 'NSB_NOT_XML',
      message: `The body is not XML: ${errorText(error)}. Nothing was sent.`,
      suggestions: ['Close every element, with one around all of them'],
      cause: error,
    })
  }
}

/** A text over several lines; undefined where that would not be undone by {@link flatXml}, because its blanks may mean something. */
export function laidOutXml(text: string): string | undefined {
  try {
    const laidOut = XmlText.read(text).laidOut()
    return laidOut !== undefined && XmlText.read(laidOut).flat() === text ? laidOut : undefined
  } catch {
    return undefined
  }
}

/** On one line again. @throws {NsbError} NSB_NOT_XML */
export function flatXml(text: string): string {
  return checkXml(text).flat()
}
